# SPDX-License-Identifier: MIT
"""
The simulated times of measured cells
-------------------------------------

A fit asks for the same cells again and again, with other costs.  A cell of half
a million folios is simulated with a few thousand and extrapolated.

Modelled: what a folio costs depends on how many there are only by what is still
cached when the kernel comes back to it.  The last-level cache of a run of fewer
folios is as much smaller as they are fewer, but holds what is done to one folio of
every node.  Two runs differ by whole blocks, a block being one PMD's worth of folios
on every NUMA node, so that splits, nodes and the rest of the division are those of
the full size; the time per block of their difference is added up.  What happens once
(static keys, grace periods) is in both and cancels.  Costs of work are taken at
their means, which is what they add up to over many folios of one task.

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
from typing import TYPE_CHECKING

from simulator.analysis.timings import Timing
from simulator.errors import InputError
from simulator.experiment import simulate_totals
from simulator.machine import Machine
from simulator.machine.schema import Cost
from simulator.scenario import Scenario

if TYPE_CHECKING:
    from simulator.analysis.timings import PageSize

__all__ = ("Cells", "Check", "Setting", "sizes", "with_cache_for")

# Folios between the two runs. 2M: about 0.3 s of host time with 252 CPUs and a flush for each.
_FOLIOS = {"2M": 4096, "1G": 64}
_FOLIOS_OF_A_PMD = {"2M": 64, "1G": 1}
_STRUCT_PAGES_BYTES = {"2M": 512 * 64, "1G": 512 * 512 * 64}
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
class Setting:
    """What is simulated once for the cells of all its phases."""

    kernel: str
    hvo: bool
    pages: int
    page_size: PageSize


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
        return [found[_setting(timing)][timing.phase] for timing in timings]

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
                Check(setting, phase, pages, round(extrapolated[phase]), simulated[phase])
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
            return dict(self._simulated(setting, means, wanted, replication))
        less, more = (
            self._simulated(setting, with_cache_for(n, setting, means, wanted), n, replication)
            for n in (short, long)
        )
        return {
            phase: less[phase] + (more[phase] - less[phase]) * (wanted - short) / (long - short)
            for phase in less
        }

    def _simulated(
        self, setting: Setting, machine: Machine, pages: int, replication: int = 0
    ) -> dict[str, int]:
        scenario = self._scenario(setting, machine, pages).replace(replication=replication)
        (totals,) = simulate_totals([scenario], progress=self._progress)
        rows = zip(totals.summary["phase"], totals.summary["elapsed_ns"], strict=True)
        return {str(phase): int(elapsed_ns) for phase, elapsed_ns in rows}

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


def sizes(setting: Setting, machine: Machine) -> tuple[int, int]:
    """Return two numbers of pages that differ from the full one by whole blocks."""
    block = _FOLIOS_OF_A_PMD[setting.page_size] * machine.nr_nodes
    between = -(-_FOLIOS[setting.page_size] // block) * block
    short = setting.pages % block + block
    long = short + between
    return (short, long) if long < setting.pages else (setting.pages, setting.pages)


def with_cache_for(pages: int, setting: Setting, machine: Machine, wanted: int) -> Machine:
    """Return a machine whose last-level cache is to ``pages`` what its own is to ``wanted``."""
    cache = machine.memory.last_level_cache
    scaled = int(cache.exact_bytes) * pages // wanted
    least = machine.nr_nodes * 2 * _STRUCT_PAGES_BYTES[setting.page_size]
    nr_bytes = float(min(max(scaled, least), int(cache.exact_bytes)))
    smaller = cache.model_copy(
        update={"value": nr_bytes, "unit": "bytes", "range": (nr_bytes, nr_bytes)}
    )
    memory = machine.memory.model_copy(update={"last_level_cache": smaller})
    return machine.model_copy(update={"memory": memory})


def _at_means(machine: Machine) -> Machine:
    costs = {
        name: cost.model_copy(update={"spread": None})
        for name, cost in machine.costs
        if isinstance(cost, Cost) and cost.quantiles is None and name not in _FLUSH
    }
    return machine.model_copy(update={"costs": machine.costs.model_copy(update=costs)})
