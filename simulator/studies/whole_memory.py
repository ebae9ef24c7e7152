# SPDX-License-Identifier: MIT
"""
A machine of which all memory is asked for
------------------------------------------

What studies share that ask how much of the memory becomes huge pages, base pages and huge
pages being of one memory.

Not modelled: what else runs; of the memory, a fixed part is taken by others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.geometry import NR_PFNS

if TYPE_CHECKING:
    from simulator.scenario import Scenario

__all__ = ("LEAST", "USED", "whole_memory")

LEAST = 512
#: Per mille of the memory that others have by then, besides struct pages: assumed.
USED = 5
_MIN_FREE_KB = 67584
#: Of how much memory that much is kept free.
_OF_PAGES = 384 * 512


def whole_memory(machine: str, pages: int, **fields: Any) -> Scenario:
    """Return a machine with memory for so many pages of 2 MB, as full as it is at boot."""
    from simulator.kernel.one_memory import ONE_MEMORY
    from simulator.machine import load_machine
    from simulator.scenario import Scenario

    model = load_machine(machine)
    per_node = pages // model.nr_nodes
    node_pfns = per_node * NR_PFNS["2M"]
    free = node_pfns - node_pfns // 64 - node_pfns * USED // 1000
    return Scenario(
        machine=model.with_values({"memory.node_memory": f"{2 * per_node} MiB"}),
        pages=1,
        placement=ONE_MEMORY,
        free_pages=model.nr_nodes * free,
        tunables={"min_free_kbytes": _MIN_FREE_KB * pages // _OF_PAGES},
        **fields,
    )
