# SPDX-License-Identifier: MIT
"""
Times held against real machines
--------------------------------

:func:`plan_times` says what must be simulated to stand beside a file of timings,
and makes the comparison of what was.  Timings of one machine, kernel, HVO setting
and number of pages are phases of one scenario.

Modelled: all CPUs, one writer of nr_hugepages.  An interval is Student's for the
mean over replications, which differ in nothing but their draws; it holds neither
the error of the model nor that of its costs.  With ``quick`` a time is
extrapolated from two runs of fewer pages by
:mod:`simulator.calibration.extrapolation`, which says what is lost by that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.analysis.measured import fitted_to_ns
from simulator.analysis.stats import Estimate, mean_interval
from simulator.calibration import Setting, extrapolated_ns, phase_times, sizes
from simulator.errors import InputError
from simulator.experiment import check_replications
from simulator.experiment.few_pages import with_cache_for
from simulator.machine import Machine, load_machine
from simulator.published.table import phase_order
from simulator.published.times import check_kernel
from simulator.scenario import Scenario

if TYPE_CHECKING:
    from simulator.analysis.frames import ResultTotals
    from simulator.published.times import Timing

__all__ = ("TimeCheck", "TimesPlan", "plan_times")


@dataclass(frozen=True)
class TimeCheck:
    """
    A time of a real machine and the simulated one.

    ``simulated_ns`` is a mean over replications with its interval; ``fitted_to_ns``
    are the times of this cell that the machine was fitted to, as its profile records;
    ``simulated_pages`` is how many the longest run had.
    """

    timing: Timing
    machine: Machine
    simulated_ns: Estimate
    fitted_to_ns: tuple[int, ...]
    simulated_pages: int

    @property
    def fitted(self) -> bool:
        """Whether the machine was fitted to this very time."""
        return self.timing.elapsed_ns in self.fitted_to_ns

    @property
    def predicted(self) -> bool:
        """Whether the machine was fitted to no time of this cell."""
        return not self.fitted_to_ns

    @property
    def error(self) -> float:
        """Simulated over published, less 1."""
        return self.simulated_ns.mean / self.timing.elapsed_ns - 1.0


@dataclass(frozen=True)
class TimesPlan:
    """
    What to simulate for some timings.

    ``runs`` has for each timing the scenarios of every replication: one of all its
    pages, or a shorter and a longer one.
    """

    timings: tuple[Timing, ...]
    runs: tuple[tuple[tuple[Scenario, ...], ...], ...]

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        """Every scenario once, by replication: what was finished when it is cut short is whole."""
        by_replication = zip(*self.runs, strict=True)
        return tuple({s.key: s for runs in by_replication for run in runs for s in run}.values())

    def checks(self, results: Iterable[ResultTotals]) -> list[TimeCheck]:
        """Return the comparison of each timing of which a replication was simulated."""
        simulated = {
            (result.scenario.key, phase): time
            for result in results
            for phase, time in phase_times(result).items()
        }
        found = []
        for timing, runs in zip(self.timings, self.runs, strict=True):
            times_ns = []
            for run in runs:
                done = [simulated.get((s.key, timing.phase)) for s in run]
                short, long = done[0], done[-1]
                if short is not None and long is not None:
                    times_ns.append(extrapolated_ns(short, long, timing.pages))
            if times_ns:
                last = runs[0][-1]
                machine = last.machine_model
                estimate = mean_interval(times_ns)
                fitted = fitted_to_ns(machine, timing.cell)
                found.append(TimeCheck(timing, machine, estimate, fitted, last.pages))
        return found


def plan_times(
    timings: Sequence[Timing],
    machine: Machine | None = None,
    replications: int = 3,
    seed: int = 1,
    quick: bool = False,
) -> TimesPlan:
    """
    Return what to simulate beside some timings.

    ``machine`` takes the place of the ones that the timings name.  Raises InputError,
    with the line of the timing, for what cannot be simulated.
    """
    check_replications(replications)
    groups: dict[tuple[str, Setting], list[Timing]] = {}
    for timing in timings:
        setting = Setting(timing.kernel, timing.hvo, timing.pages, timing.page_size)
        groups.setdefault((timing.machine, setting), []).append(timing)
    runs = {}
    loaded: dict[str, Machine] = {}
    for (name, setting), group in groups.items():
        if machine is None and name not in loaded:
            loaded[name] = _machine(group[0])
        whole = _whole(group, machine or loaded[name], seed)
        pages = sizes(setting, whole.machine_model) if quick else (whole.pages,)
        run = [_part(whole, n, setting) for n in dict.fromkeys(pages)]
        for timing in group:
            runs[timing.line] = tuple(
                tuple(s.replace(replication=nth) for s in run) for nth in range(replications)
            )
    return TimesPlan(tuple(timings), tuple(runs[timing.line] for timing in timings))


def _machine(timing: Timing) -> Machine:
    try:
        return load_machine(timing.machine)
    except InputError as error:
        hint = "--machine names a profile to take"
        raise InputError(f"{timing.where}: {error}; {hint}") from None


def _whole(group: Sequence[Timing], machine: Machine, seed: int) -> Scenario:
    first = group[0]
    check_kernel(first)
    rounds = max(1 + phase_order(timing.phase) // 2 for timing in group)
    try:
        return Scenario(
            machine=machine,
            kernel=first.kernel,
            hvo=first.hvo,
            pages=first.pages,
            page_size=first.page_size,
            phases=("alloc", "free") * rounds,
            seed=seed,
        )
    except InputError as error:
        raise InputError(f"{first.where}: {error}") from None


def _part(whole: Scenario, pages: int, setting: Setting) -> Scenario:
    if pages == whole.pages:
        return whole
    machine = with_cache_for(pages, setting.page_size, whole.machine_model, whole.pages)
    return whole.replace(pages=pages, machine=machine)
