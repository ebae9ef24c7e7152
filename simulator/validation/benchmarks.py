# SPDX-License-Identifier: MIT
"""
Single flushes and interrupts held against real machines
--------------------------------------------------------

Simulates what :mod:`simulator.published.benchmarks` has figures of, and
puts the two side by side.

Modelled: the kernel modules :mod:`simulator.kernel.modules.ipi_benchmark`,
:mod:`simulator.kernel.modules.tlb_flush` and :mod:`simulator.kernel.modules.tlb_flush2`,
the latter with interrupts on v6.12 and with INVLPGB on v6.15; what a thread does between
two flushes is what the published loop of one thread leaves.  A system call that was timed with its
flush: what it takes alone is given, as published; what other CPUs add to it is
simulated; so is what HVO adds on arm64 (:mod:`simulator.validation.pauses`), and what more
tasks save at boot (:mod:`simulator.validation.parallel_boot`).

Not modelled: what else the other CPUs did.  They are taken to run, or, in
ipi_benchmark, to answer as if they did: the host of a vCPU that halts polls for
it for longer than the time between two IPIs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from simulator.analysis.benchmarks import CallTimes, call_times
from simulator.analysis.frames import records
from simulator.errors import InputError
from simulator.kernel.modules import Module
from simulator.kernel.modules.ipi_benchmark import NORMAL_IPI, IpiBenchmark
from simulator.kernel.modules.tlb_flush import ALL, TlbFlush
from simulator.kernel.modules.tlb_flush2 import LOOPS, TlbFlush2
from simulator.kernel.modules.vmalloc_storm import VmallocStorm
from simulator.machine import Machine, load_machine
from simulator.published.benchmarks import (
    WITHOUT_HVO,
    PublishedFigure,
    published_figures,
    read_figures,
)
from simulator.run import simulate_module
from simulator.scenario import Scenario
from simulator.trace.result import Result
from simulator.validation.parallel_boot import boot_ns
from simulator.validation.pauses import hvo_adds_ns

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

#: The kernel of a mechanism: before v6.15, x86 has interrupts only.
_KERNELS: Final = {"ipi": "v6.12", "invlpgb": "v6.15"}
#: The kernel with the posted deferral, how many CPUs were isolated, and the kinds of broadcasts.
_DEFERRING: Final = "v6.18+defer@v8"
NR_ISOLATED: Final = 26
STORM: Final = ("flush_all", "flush_range", "sync_core")
_PER_BATCH: Final = 3  # broadcasts of do_sync_core()
_NS_PER_CALL: Final = 4000  # how long a thread loops, for each call that is asked for

_RECEIVED = "Normal IPI received"
_BEFORE = "before"  # a kernel that the model has not, see published_benchmarks


@dataclass(frozen=True)
class BenchmarkCheck:
    """
    A published figure and the simulated one, of the machine of that name here.

    ``simulated`` is in the unit of the figure, and None of one that is given.
    """

    figure: PublishedFigure
    machine: Machine
    simulated: float | None

    @property
    def error(self) -> float | None:
        """
        Simulated over published, less one; None of a figure that is given.

        Of none published it is what was simulated.
        """
        if self.simulated is None:
            return None
        if not self.figure.value:
            return self.simulated
        return self.simulated / self.figure.value - 1


def check_benchmarks(
    ntimes: int,
    seed: int,
    step: Callable[[], object] | None = None,
    figures: Sequence[PublishedFigure] | None = None,
) -> tuple[BenchmarkCheck, ...]:
    """
    Simulate ``ntimes`` calls of everything that has a figure; ``step`` is called after each.

    ``figures`` are the published ones unless given.  Raises InputError, with the line, for
    one that cannot be simulated.
    """
    figures = read_figures() if figures is None else figures

    def run(scenario: Scenario, module: Module) -> dict[str, CallTimes]:
        return call_times(simulated(scenario, module))

    def simulated(scenario: Scenario, module: Module) -> Result:
        result = simulate_module(scenario, module)
        if step is not None:
            step()
        return result

    found = [f for f in figures if _BEFORE not in f.case]
    return (
        *_ipis(run, found, ntimes, seed),
        *_flushes(run, found, ntimes, seed),
        *_alone(run, found, ntimes, seed),
        *_tlb_flush2(simulated, found, ntimes, seed),
        *_isolated_cpus(simulated, found, seed),
        *_hvo_pause(step, found, ntimes, seed),
        *_parallel_boot(step, found, ntimes, seed),
    )


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
    Return how many pages the flush of a system call has, or a boot, as its case says.

    >>> from simulator.published.benchmarks import published_figures
    >>> [pages_of(f) for f in published_figures("madvise", "epyc-zen4-vm2")]
    [1, 1, 8, 8]
    """
    found = next((int(word) for word in figure.case.split() if word.isdigit()), 0)
    if not found:
        raise InputError(f"{figure.where}: case: {figure.case!r} has no number of pages")
    return found


_Run = Callable[[Scenario, Module], dict[str, CallTimes]]


