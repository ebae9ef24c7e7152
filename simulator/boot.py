# SPDX-License-Identifier: MIT
"""
From a scenario to a machine that has booted
--------------------------------------------

:func:`boot` puts machine, memory, engine and kernel together.
"""

from __future__ import annotations

from collections.abc import Iterator

from simulator.draws import fold, purpose_of
from simulator.engine import Engine, EventsEngine
from simulator.geometry import BASE_PAGE_BYTES, splits_of_placement
from simulator.kernel import Kernel, KernelConfig
from simulator.kernel.blame import of_kernel
from simulator.kernel.counted_memory import CountedMemory, attach_counted_splits
from simulator.kernel.one_memory import ONE_MEMORY, attach_one_memory, memmap_pfns
from simulator.kernel.placement import HugeMemory, aligned, lay_out
from simulator.kernel.records import attach_records
from simulator.kernel.returns import attach_return_checks
from simulator.machine import Platform, lower
from simulator.scenario import Scenario
from simulator.trace.ipis import IpiLog
from simulator.trace.recorder import Recorder

__all__ = ("boot",)


def boot(scenario: Scenario, ipis: IpiLog | None = None) -> tuple[Engine, Kernel, Platform]:
    """
    Return the engine, the kernel and the lowered machine of a scenario, before any phase.

    ``ipis`` collects the IPIs that it asks for.
    """
    machine = lower(
        scenario.machine_model,
        scenario.nr_cpus,
        scenario.noise_model,
        scenario.seed,
        scenario.replication,
    )
    engine = _engine(scenario, machine, Recorder(machine.socket_of, ipis))
    config = KernelConfig(
        page_size=scenario.page_size,
        hvo=scenario.hvo,
        free_pages=_free_pages(scenario, machine),
        faults={kind: frozenset(nth) for kind, nth in scenario.faults.items()},
        tunables=scenario.tunable_values,
        node_of=machine.node_of,
    )
    memory = _memory(scenario, machine)
    with of_kernel(scenario.kernel_class.own_file):
        kernel = scenario.built_kernel(engine, machine, memory, config)
        attach_return_checks(kernel)
        attach_records(kernel)
    if scenario.placement == ONE_MEMORY:
        node_pfns = machine.node_memory_bytes // BASE_PAGE_BYTES
        free = _free_pages(scenario, machine)
        spans, nr_pfns = _free_spans(scenario, machine), scenario.nr_pfns
        in_huge = sum(len(aligned(first, end, nr_pfns)) for first, end in spans) * nr_pfns
        attach_one_memory(kernel, node_pfns, free - in_huge)
    if isinstance(memory, CountedMemory):
        attach_counted_splits(kernel, memory)
    return engine, kernel, machine


def _engine(scenario: Scenario, machine: Platform, recorder: Recorder) -> Engine:
    if scenario.engine == "events":
        return EventsEngine(machine, recorder)
    # numba takes long to import.
    from simulator.engine.compiled import CompiledEngine

    return CompiledEngine(machine, recorder)


def _free_pages(scenario: Scenario, machine: Platform) -> int:
    if scenario.free_pages is not None:
        return scenario.free_pages
    if scenario.placement == ONE_MEMORY:
        node_pfns = machine.node_memory_bytes // BASE_PAGE_BYTES
        return machine.nr_nodes * (node_pfns - memmap_pfns(node_pfns))
    return machine.nr_nodes * machine.node_memory_bytes // BASE_PAGE_BYTES


# By node, from where to where it is free: what is not was taken from its end.
def _free_spans(scenario: Scenario, machine: Platform) -> list[tuple[int, int]]:
    node_pfns = machine.node_memory_bytes // BASE_PAGE_BYTES
    free_pfns = _free_pages(scenario, machine) // machine.nr_nodes
    bases = range(0, machine.nr_nodes * node_pfns, node_pfns)
    return [(base, base + free_pfns) for base in bases]


def _one_memory(scenario: Scenario, machine: Platform) -> HugeMemory:
    spans, nr_pfns = _free_spans(scenario, machine), scenario.nr_pfns
    runs = [iter(aligned(first, end, nr_pfns)) for first, end in spans]
    return HugeMemory(runs, (), nr_pfns, [end for _, end in spans])


def _memory(scenario: Scenario, machine: Platform) -> HugeMemory:
    placement = scenario.placement
    if placement == ONE_MEMORY:
        return _one_memory(scenario, machine)
    if isinstance(placement, str) and (counted := splits_of_placement(placement)) is not None:
        return CountedMemory(machine.nr_nodes, counted)

    def draws(nid: int) -> Iterator[int]:
        key = fold(machine.key, purpose_of("placement"), nid)
        nth = 0
        while True:
            yield fold(key, nth) >> 32
            nth += 1

    return lay_out(
        placement,
        scenario.pages,
        scenario.page_bytes // BASE_PAGE_BYTES,
        machine.node_memory_bytes // BASE_PAGE_BYTES,
        machine.nr_nodes,
        draws,
    )
