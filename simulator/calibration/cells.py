# SPDX-License-Identifier: MIT
"""
The simulated times of measured cells
-------------------------------------

A fit asks for the same cells again and again, with other costs.  A cell of half
a million folios is simulated with a few thousand and extrapolated.

Modelled: what a folio costs depends on how many there are only by what is still
cached when the kernel comes back to it, see :mod:`simulator.calibration.extrapolation`.
Costs of work are taken at their means, which is what they add up to over many folios
of one task.

Draws of flushes leave a simulated time with an error of its own, which more
replications make smaller: as many are run as bring it to 0.2 %, and at most 16.
How large it is, :meth:`Cells.errors` says.

Not modelled: whatever sets in above the size that is simulated;
:meth:`Cells.checks` compares with a longer run.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from simulator.calibration.extrapolation import (
    PhaseTime,
    Setting,
    extrapolated_ns,
    phase_times,
    sizes,
)
from simulator.errors import InputError
from simulator.experiment import simulate_totals
from simulator.experiment.few_pages import with_cache_for
from simulator.machine import Machine
from simulator.machine.values import Cost
from simulator.published.times import Timing
from simulator.scenario import Scenario

__all__ = ("Cells", "Check")

_CHECK = 4  # times as many folios
_PILOT = 5  # replications that show how much they differ
_WANTED_ERROR = 0.002
_MOST_REPLICATIONS = 16
# Costs of which a flush waits for the largest; all others are work of one task, and add up.
_FLUSH = (
    "send", "inject", "handler_entry", "handler_exit", "poll_wake", "invlpg", "flush_full",
    "refill_page", "refill_full", "sync_core",
)  # fmt: skip


@dataclass(frozen=True)
class Check:
    """A longer run against its extrapolation from shorter ones: times by phase."""

    setting: Setting
    phase: str
    pages: int
    extrapolated_ns: int
    simulated_ns: int

    @property
    def error(self) -> float:
        """Extrapolated over simulated, less 1."""
        return self.extrapolated_ns / self.simulated_ns - 1.0


class Cells:
    """The cells of some timings, simulated for any machine of one shape."""

    def __init__(
        self,
        timings: Iterable[Timing],
        noise: str,
        seed: int,
        progress: Callable[[], object] | None = None,
    ) -> None:
        self._wanted: dict[Setting, list[str]] = {}
        self._where: dict[Setting, str] = {}
        for timing in timings:
            setting = _setting(timing)
            self._wanted.setdefault(setting, [])
            self._where.setdefault(setting, timing.where)
            if timing.phase not in self._wanted[setting]:
                self._wanted[setting].append(timing.phase)
        self._noise = noise
        self._seed = seed
        self._progress = progress
        self._replications: dict[Setting, int] = {}
        self._errors: dict[tuple[Setting, str], float] = {}

    def check_possible(self, machine: Machine) -> None:
        """Raise InputError unless each cell can be simulated at its full size."""
        for setting in self._wanted:
            self._scenario(setting, machine, setting.pages)

    def prepare(self, machine: Machine) -> None:
        """Choose how many replications it takes: of a machine like the one to be fitted."""
        for setting in self._wanted:
            pilot = [self._extrapolated(setting, machine, nth) for nth in range(_PILOT)]
            spread = {
                phase: statistics.stdev(times) / statistics.fmean(times)
                for phase in self._wanted[setting]
                if (times := [run[phase] for run in pilot])
            }
            enough = math.ceil((max(spread.values()) / _WANTED_ERROR) ** 2)
            number = min(max(enough, 1), _MOST_REPLICATIONS)
            self._replications[setting] = number
            for phase, share in spread.items():
                self._errors[setting, phase] = share / math.sqrt(number)

    def errors(self, timings: Iterable[Timing]) -> list[float]:
        """Return the standard error of each simulated time, as a share of it."""
        return [self._errors.get((_setting(t), t.phase), 0.0) for t in timings]

    def times_ns(self, machine: Machine, timings: Sequence[Timing]) -> list[float]:
        """Return the simulated time of each timing, extrapolated to its size."""
        found = {}
        for setting in dict.fromkeys(_setting(timing) for timing in timings):
            number = self._replications.get(setting, 1)
            runs = [self._extrapolated(setting, machine, nth) for nth in range(number)]
            for phase in self._wanted[setting]:
                found[setting, phase] = statistics.fmean(run[phase] for run in runs)
        return [found[_setting(timing), timing.phase] for timing in timings]

    def full_times_ns(self, machine: Machine, timings: Sequence[Timing]) -> list[float]:
        """Return the simulated time of each timing at its full size, which may take minutes."""
        wanted = dict.fromkeys(_setting(timing) for timing in timings)
        found = {s: self._simulated(s, machine, s.pages) for s in wanted}
        return [found[_setting(timing)][timing.phase].elapsed_ns for timing in timings]

    def checks(self, machine: Machine) -> list[Check]:
        """Return a longer run of each setting against its extrapolation."""
        done = []
        for setting in self._wanted:
            short, long = sizes(setting, machine)
            if long == setting.pages:
                continue
            pages = min(setting.pages, short + _CHECK * (long - short))
            extrapolated = self._extrapolated(setting, machine, pages=pages)
            simulated = self._simulated(setting, _at_means(machine), pages)
            done += [
                Check(
                    setting, phase, pages, round(extrapolated[phase]), simulated[phase].elapsed_ns
                )
                for phase in self._wanted[setting]
            ]
        return done

    def _extrapolated(
        self,
        setting: Setting,
        machine: Machine,
        replication: int = 0,
        *,
        pages: int | None = None,
    ) -> dict[str, float]:
        wanted = setting.pages if pages is None else pages
        short, long = sizes(setting, machine)
        means = _at_means(machine)
        if wanted <= long:
            whole = self._simulated(setting, means, wanted, replication)
            return {phase: time.elapsed_ns for phase, time in whole.items()}
        less, more = (
            self._simulated(
                setting, with_cache_for(n, setting.page_size, means, wanted), n, replication
            )
            for n in (short, long)
        )
        return {phase: extrapolated_ns(less[phase], more[phase], wanted) for phase in less}

    def _simulated(
        self, setting: Setting, machine: Machine, pages: int, replication: int = 0
    ) -> dict[str, PhaseTime]:
        scenario = self._scenario(setting, machine, pages).replace(replication=replication)
        (totals,) = simulate_totals([scenario], progress=self._progress)
        return phase_times(totals)

    def _scenario(self, setting: Setting, machine: Machine, pages: int) -> Scenario:
        rounds = max(_round_of(phase) for phase in self._wanted[setting])
        scenario = Scenario(
            machine=machine,
            kernel=setting.kernel,
            hvo=setting.hvo,
            pages=1,
            page_size=setting.page_size,
            phases=("alloc", "free") * rounds,
            noise=self._noise,
            seed=self._seed,
        )
        try:
            return scenario.replace(pages=pages)
        except InputError as error:
            raise InputError(f"{self._where[setting]}: {error}") from None


def _setting(timing: Timing) -> Setting:
    return Setting(timing.kernel, timing.hvo, timing.pages, timing.page_size)


def _round_of(phase: str) -> int:
    return int(phase.lstrip("alocfre") or 1)


def _at_means(machine: Machine) -> Machine:
    costs = {
        name: cost.model_copy(update={"spread": None})
        for name, cost in machine.costs
        if isinstance(cost, Cost) and cost.quantiles is None and name not in _FLUSH
    }
    return machine.model_copy(update={"costs": machine.costs.model_copy(update=costs)})
