# SPDX-License-Identifier: MIT
"""
Simulating a scenario
---------------------

:func:`simulate` boots a machine, runs the phases of a request one after another on one
state, and returns the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from simulator.bars import notebook_bar, watching
from simulator.boot import boot
from simulator.draws import fold, purpose_of, stream
from simulator.engine import Body, Engine
from simulator.errors import InputError, KernelError
from simulator.garbage import seldom_collected
from simulator.kernel import Kernel
from simulator.kernel.blame import of_kernel
from simulator.kernel.modules import Module
from simulator.kernel.phases import Phase
from simulator.kernel.requests import Requests
from simulator.machine import Platform
from simulator.native import compiled_run, is_compiled
from simulator.ordering.checker import Checker, Checks
from simulator.provenance import provenance
from simulator.scenario import Scenario
from simulator.trace.frames import columns_of
from simulator.trace.ipis import IpiLog
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
    thread, how many folios have been worked on so far, over all phases; without it, a run
    of more than a second shows that in a notebook.  ``checks`` says what must hold, and
    None that nothing is checked; it changes no number of the result.

    A run in which something is wrong with a lock is made once more, to tell where the lock
    was taken.
    """
    if watch is None:
        total = scenario.pages * len(scenario.phases)
        with notebook_bar(total, "folios") as bar, watching(bar, total) as shown:
            engine, kernel, checked = _run_at_best(scenario, shown, checks)
    else:
        engine, kernel, checked = _run_at_best(scenario, watch, checks)
    notes = _unreached(scenario, kernel)
    return Result(
        scenario,
        provenance(scenario, notes, checked, native=is_compiled(kernel)),
        columns=partial(columns_of, engine.recorder),
        replay=partial(_replay, scenario, engine),
        describe=scenario.resolved,
    )


def simulate_module(scenario: Scenario, module: Module) -> Result:
    """
    Run a kernel module on CPUs of a scenario, in place of its request for pages.

    Machine, kernel, CPUs, noise, tunables and seed are the scenario's; its pages,
    phases and path mean nothing.  The result has the frames of any other, with the
    module's phases; it cannot give the IPIs of a flush.
    """
    engine, kernel, machine = boot(scenario)
    (cpu,) = kernel.housekeeping_first(_task_cpus(machine))[:1]
    now_ns = 0
    for label, body in module.phases(kernel).items():
        bodies = body if isinstance(body, Mapping) else {cpu: body}
        now_ns = _run_phase(engine, kernel, label, now_ns, bodies, masked=module.masked)
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


def _run_at_best(
    scenario: Scenario, watch: Callable[[Callable[[], int]], object] | None, checks: Checks | None
) -> tuple[Engine, Kernel, tuple[str, ...]]:
    # Compiled, where that can be. Of what goes wrong, the place in kernel code is told, which
    # only Python knows: then it is run again. (Without frames, to ask for one is a ValueError.)
    run = compiled_run(scenario)
    if run is not None:
        with suppress(ValueError, KernelError):
            engine, kernel, checked = run(scenario, None, watch, checks)
            if not engine.recorder.times_violated:
                return engine, kernel, checked
    return _run(scenario, None, watch, checks)


@seldom_collected()
def _run(
    scenario: Scenario,
    ipis: IpiLog | None,
    watch: Callable[[Callable[[], int]], object] | None,
    checks: Checks | None,
    attach: Callable[[Kernel], None] | None = None,
) -> tuple[Engine, Kernel, tuple[str, ...]]:
    # Where locks were taken is known only if it is kept, which takes time: a run of which
    # that is asked for, since something is wrong with a lock, is made once more.
    for places in (False, True):
        engine, kernel, machine = boot(scenario, ipis)
        checker = None
        if checks is not None:
            checker = Checker(kernel, checks, scenario.machine_model.isa, places=places)
        if attach is not None:
            attach(kernel)
        if watch is not None and not places:
            watch(partial(len, engine.recorder.folios))
        try:
            _run_phases(scenario, engine, kernel, machine)
        except Exception:
            if places or checker is None or not checker.wants_places:
                raise
            continue
        # What was attached holds the kernel, and so everything, in circles.
        kernel.detach()
        if checker is None:
            return engine, kernel, ()
        checker.detach()
        if not checker.wants_places:
            break
    return engine, kernel, () if checker is None else checker.checked


def _run_phases(scenario: Scenario, engine: Engine, kernel: Kernel, machine: Platform) -> None:
    requests = Requests(kernel, scenario.path, scenario.pages, scenario.allocators)
    task_cpus = kernel.housekeeping_first(_task_cpus(machine))
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
        kernel.memory.begin_phase()
        kernel.h_of_phase = kernel.hstate(str(phase.page_size))
        now_ns = _run_phase(engine, kernel, phase.label, now_ns, bodies, masked=kernel.MASKED)


def _run_phase(
    engine: Engine,
    kernel: Kernel,
    label: str,
    start_ns: int,
    bodies: Mapping[int, Body],
    *,
    masked: bool = False,
) -> int:
    # Returns when the last task ended.
    with of_kernel(kernel.own_file):
        kernel.begin_phase(label, start_ns, bodies)
        tasks = engine.run(start_ns, bodies, masked=masked)
        end_ns = max(task.now_ns for task in tasks)
        kernel.end_phase(end_ns)
    accounts = [account for task in tasks for account in task.accounts()]
    for account in sorted(accounts, key=lambda account: account.number):
        off_ns = account.irqs_off_max_ns, account.preempt_off_max_ns
        engine.recorder.task_ended(account.end_ns, account.time_by, *off_ns)
    return end_ns


def _task_cpus(machine: Platform) -> list[int]:
    # Which CPUs the tasks run on is a keyed draw: the first of all CPUs by their draws.
    draws = stream(fold(machine.key, purpose_of("task CPU")), 0, machine.nr_cpus).tolist()
    return sorted(range(machine.nr_cpus), key=lambda cpu: (draws[cpu], cpu))


# A process that maps pages of a node runs there.
def _from_node(phase: Phase, task_cpus: Sequence[int], machine: Platform) -> list[int]:
    there = [cpu for cpu in task_cpus if machine.node_of[cpu] == phase.node]
    return there if phase.action == "map" and there else list(task_cpus)


def _replay(scenario: Scenario, engine: Engine, log: IpiLog) -> None:
    if scenario.kernel_class.MASKED:
        raise InputError(
            f"ipis: {scenario.kernel_class.name} leaves out CPUs, and cannot be replayed"
        )
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