def _of(figures: Sequence[PublishedFigure], *benchmarks: str) -> list[PublishedFigure]:
    return [f for f in figures if f.benchmark in benchmarks]


def _by_machine(
    figures: Sequence[PublishedFigure],
) -> Iterator[tuple[Machine, list[PublishedFigure]]]:
    for name in dict.fromkeys(f.machine for f in figures):
        mine = [f for f in figures if f.machine == name]
        try:
            yield load_machine(name), mine
        except InputError as error:
            raise InputError(f"{mine[0].where}: {error}") from None


def _cpus(machine: Machine, figure: PublishedFigure, cpus: int) -> int:
    if cpus > machine.nr_cpus:
        raise InputError(
            f"{figure.where}: number: {cpus} is more than the {machine.nr_cpus} CPUs of"
            f" {machine.name}"
        )
    return cpus


def _ipis(
    run: _Run, figures: Sequence[PublishedFigure], ntimes: int, seed: int
) -> Iterator[BenchmarkCheck]:
    for machine, mine in _by_machine(_of(figures, "ipi_benchmark")):
        for f in mine:
            if f.case not in IPI_CASES:
                known = ", ".join(IPI_CASES)
                raise InputError(f"{f.where}: case: {f.case!r} is not known; known: {known}")
        found: dict[Scenario, dict[str, CallTimes]] = {}
        for case, scenario in ipi_scenarios(machine, seed).items():
            if scenario not in found:
                two = run(scenario.replace(cpus=2), IpiBenchmark((NORMAL_IPI,), ntimes))
                found[scenario] = two | run(scenario, IpiBenchmark(ntimes=ntimes))
            times = found[scenario]
            for f in mine:
                if f.case == case:
                    received = f.figure == _RECEIVED
                    simulated = times[NORMAL_IPI if received else f.figure]
                    ns = simulated.received_ns if received else simulated.mean_ns
                    yield BenchmarkCheck(f, machine, ns)


def _flushes(
    run: _Run, figures: Sequence[PublishedFigure], ntimes: int, seed: int
) -> Iterator[BenchmarkCheck]:
    for machine, mine in _by_machine(_of(figures, "madvise", "victim")):
        of_calls, of_lost = _of(mine, "madvise"), _of(mine, "victim")
        sizes = sorted({*map(pages_of, of_calls), *(int(f.figure) for f in of_lost)})
        counts = sorted(
            {1, *(_cpus(machine, f, int(f.figure)) for f in of_calls)} | ({2} if of_lost else set())
        )
        whole = Scenario(machine=machine, pages=1, noise=SHOOTDOWN_NOISE, seed=seed)
        times = {n: run(whole.replace(cpus=n), TlbFlush(sizes, ntimes)) for n in counts}
        alone = {f.case: f.ns for f in of_calls if f.role == "given"}
        for f in of_calls:
            if f.role == "given":
                yield BenchmarkCheck(f, machine, None)
                continue
            pages = str(pages_of(f))
            if f.case not in alone:
                raise InputError(
                    f"{f.where}: no row of {f.case!r} with 1 thread has the role given"
                )
            added_ns = times[int(f.figure)][pages].mean_ns - times[1][pages].mean_ns
            yield BenchmarkCheck(f, machine, alone[f.case] + added_ns)
        for f in of_lost:
            yield BenchmarkCheck(f, machine, times[2][f.figure].handler_ns)


def _alone(
    run: _Run, figures: Sequence[PublishedFigure], ntimes: int, seed: int
) -> Iterator[BenchmarkCheck]:
    for machine, mine in _by_machine(_of(figures, "flush")):
        sizes = [None if f.figure == ALL else int(f.figure) for f in mine]
        ceiling = {CEILING: max(size or 0 for size in sizes)}
        one = Scenario(machine=machine, pages=1, cpus=1, seed=seed, tunables=ceiling)
        times = run(one, TlbFlush(sizes, ntimes))
        for f in mine:
            yield BenchmarkCheck(f, machine, times[f.figure].mean_ns)


def _tlb_flush2(
    simulated: Callable[[Scenario, Module], Result],
    figures: Sequence[PublishedFigure],
    ntimes: int,
    seed: int,
) -> Iterator[BenchmarkCheck]:
    duration_ns = ntimes * _NS_PER_CALL
    for machine, all_mine in _by_machine(_of(figures, "tlb_flush2")):
        for mechanism, group in groupby(all_mine, key=lambda f: f.mechanism):
            mine = list(group)
            if mechanism == "invlpgb" and machine.mechanisms.invlpgb is None:
                raise InputError(f"{mine[0].where}: mechanism: {machine.name} has no INVLPGB")
            kernel = _KERNELS[mechanism]
            whole = Scenario(
                machine=machine, pages=1, noise=SHOOTDOWN_NOISE, seed=seed, kernel=kernel
            )

            def per_s(threads: int, think_ns: int, scenario: Scenario = whole) -> float:
                program = TlbFlush2(threads, think_ns, duration_ns)
                (counts,) = records(simulated(scenario, program).counts)
                return float(counts[LOOPS] / program.counted_ns * 1e9)

            think_ns = _think_ns(mine, 1e9 / per_s(1, 0))
            for f in mine:
                threads = _cpus(machine, f, int(f.figure))
                given = f.role == "given"
                yield BenchmarkCheck(f, machine, None if given else per_s(threads, think_ns))


