# SPDX-License-Identifier: MIT
"""
Protocols of HVO
----------------

What must be ordered when vmemmap is split, remapped and freed, and mutants of it; a module for
each subject.  They run in the explorer of the litmus tests.

Modelled: on arm64 HVO is a what-if, under the assumption that the machine lets a live entry
change (FEAT_BBM level 2) and that both pages have equal contents; ``needs-bbm`` is said beside.
"""

from __future__ import annotations

from simulator.ordering.litmus.protocol import Protocol
from simulator.ordering.litmus.protocols import (
    batch,
    bbm,
    deferral,
    enomem,
    head_remap,
    head_writer,
    optimized_flag,
    posted_v3,
    readers,
    split,
    split_race,
)

__all__ = ("PROTOCOLS",)

_MODULES = (
    split, head_remap, batch, enomem, posted_v3, optimized_flag, split_race, head_writer, bbm,
    deferral, readers,
)  # fmt: skip
PROTOCOLS: tuple[Protocol, ...] = tuple(case for module in _MODULES for case in module.CASES)
