# SPDX-License-Identifier: MIT
"""
Simulating a scenario
---------------------

:func:`simulate` puts machine, engine, kernel and request together, runs the
phases one after another on one state, and returns the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from simulator.draws import fold, purpose_of, stream
from simulator.engine import Body, Engine, EventsEngine
from simulator.errors import InputError
from simulator.geometry import BASE_PAGE_BYTES
from simulator.kernel import Kernel, KernelConfig
from simulator.kernel.blame import of_kernel
from simulator.kernel.modules import Module
from simulator.kernel.one_memory import ONE_MEMORY, attach_one_memory, memmap_pfns
from simulator.kernel.phases import Phase
from simulator.kernel.placement import CountedMemory, HugeMemory, aligned, lay_out
from simulator.kernel.records import attach_records
from simulator.kernel.requests import Requests
from simulator.machine import Platform, lower
from simulator.ordering.checker import Checker, Checks
from simulator.provenance import provenance
from simulator.scenario import Scenario
from simulator.trace.frames import columns_of
from simulator.trace.ipis import IpiLog
from simulator.trace.recorder import Recorder
from simulator.trace.result import Result

__all__ = ("ALL_CHECKS", "replay", "simulate", "simulate_module")

#: What every run is held against.
ALL_CHECKS: Final = Checks()


def simulate(
    scenario: Scenario,
    watch: Callable[[Callable[[], int]], object] | None = None,
    checks: Checks | None = ALL_CHECKS,
) -> Result:
    """
    Run a scenario and return its result.

    ``watch`` is called before the run with a function that says, at any time and in any
    thread, how many folios have been worked on so far, over all phases.  ``checks`` says
    what must hold, and None that nothing is checked; it changes no number of the result.
    """
    engine, kernel, checked = _run(scenario, None, watch, checks)
    return Result(
        scenario,
        provenance(scenario, _unreached(scenario, kernel), checked),
        columns=partial(columns_of, engine.recorder),
        replay=partial(_replay, scenario, engine),
        describe=scenario.resolved,
    )


def simulate_module(scenario: Scenario, module: Module) -> Result:
    """
    Run a kernel module on one CPU of a scenario, in place of its request for pages.

    Machine, kernel, CPUs, noise, tunables and seed are the scenario's; its pages,
    phases and path mean nothing.  The result has the frames of any other, with the
    module's phases; it cannot give the IPIs of a flush.
    """
    engine, kernel, machine = _boot(scenario, None)
    (cpu,) = _task_cpus(machine)[:1]
    now_ns = 0
    for label, body in module.phases(kernel).items():
        now_ns = _run_phase(engine, kernel, label, now_ns, {cpu: body})
    kernel.detach()
    note = f"kernel module {module.name} in place of the request for huge pages"
    return Result(
        scenario,
        provenance(scenario, [note, *_unreached(scenario, kernel)]),
        columns=partial(columns_of, engine.recorder),
        replay=_no_replay,
        describe=lambda: scenario.resolved() | {"module": module.name},
    )


def replay(scenario: Scenario, log: IpiLog, attach: Callable[[Kernel], None] | None = None) -> None:
    """
    Run a scenario once more, for the IPIs that a log asks for.

    ``attach`` is called with the kernel before it runs, and may attach to its functions.
    """
    _run(scenario, log, None, None, attach)


def _run(
    scenario: Scenario,
    ipis: IpiLog | None,
    watch: Callable[[Callable[[], int]], object] | None,
    checks: Checks | None,
    attach: Callable[[Kernel], None] | None = None,
) -> tuple[Engine, Kernel, tuple[str, ...]]:
    engine, kernel, machine = _boot(scenario, ipis)
    checker = None if checks is None else Checker(kernel, checks, scenario.machine_model.isa)
    if attach is not None:
        attach(kernel)
    if watch is not None:
        watch(partial(len, engine.recorder.folios))
    requests = Requests(kernel, scenario.path, scenario.pages, scenario.allocators)
    task_cpus = _task_cpus(machine)
    now_ns = 0
    for phase in scenario.plan:
        if phase.action == "hvo":
            kernel.vmemmap_optimize_enabled = phase.hvo
            continue
        bodies = dict(
            zip(_from_node(phase, task_cpus, machine), requests.bodies(phase), strict=False)
        )
        if phase.action == "alloc":
            kernel.memory.begin_fill(scenario.pages)
        if isinstance(kernel.memory, CountedMemory):
            kernel.memory.begin_phase()
        kernel.h_of_phase = kernel.hstate(str(phase.page_size))
        now_ns = _run_phase(engine, kernel, phase.label, now_ns, bodies)
    # What was attached holds the kernel, and so everything, in circles.
    kernel.detach()
    if checker is None:
        return engine, kernel, ()
    checker.detach()
    return engine, kernel, checker.checked


def _boot(scenario: Scenario, ipis: IpiLog | None) -> tuple[Engine, Kernel, Platform]:
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
        kernel = scenario.kernel_class(engine, machine, memory, config)
        attach_records(kernel)
    if scenario.placement == ONE_MEMORY:
        node_pfns = machine.node_memory_bytes // BASE_PAGE_BYTES
        free = _free_pages(scenario, machine)
        in_huge = free // machine.nr_nodes // scenario.nr_pfns * scenario.nr_pfns
        attach_one_memory(kernel, node_pfns, free - machine.nr_nodes * in_huge)
    if isinstance(kernel.memory, CountedMemory):
        kernel.attach("pmd_leaf", partial(_counted_splits, kernel, kernel.memory))
    return engine, kernel, machine


def _run_phase(
    engine: Engine, kernel: Kernel, label: str, start_ns: int, bodies: Mapping[int, Body]
) -> int:
    # Returns when the last task ended.
    with of_kernel(kernel.own_file):
        kernel.begin_phase(label, start_ns, bodies)
        tasks = engine.run(start_ns, bodies)
        end_ns = max(task.now_ns for task in tasks)
        kernel.end_phase(end_ns)
    accounts = [account for task in tasks for account in task.accounts()]
    for account in sorted(accounts, key=lambda account: account.number):
        engine.recorder.task_ended(account.end_ns, account.time_by, account.irqs_off_max_ns)
    return end_ns


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


# What is not free was taken from the end of each node.
def _one_memory(scenario: Scenario, machine: Platform) -> HugeMemory:
    node_pfns = machine.node_memory_bytes // BASE_PAGE_BYTES
    nr_pfns = scenario.page_bytes // BASE_PAGE_BYTES
    free_pfns = _free_pages(scenario, machine) // machine.nr_nodes
    bases = range(0, machine.nr_nodes * node_pfns, node_pfns)
    runs = [aligned(base, nr_pfns, free_pfns // nr_pfns) for base in bases]
    return HugeMemory(runs, (), nr_pfns, free_pfns)


def _memory(scenario: Scenario, machine: Platform) -> HugeMemory:
    if scenario.placement == ONE_MEMORY:
        return _one_memory(scenario, machine)

    def draws(nid: int) -> Iterator[int]:
        key = fold(machine.key, purpose_of("placement"), nid)
        nth = 0
        while True:
            yield fold(key, nth) >> 32
            nth += 1

    return lay_out(
        scenario.placement,
        scenario.pages,
        scenario.page_bytes // BASE_PAGE_BYTES,
        machine.node_memory_bytes // BASE_PAGE_BYTES,
        machine.nr_nodes,
        draws,
    )


def _task_cpus(machine: Platform) -> list[int]:
    # Which CPUs the tasks run on is a keyed draw: the first of all CPUs by their draws.
    draws = stream(fold(machine.key, purpose_of("task CPU")), 0, machine.nr_cpus).tolist()
    return sorted(range(machine.nr_cpus), key=lambda cpu: (draws[cpu], cpu))


# A process that maps pages of a node runs there.
def _from_node(phase: Phase, task_cpus: Sequence[int], machine: Platform) -> list[int]:
    there = [cpu for cpu in task_cpus if machine.node_of[cpu] == phase.node]
    return there if phase.action == "map" and there else list(task_cpus)


# Whether a PMD is a leaf, where only the number of those that are is known.
def _counted_splits(
    kernel: Kernel, memory: CountedMemory, function: Callable[[int], bool]
) -> Callable[[int], bool]:
    def pmd_leaf(pmd: int) -> bool:
        memory.splits(pmd, kernel.split_pmds)
        return function(pmd)

    return pmd_leaf


def _replay(scenario: Scenario, engine: Engine, log: IpiLog) -> None:
    # From checkpoints in milliseconds, or by running the scenario once more.
    if not engine.replay(log):
        replay(scenario, log)


def _no_replay(log: IpiLog) -> None:  # noqa: ARG001 - as _replay
    raise InputError("ipis: a kernel module was run, whose IPIs cannot be replayed")


# Only a run tells how many allocations of a kind there are.
def _unreached(scenario: Scenario, kernel: Kernel) -> list[str]:
    parts = []
    for kind, ordinals in scenario.faults.items():
        tried = kernel.nr_allocs.get(kind, 0)
        if left := [str(nth) for nth in ordinals if nth > tried]:
            plural = "" if tried == 1 else "s"
            parts.append(f"{kind} {','.join(left)} ({tried} allocation{plural})")
    return [f"faults that {kernel.name} never reached: {'; '.join(parts)}"] if parts else []
