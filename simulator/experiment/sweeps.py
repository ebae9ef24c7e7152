# SPDX-License-Identifier: MIT
"""
Sweeps: many scenarios, each against its baseline
-------------------------------------------------

The points of a plan are simulated over replications that share their noise, each
is compared with the baseline at the same point of all other axes, and what failed
is a row with its error and the command that repeats it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.analysis.frames import name_of, phases_of
from simulator.analysis.stats import REPLICATIONS, UNCERTAINTY
from simulator.bars import notebook_bar
from simulator.errors import InputError
from simulator.experiment.axes import Axis, Plan, Point, plan
from simulator.experiment.cell import Cell
from simulator.experiment.cluster import cluster_executor
from simulator.experiment.command import run_command
from simulator.experiment.pairs import check_comparable
from simulator.experiment.precision import Wanted
from simulator.experiment.runner import Runner
from simulator.experiment.store import Store
from simulator.experiment.travel import self_contained
from simulator.experiment.uncertainty import Drawn, check_draws, rank
from simulator.scenario import Scenario
from simulator.shown import Shown

if TYPE_CHECKING:
    import pandas as pd

    from simulator.analysis.compare import Comparison

__all__ = (
    "Interrupted",
    "Options",
    "Sweep",
    "compare",
    "elapsed_of",
    "listed",
    "opened_runner",
    "run_plan",
    "sweep",
)

Progress = Callable[[], object]


@dataclass(frozen=True)
class Options:
    """
    Where an experiment runs and what it keeps.

    ``jobs`` processes, ``None``: as many as pay; or an ``executor`` of
    ``concurrent.futures``; or the address of a dask scheduler as ``cluster``.
    ``store`` is the folder that cells are kept in and taken from; ``check`` whether runs
    are held against what must hold.
    """

    jobs: int | None = 1
    executor: Executor | None = None
    cluster: str | None = None
    store: str | Path | None = None
    check: bool = True


@dataclass(frozen=True, eq=False, repr=False)
class Sweep(Shown):
    """
    What came out of a sweep.

    ``cells[i]`` are the replications of ``plan.points[i]``; ``notices`` says what had
    to be noticed: what has changed since the store was used last, what is damaged.  Of a
    sweep with an uncertainty, ``draws`` are the costs that the replications had.
    """

    plan: Plan
    cells: Sequence[Sequence[Cell]]
    notices: Sequence[str] = ()
    draws: Drawn | None = None

    @cached_property
    def comparison(self) -> Comparison | None:
        """Every point that has a whole baseline and no error, against it; None if none has."""
        from simulator.analysis.compare import compare_results

        whole = self._whole
        if not whole:
            return None
        place = {point: i for i, point in enumerate(whole)}
        return compare_results(
            [self.cells[i] for i in whole],
            baselines=[place[self.plan.points[i].baseline] for i in whole],
            method=REPLICATIONS if self.draws is None else UNCERTAINTY,
        )

    @cached_property
    def ranking(self) -> pd.DataFrame:
        """
        Which uncertain costs the ratio of elapsed times hangs on, the strongest first.

        One row per point other than a baseline, phase and factor: ``point``, ``label``,
        ``phase`` and the columns of :func:`simulator.experiment.uncertainty.rank`.  Empty
        without draws.
        """
        import pandas as pd

        parts = []
        for i in self._whole if self.draws is not None else ():
            base = self.plan.points[i].baseline
            if base == i or self.draws is None:
                continue
            for phase in phases_of(self.cells[i][0]):
                ratios = [
                    elapsed_of(cell, phase) / elapsed_of(of, phase)
                    for cell, of in zip(self.cells[i], self.cells[base], strict=True)
                ]
                found = rank(self.draws.table(i).iloc[: len(ratios)], ratios)
                found.insert(0, "phase", phase)
                found.insert(0, "label", self.plan.points[i].label)
                found.insert(0, "point", i)
                parts.append(found)
        empty = pd.DataFrame(columns=["point", "label", "phase", "factor"])
        return pd.concat(parts, ignore_index=True) if parts else empty

    @cached_property
    def frame(self) -> pd.DataFrame:
        """
        The rows of :attr:`Comparison.frame`, with a column for each axis in front.

        A point that failed, or whose baseline did, has one row with its ``error`` and
        no numbers.
        """
        import pandas as pd

        names = [name for axis in self.plan.axes for name in axis.names]
        points = pd.DataFrame(
            [[name_of(p.changes[name]) for name in names] for p in self.plan.points],
            columns=names,
        )
        failed = self.failed.drop_duplicates("point")[["point", "error"]]
        parts = [failed.join(points, on="point")]
        if self.comparison is not None:
            found = self.comparison.frame.copy()
            place = dict(zip(self.comparison.labels, self._whole, strict=True))
            found["point"] = found["scenario"].map(place).astype(int)
            parts.insert(0, found.join(points, on="point").assign(error=""))
        frame = pd.concat([part for part in parts if len(part)], ignore_index=True)
        return frame[["point", *names, *(c for c in frame.columns if c not in ("point", *names))]]

    @cached_property
    def failed(self) -> pd.DataFrame:
        """
        One row per cell that failed: ``point``, ``label``, ``replication``, ``error``, ``command``.

        A point whose baseline failed has a row, too, without a replication (-1).
        """
        import pandas as pd

        rows = []
        for i, (point, cells) in enumerate(zip(self.plan.points, self.cells, strict=True)):
            for cell in cells:
                if cell.error:
                    command = run_command(point.given, cell.scenario.replication)
                    rows.append((i, point.label, cell.scenario.replication, cell.error, command))
            if not any(cell.error for cell in cells) and i not in self._whole:
                rows.append((i, point.label, -1, "its baseline failed", ""))
        columns = ["point", "label", "replication", "error", "command"]
        return pd.DataFrame(rows, columns=columns)

    @cached_property
    def _whole(self) -> tuple[int, ...]:
        good = {i for i, of in enumerate(self.cells) if of and not any(c.error for c in of)}
        return tuple(
            i for i, point in enumerate(self.plan.points) if i in good and point.baseline in good
        )


def sweep(
    base: Scenario | Mapping[str, Any],
    axes: Mapping[str | tuple[str, ...], Iterable[Any]] | Sequence[Axis],
    *,
    baseline: Mapping[str, Any] | None = None,
    replications: int = 10,
    precision: float | None = None,
    metrics: Sequence[str] = ("elapsed_s",),
    max_replications: int = 200,
    jobs: int | None = 1,
    executor: Executor | None = None,
    cluster: str | None = None,
    store: str | Path | None = None,
    uncertainty: int | None = None,
    check: bool = True,
    progress: Progress | None = None,
) -> Sweep:
    """
    Simulate the product of axes around a scenario, each point against its baseline.

    ``axes`` maps a name to values, or a tuple of names to tuples of values; see
    :mod:`simulator.experiment.axes`.  There are ``replications`` of each point or, with
    a ``precision`` such as 0.02, as many as it takes until the half-width of every
    interval of ``metrics`` is at most that part of the mean, up to
    ``max_replications``.  ``jobs``, ``executor``, ``cluster`` and ``store`` say where
    it runs and what is kept; results are the same.  ``jobs`` other than 1 start
    processes: a script that asks for them has to guard its main code.  ``progress`` is
    called after every simulation.  Without ``check``, runs are not held against what must
    hold, which takes a little less time.  In a notebook, a bar shows how far it is.

    With an ``uncertainty`` of N there are N replications, each with costs of its own drawn
    over their ranges, the same at all points that are compared; see
    :mod:`simulator.experiment.uncertainty`.

    >>> found = sweep(
    ...     {"machine": "laptop-8", "pages": 1, "phases": ("alloc",)},
    ...     {"kernel": ["v6.6", "v6.7"], "cpus": [2, 4]}, replications=1,
    ... )
    >>> [point.baseline for point in found.plan.points]
    [0, 1, 0, 1]
    """
    wanted = Wanted(replications, precision, tuple(metrics), max_replications)
    options = Options(jobs, executor, cluster, store, check)
    what = plan(base, axes, baseline)
    n = wanted.first if uncertainty is None else uncertainty
    with notebook_bar(len(what.points) * n, "simulations") as bar:
        tick = bar.update if progress is None and bar is not None else progress
        return run_plan(what, wanted, options, tick, uncertainty)


def compare(
    scenarios: Sequence[Scenario],
    replications: int = 10,
    progress: Progress | None = None,
    *,
    precision: float | None = None,
    metrics: Sequence[str] = ("elapsed_s",),
    max_replications: int = 200,
    jobs: int | None = 1,
    executor: Executor | None = None,
    cluster: str | None = None,
    store: str | Path | None = None,
    check: bool = True,
) -> Comparison:
    """
    Compare scenarios with the first of them, over replications 0, 1, ... of each.

    The options are those of :func:`sweep`.  InputError, with the error and the command
    that repeats it, if a simulation fails.
    """
    wanted = Wanted(replications, precision, tuple(metrics), max_replications)
    options = Options(jobs, executor, cluster, store, check)
    what = listed(scenarios)
    with notebook_bar(len(what.points) * wanted.first, "simulations") as bar:
        tick = bar.update if progress is None and bar is not None else progress
        found = run_plan(what, wanted, options, tick)
    if found.comparison is None or len(found.failed):
        row = found.failed.iloc[0]
        raise InputError(f"compare: {row['error']}; repeat it with: {row['command']}")
    return found.comparison


def listed(scenarios: Sequence[Scenario]) -> Plan:
    """Return the plan of scenarios that are no product of axes, against the first of them."""
    check_comparable(scenarios)
    points = [
        Point({}, {name: getattr(s, name) for name in Scenario.model_fields}, s, 0)
        for s in scenarios
    ]
    return Plan((), tuple(points), ())


class Interrupted(KeyboardInterrupt):
    """An interrupt, with what was finished before it: whole replications of each group."""

    def __init__(self, found: Sweep) -> None:
        super().__init__()
        self.sweep = found


def run_plan(
    what: Plan,
    wanted: Wanted,
    options: Options,
    progress: Progress | None = None,
    uncertainty: int | None = None,
) -> Sweep:
    """Simulate the points of a plan; :class:`Interrupted` by whoever does not want to wait."""
    finished: list[dict[int, Cell]] = [{} for _ in what.points]
    notices: list[str] = []
    draws: Drawn | None = None
    if uncertainty is not None:
        if wanted.precision is not None:
            raise InputError("uncertainty: is a number of draws; leave out the precision")
        check_draws(uncertainty)
        wanted = replace(wanted, replications=uncertainty)
    with opened_runner(options, what.points, notices, progress) as runner:
        if uncertainty is not None:
            draws = Drawn([point.scenario for point in what.points], uncertainty, runner)
            notices += draws.notices
        try:
            _rounds(what, wanted, runner, finished, draws)
        except KeyboardInterrupt:
            raise Interrupted(Sweep(what, _whole(what, finished), tuple(notices), draws)) from None
    return Sweep(what, _whole(what, finished), tuple(notices), draws)


@contextmanager
def opened_runner(
    options: Options,
    points: Sequence[Point],
    notices: list[str],
    progress: Progress | None = None,
) -> Iterator[Runner]:
    """Yield the runner of some options; what has to be noticed is appended to ``notices``."""
    store = None if options.store is None else Store(options.store, check=options.check)
    if store is not None:
        notices += [
            f"store: {change} since it was used last; what depends on it is simulated anew"
            for change in store.notice_changes(point.scenario for point in points)
        ]
    with ExitStack() as stack:
        executor, workers = options.executor, None
        if options.cluster is not None:
            executor, workers = stack.enter_context(cluster_executor(options.cluster))
        runner = Runner(
            jobs=options.jobs, executor=executor, workers=workers, store=store,
            check=options.check, progress=progress,
        )  # fmt: skip
        runner.notices = notices
        yield stack.enter_context(runner)


def _rounds(
    what: Plan,
    wanted: Wanted,
    runner: Runner,
    finished: Sequence[dict[int, Cell]],
    draws: Drawn | None,
) -> None:
    from simulator.analysis.compare import compare_results

    whole = [self_contained(point.scenario) for point in what.points]
    groups = dict.fromkeys(what.groups(), wanted.first)
    while groups:
        # Replication by replication, so that one who stops early has whole pairs.
        asked = [
            (i, replication)
            for replication in range(max(groups.values()))
            for group, n in groups.items()
            for i in group
            if replication < n and replication not in finished[i]
        ]
        scenarios = [
            whole[i].replace(replication=n)
            if draws is None
            else whole[i].replace(replication=n, machine=draws.machine(i, n))
            for i, n in asked
        ]
        for place, cell in runner.run(scenarios):
            i, replication = asked[place]
            finished[i][replication] = cell if draws is None else _as_drawn(cell, whole[i])
        more = {}
        for group, n in groups.items():
            cells = [list(finished[i].values()) for i in group]
            if wanted.precision is None or any(cell.error for of in cells for cell in of):
                continue
            needed = wanted.next(compare_results(_whole_of(group, finished)), n)
            if needed > n:
                more[group] = needed
        groups = more


# A draw is no change by the user: the cell says of its costs what the profile says.
def _as_drawn(cell: Cell, nominal: Scenario) -> Cell:
    machine = nominal.machine_model
    said = {
        "set": machine.changed(),
        "assumed_costs": machine.count_kinds()["assumed"],
        "fitted": list(machine.fitted(patched=False)),
        "fitted_to_patched": list(machine.fitted(patched=True)),
    }
    provenance = {**cell.provenance, **said} if cell.provenance else cell.provenance
    return replace(cell, provenance=provenance)


def _whole(what: Plan, finished: Sequence[Mapping[int, Cell]]) -> list[list[Cell]]:
    cells: list[list[Cell]] = [[] for _ in what.points]
    for group in what.groups():
        for i, found in zip(group, _whole_of(group, finished), strict=True):
            cells[i] = found
    return cells


# The first replications that all points of a group have.
def _whole_of(group: Sequence[int], finished: Sequence[Mapping[int, Cell]]) -> list[list[Cell]]:
    n = 0
    while all(n in finished[i] for i in group):
        n += 1
    return [[finished[i][replication] for replication in range(n)] for i in group]


def elapsed_of(cell: Cell, phase: str) -> float:
    """Return the elapsed time of a phase in nanoseconds."""
    table = cell.summary
    return float(table[table["phase"] == phase]["elapsed_ns"].iloc[0])
