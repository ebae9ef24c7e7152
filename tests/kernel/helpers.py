# SPDX-License-Identifier: MIT
# ruff: noqa: N805 - k is the running kernel, as in the kernel code
"""
What the tests of kernel code share
-----------------------------------

Machines without chance, and kernels that tell what state they end a phase in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from simulator.engine.locks import IrqSpinLock
from simulator.kernel import kernels, load_kernel
from simulator.machine import Machine, load_machine
from simulator.run import simulate
from simulator.scenario import Scenario

#: Releases that are held against counts, function by function and in what they differ.
OF_TODAY = ("v6.11", "v6.12.117", "v6.15", "v6.18", "v7.1", "v7.3")

#: v6.1 to v6.12; v5.14, postings (@vN) and later releases have tests of their own.
MERGED = tuple(name for name in kernels() if "@" not in name and name not in ("v5.14", *OF_TODAY))

#: Kernels without hugetlb_optimize_vmemmap_key.
KEYLESS = ("v5.14", "v7.1", "v7.3")

#: Noise with every mechanism switched off.
STILL = {"idle_share": 0.0, "irqs_off_share": 0.0, "preempted_share": 0.0}


# Reading a profile takes longer than most of the simulations here.
LAPTOP = load_machine("laptop-8")


def constant(**costs):
    """
    Return a laptop-8 whose costs are 0 ns but for the given ones, which do not vary.

    A cost by distance has its value at every distance.
    """
    data = json.loads(LAPTOP.model_dump_json())
    # Calibration speaks of values that are no longer there.
    data["calibration"] = []
    for cost, table in data["costs"].items():
        ns = costs.pop(cost, 0)
        table["spread"] = table["quantiles"] = None
        parts = [table] if "value" in table else [t for t in table.values() if t]
        for part in parts:
            part.update(value=ns, unit="ns", range=[0, 10**9])
        if "value" not in table:
            del table["quantiles"]
    assert not costs, f"no such costs: {costs}"
    return Machine.model_validate_json(json.dumps(data))


@dataclass(frozen=True)
class State:
    """A kernel's state at the end of a phase."""

    free_pages: int
    held_pages: int
    split_pmds: frozenset[int]
    key_enabled: int
    nr_huge_pages: int
    surplus_huge_pages: int
    optimized_in_pool: int
    nr_allocs: dict[str, int]
    shared_tail_pages: int  # from v7.1 on, never given back


def watched(kernel):
    """Return a kernel class that behaves as the named one, and the list of its states."""
    states = []

    class Watched(load_kernel(kernel)):
        def end_phase(k, end_ns):
            super().end_phase(end_ns)
            pool = [folio for node in k.h.hugepage_freelists for folio in node]
            states.append(
                State(
                    free_pages=k.nr_free_pages,
                    held_pages=k.nr_held_pages,
                    split_pmds=frozenset(k.split_pmds),
                    key_enabled=k.hugetlb_optimize_vmemmap_key.enabled,
                    nr_huge_pages=k.h.nr_huge_pages,
                    surplus_huge_pages=k.h.surplus_huge_pages,
                    optimized_in_pool=sum(f.hugetlb_vmemmap_optimized for f in pool),
                    nr_allocs=dict(k.nr_allocs),
                    shared_tail_pages=len(getattr(k, "vmemmap_tails", ())),
                )
            )

    return Watched, states


def run(kernel="v6.6", **fields):
    """Return the result of a scenario on a small machine without noise."""
    defaults = {"machine": LAPTOP, "noise": STILL, "phases": ("alloc",), "pages": 4}
    return simulate(Scenario(**{**defaults, "kernel": kernel, **fields}))


def run_watched(kernel, **fields):
    """Return a result, and the kernel's state after each phase."""
    watched_kernel, states = watched(kernel)
    return run(watched_kernel, **fields), states


def flushes_of(result, phase="alloc"):
    """Return the TLB flushes of a phase, without static-key patching."""
    rows = result.flushes
    return rows[(rows["phase"] == phase) & (rows["reason"] != "sync_core")]


def column(frame, name, phase="alloc"):
    """Return a cell of a frame with one row per phase."""
    return frame.loc[frame["phase"] == phase, name].item()


def patches_of(kernel):
    """Return how many patches of the batching series a kernel has."""
    if kernel in ("v6.1", "v6.6"):
        return 0
    return 8 if kernel in ("v6.7", "v6.12") else int(kernel.removeprefix("v6.6+"))


def with_counted_lock(kernel, taken):
    """Return a kernel that notes the task of each acquisition of hugetlb_lock."""

    class Counting(IrqSpinLock):
        def lock_irq(self):
            taken.append(self._timeline.current.number)
            super().lock_irq()

    class Counted(load_kernel(kernel)):
        def __init__(k, engine, platform, memory, config):
            super().__init__(engine, platform, memory, config)
            k.hugetlb_lock = Counting(engine.timeline, platform, "hugetlb_lock")

    return Counted


def lock_cycles(kernel, pages, *, hvo):
    """Return how often hugetlb_lock is taken in alloc and in free."""
    taken = []

    class Counted(with_counted_lock(kernel, taken)):
        def begin_phase(k, label, start_ns, initiators):
            taken.clear()
            super().begin_phase(label, start_ns, initiators)

        def end_phase(k, end_ns):
            super().end_phase(end_ns)
            cycles.append(len(taken))

    cycles = []
    run(Counted, pages=pages, hvo=hvo, cpus=2, phases=("alloc", "free"))
    return tuple(cycles)


def of_the_laptop(*kernels):
    """Return those of some kernels that run on x86 and flush by IPIs."""
    loaded = {name: load_kernel(name) for name in kernels}
    return tuple(
        name
        for name, kernel in loaded.items()
        if "x86-64" in kernel.RUNS_ON and kernel.flush_mechanism("x86-64", (), {})
    )


def keeps_key(kernel):
    """Return whether a kernel has HVO's static key, and gives back what it takes of it."""
    return not kernel.endswith("@v1") and kernel.partition("+")[0] not in KEYLESS