def _isolated_cpus(
    simulated: Callable[[Scenario, Module], Result],
    figures: Sequence[PublishedFigure],
    seed: int,
) -> Iterator[BenchmarkCheck]:
    for machine, mine in _by_machine(_of(figures, "isolated_cpus")):
        counted = {f.figure: f for f in mine if f.mechanism == "ipi"}
        times = {kind: _broadcasts(counted.get(kind)) for kind in STORM}
        storm = VmallocStorm(
            times["flush_all"], times["flush_range"], times["sync_core"] // _PER_BATCH
        )
        entries: dict[str, dict[str, int]] = {}
        for f in mine:
            if f.mechanism not in entries:
                _cpus(machine, f, NR_ISOLATED + 1)
                tunables = {
                    "nr_isolated": NR_ISOLATED,
                    "isolated_user_percent": 100 if f.mechanism == "deferred" else 0,
                }
                whole = Scenario(
                    machine=machine, pages=1, seed=seed, kernel=_DEFERRING, tunables=tunables
                )
                cpus = simulated(whole, storm).cpus
                isolated = cpus[cpus["cpu"] >= machine.nr_cpus - NR_ISOLATED]
                entries[f.mechanism] = {
                    str(kind): int(n)
                    for kind, n in isolated.groupby("phase", observed=True)["ipis"].sum().items()
                }
            yield BenchmarkCheck(f, machine, entries[f.mechanism][f.figure])


def _hvo_pause(
    step: Callable[[], object] | None,
    figures: Sequence[PublishedFigure],
    ntimes: int,
    seed: int,
) -> Iterator[BenchmarkCheck]:
    for machine, mine in _by_machine(_of(figures, "hvo_pause")):
        published = published_figures("hvo_pause", machine.name)
        before = {
            (f.case, f.figure): f.ns for f in (*published, *mine) if f.mechanism == WITHOUT_HVO
        }
        for f in mine:
            if f.mechanism == WITHOUT_HVO:
                yield BenchmarkCheck(f, machine, None)
                continue
            if (f.case, f.figure) not in before:
                raise InputError(
                    f"{f.where}: no row of {f.case!r} with {f.figure} pages has the mechanism"
                    f" {WITHOUT_HVO!r}"
                )
            try:
                added_ns = hvo_adds_ns(machine, f.mechanism, f.case, int(f.figure), ntimes, seed)
            except InputError as error:
                raise InputError(f"{f.where}: {error}") from None
            if step is not None:
                step()
            yield BenchmarkCheck(f, machine, before[f.case, f.figure] + added_ns)


def _parallel_boot(
    step: Callable[[], object] | None,
    figures: Sequence[PublishedFigure],
    ntimes: int,
    seed: int,
) -> Iterator[BenchmarkCheck]:
    for machine, all_mine in _by_machine(_of(figures, "parallel_boot")):
        for _case, group in groupby(all_mine, key=lambda f: f.case):
            mine = list(group)
            given = next((f for f in mine if f.role == "given"), None)
            if given is None:
                raise InputError(f"{mine[0].where}: no row of {mine[0].case!r} has the role given")
            times_ns = []
            for f in mine:
                tasks = _cpus(machine, f, int(f.figure))
                try:
                    times_ns.append(boot_ns(machine, pages_of(f), tasks, ntimes, seed))
                except InputError as error:
                    raise InputError(f"{f.where}: {error}") from None
                if step is not None:
                    step()
            scale = given.ns / times_ns[mine.index(given)]
            for f, ns in zip(mine, times_ns, strict=True):
                yield BenchmarkCheck(f, machine, None if f is given else scale * ns)


# How often a call was made that was counted on every isolated CPU.
def _broadcasts(figure: PublishedFigure | None) -> int:
    if figure is None:
        return 0
    nr, rest = divmod(round(figure.value), NR_ISOLATED)
    if rest:
        raise InputError(
            f"{figure.where}: value: {figure.value:.0f} is no multiple of {NR_ISOLATED}"
            f" (nearest: {nr * NR_ISOLATED})"
        )
    return nr


def _think_ns(figures: Sequence[PublishedFigure], loop_ns: float) -> int:
    # What is left of the loop of one thread without what is simulated of it.
    alone = [f for f in figures if f.figure == "1" and f.role == "given"]
    if not alone:
        raise InputError(f"{figures[0].where}: no row of 1 thread has the role given")
    think_ns = round(alone[0].ns - loop_ns)
    if think_ns < 0:
        raise InputError(
            f"{alone[0].where}: value: a loop of {alone[0].ns:.0f} ns is shorter than its flush,"
            f" {loop_ns:.0f} ns"
        )
    return think_ns
