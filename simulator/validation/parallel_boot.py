# SPDX-License-Identifier: MIT
"""
Allocation at boot by several tasks
-----------------------------------

What ``hugepages=N`` takes by how many tasks share it, HVO off.  The machines are unnamed, so
that the published time with the fewest tasks is given; how many times as fast it is with
more of them is simulated.

Modelled: two runs of fewer pages, from which follows what each further page takes; the
last-level caches are as much smaller as the pages are fewer.

Not modelled: the zones' locks, memory bandwidth.

Sources: :mod:`simulator.published.benchmarks`; the kernel is the first one here that
allocates by several tasks at boot.
"""

from __future__ import annotations

from typing import Final

from simulator.experiment.few_pages import with_cache_for
from simulator.machine import Machine
from simulator.run import simulate
from simulator.scenario import Scenario

__all__ = ("boot_ns",)

_KERNEL: Final = "v6.11"
#: How many pages a call of the other benchmarks is worth.
_PAGES_PER_CALL: Final = 4
#: With fewer, the tasks' first and last pages show in what each further page takes.
_FEWEST: Final = 4096


def boot_ns(machine: Machine, pages: int, tasks: int, ntimes: int, seed: int) -> float:
    """
    Return what a boot takes to allocate ``pages`` huge pages of 2 MB, in nanoseconds.

    ``ntimes`` are the calls that other benchmarks make, from which follows how many pages are
    simulated.  Raises InputError for pages that do not fit, and fewer of them than tasks.
    """
    whole = Scenario(
        machine=machine,
        kernel=_KERNEL,
        pages=pages,
        hvo=False,
        path="boot",
        allocators=tasks,
        phases=("alloc",),
        seed=seed,
    )
    long = max(_FEWEST, _PAGES_PER_CALL * ntimes)
    if long >= pages:
        return _elapsed_ns(whole)
    short = long // 2
    short_ns, long_ns = (
        _elapsed_ns(whole.replace(pages=nr, machine=with_cache_for(nr, "2M", machine, pages)))
        for nr in (short, long)
    )
    return long_ns + (long_ns - short_ns) / (long - short) * (pages - long)


def _elapsed_ns(scenario: Scenario) -> float:
    return float(simulate(scenario, checks=None).summary["elapsed_ns"].iloc[0])
