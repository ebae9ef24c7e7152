# SPDX-License-Identifier: MIT
"""
Single flushes and interrupts held against real machines
--------------------------------------------------------

Simulates what :mod:`simulator.published.benchmarks` has figures of, and
puts the two side by side.

Modelled: the kernel modules :mod:`simulator.kernel.modules.ipi_benchmark` and
:mod:`simulator.kernel.modules.tlb_flush`.  A system call that was timed with its
flush: what it takes alone is given, as published; what other CPUs add to it is
simulated.

Not modelled: what else the other CPUs did.  They are taken to run, or, in
ipi_benchmark, to answer as if they did: the host of a vCPU that halts polls for
it for longer than the time between two IPIs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from simulator.analysis.benchmarks import CallTimes, call_times
from simulator.kernel.modules import Module
from simulator.kernel.modules.ipi_benchmark import NORMAL_IPI, IpiBenchmark
from simulator.kernel.modules.tlb_flush import ALL, TlbFlush
from simulator.machine import Machine, load_machine
from simulator.published.benchmarks import PublishedFigure, published_figures
from simulator.run import simulate_module
from simulator.scenario import Scenario

__all__ = (
    "CEILING",
    "IPI_CASES",
    "IPI_NOISE",
    "SHOOTDOWN_NOISE",
    "BenchmarkCheck",
    "check_benchmarks",
    "ipi_scenarios",
    "pages_of",
)

#: The variants of ipi_benchmark as Linux commit 4180bf1b655a names them, and the setting of the
#: machine; the hypercall takes the place of either mode.
IPI_CASES: Final = {
    "x2apic cluster mode, vanilla": "x2apic_cluster",
    "x2apic cluster mode, pv-ipi": "kvm_hypercall",
    "x2apic physical mode, vanilla": "x2apic_physical",
    "x2apic physical mode, pv-ipi": "kvm_hypercall",
}
IPI_NOISE: Final = {"preset": "idle", "idle_share": 0.0, "preempted_share": 0.0}
#: The others run threads of the process, on a host with a CPU for every vCPU.
SHOOTDOWN_NOISE: Final = {"preset": "quiet", "idle_share": 0.0, "preempted_share": 0.0}
CEILING: Final = "tlb_single_page_flush_ceiling"

_RECEIVED = "Normal IPI received"
_BEFORE = "before"  # a kernel that the model has not, see published_benchmarks


@dataclass(frozen=True)
class BenchmarkCheck:
    """
    A published figure and the simulated one, of the machine of that name here.

    ``simulated_ns`` is None of a figure that is given.
    """

    figure: PublishedFigure
    machine: Machine
    simulated_ns: float | None

    @property
    def error(self) -> float | None:
        """Simulated over published, less one; None of a figure that is given."""
        return None if self.simulated_ns is None else self.simulated_ns / self.figure.ns - 1


def check_benchmarks(
    ntimes: int, seed: int, step: Callable[[], object] | None = None
) -> tuple[BenchmarkCheck, ...]:
    """Simulate ``ntimes`` calls of everything that has a figure; ``step`` is called after each."""

    def run(scenario: Scenario, module: Module) -> dict[str, CallTimes]:
        times = call_times(simulate_module(scenario, module))
        if step is not None:
            step()
        return times

    return (*_ipis(run, ntimes, seed), *_flushes(run, ntimes, seed), *_alone(run, ntimes, seed))


def ipi_scenarios(machine: Machine, seed: int) -> dict[str, Scenario]:
    """Return the scenarios of ipi_benchmark by case."""
    whole = Scenario(machine=machine, pages=1, noise=IPI_NOISE, seed=seed)
    return {
        case: whole
        if mode == machine.ipi.mode.value
        else whole.replace(machine=machine.with_values({"ipi.mode": mode}))
        for case, mode in IPI_CASES.items()
    }


def pages_of(figure: PublishedFigure) -> int:
    """
    Return how many pages the flush of a system call has, as its case says.

    >>> [pages_of(f) for f in published_figures("madvise", "epyc-zen4-vm2")]
    [1, 1, 8, 8]
    """
    return next(int(word) for word in figure.case.split() if word.isdigit())


_Run = Callable[[Scenario, Module], dict[str, CallTimes]]


def _ipis(run: _Run, ntimes: int, seed: int) -> Iterator[BenchmarkCheck]:
    figures = published_figures("ipi_benchmark")
    for name in dict.fromkeys(f.machine for f in figures):
        machine = load_machine(name)
        found: dict[Scenario, dict[str, CallTimes]] = {}
        for case, scenario in ipi_scenarios(machine, seed).items():
            if scenario not in found:
                two = run(scenario.replace(cpus=2), IpiBenchmark((NORMAL_IPI,), ntimes))
                found[scenario] = two | run(scenario, IpiBenchmark(ntimes=ntimes))
            times = found[scenario]
            for f in figures:
                if (f.machine, f.case) == (name, case):
                    received = f.figure == _RECEIVED
                    simulated = times[NORMAL_IPI if received else f.figure]
                    ns = simulated.received_ns if received else simulated.mean_ns
                    yield BenchmarkCheck(f, machine, ns)


def _flushes(run: _Run, ntimes: int, seed: int) -> Iterator[BenchmarkCheck]:
    calls = [f for f in published_figures("madvise") if _BEFORE not in f.case]
    lost = published_figures("victim")
    for name in dict.fromkeys(f.machine for f in calls):
        machine = load_machine(name)
        of_calls = [f for f in calls if f.machine == name]
        of_lost = [f for f in lost if f.machine == name]
        sizes = sorted({*map(pages_of, of_calls), *(int(f.figure) for f in of_lost)})
        counts = sorted({int(f.figure) for f in of_calls} | ({2} if of_lost else set()))
        whole = Scenario(machine=machine, pages=1, noise=SHOOTDOWN_NOISE, seed=seed)
        times = {n: run(whole.replace(cpus=n), TlbFlush(sizes, ntimes)) for n in counts}
        alone = {f.case: f.ns for f in of_calls if f.role == "given"}
        for f in of_calls:
            if f.role == "given":
                yield BenchmarkCheck(f, machine, None)
                continue
            pages = str(pages_of(f))
            added_ns = times[int(f.figure)][pages].mean_ns - times[1][pages].mean_ns
            yield BenchmarkCheck(f, machine, alone[f.case] + added_ns)
        for f in of_lost:
            yield BenchmarkCheck(f, machine, times[2][f.figure].handler_ns)


def _alone(run: _Run, ntimes: int, seed: int) -> Iterator[BenchmarkCheck]:
    figures = published_figures("flush")
    for name in dict.fromkeys(f.machine for f in figures):
        machine = load_machine(name)
        mine = [f for f in figures if f.machine == name]
        sizes = [None if f.figure == ALL else int(f.figure) for f in mine]
        ceiling = {CEILING: max(size or 0 for size in sizes)}
        one = Scenario(machine=machine, pages=1, cpus=1, seed=seed, tunables=ceiling)
        times = run(one, TlbFlush(sizes, ntimes))
        for f in mine:
            yield BenchmarkCheck(f, machine, times[f.figure].mean_ns)
