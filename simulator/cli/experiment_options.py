# SPDX-License-Identifier: MIT
"""
Options of an experiment: how often, where, what is kept
--------------------------------------------------------
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.cli.axis_options import add_axis_options, plan_of
from simulator.cli.format_option import add_format_option, formatted
from simulator.cli.output import NO_CHECK, STRICT, complain, is_watched, json_text, stepping
from simulator.cli.parser import Parser
from simulator.cli.process import FAILED, INTERRUPTED
from simulator.errors import InputError
from simulator.inputs import number

if TYPE_CHECKING:
    import pandas as pd

    from simulator.experiment.axes import Plan
    from simulator.experiment.evidence import Evidence
    from simulator.experiment.precision import Wanted
    from simulator.experiment.sweeps import Options, Sweep

__all__ = (
    "Asked",
    "add_experiment_options",
    "asked_of",
    "found_of",
    "listing",
    "refuse_simulation",
    "shown",
)


def add_experiment_options(parser: ArgumentParser) -> None:
    """Add the options of the output, of a scenario as axes, and of how often and where it runs."""
    parser.add_argument(
        "--json", action="store_true",
        help="print JSON, an object per row; with --uncertainty or --break-even an object with"
        " rows, ranking, tornado, break_even",
    )  # fmt: skip
    add_format_option(parser)
    parser.add_argument("--strict", action="store_true", help=STRICT)
    _add_simulation_options(parser)


def refuse_simulation(args: Namespace) -> None:
    """Raise InputError for an option that says what to simulate, beside results that are saved."""
    alone = Parser(add_help=False)
    _add_simulation_options(alone)
    for name, default in vars(alone.parse([])).items():
        if getattr(args, name) != default:
            option = name.replace("_", "-")
            raise InputError(
                f"{option}: says what to simulate, and {args.saved[0]} is there already;"
                " leave it out"
            )


def _add_simulation_options(parser: ArgumentParser) -> None:
    parser.add_argument("--no-check", action="store_true", help=NO_CHECK)
    add_axis_options(parser)
    group = parser.add_argument_group("experiment")
    group.add_argument(
        "--replications", metavar="N", type=number, default=10,
        help="runs of each scenario (default 10)",
    )  # fmt: skip
    group.add_argument(
        "--precision", metavar="SHARE", type=number,
        help="as many runs as it takes until half of each interval is at most that share of its"
        " mean, such as 0.02",
    )  # fmt: skip
    group.add_argument(
        "--metric", metavar="NAME", action="append",
        help="what must be precise, and what a sweep prints (default elapsed_s)",
    )  # fmt: skip
    group.add_argument(
        "--max-replications", metavar="N", type=number, default=200,
        help="with --precision, no more than these (default 200)",
    )  # fmt: skip
    group.add_argument(
        "--store", metavar="DIR", type=Path,
        help="keep every simulation there as soon as it ends, and take from there what is done",
    )  # fmt: skip
    group.add_argument(
        "--jobs", metavar="N", type=number, help="simulations at a time (default: as many as pay)"
    )
    group.add_argument(
        "--cluster", metavar="ADDRESS", help="a dask scheduler to simulate on, tcp://host:8786"
    )
    group.add_argument(
        "--uncertainty", metavar="N", type=number,
        help="N runs, each with uncertain costs of the machine drawn over their ranges",
    )  # fmt: skip
    group.add_argument(
        "--break-even", metavar="FIELD[=LOW..HIGH]",
        help="where elapsed times cross as a number varies: cpus, costs.inject=100..2000",
    )  # fmt: skip
    group.add_argument(
        "--plan", action="store_true",
        help="only list what would be simulated, and how long that takes",
    )  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """An experiment as options ask for it; ``break_even`` is a field and its ends, if given."""

    plan: Plan
    wanted: Wanted
    options: Options
    uncertainty: int | None
    break_even: tuple[str, tuple[float, float] | None] | None

    @property
    def first(self) -> int:
        """How many runs of each scenario there are to begin with."""
        return self.wanted.first if self.uncertainty is None else self.uncertainty


def asked_of(args: Namespace, least: int = 1) -> Asked:
    """Return what is asked for; InputError before anything is simulated, also for too little."""
    if args.strict and args.no_check:
        raise InputError("no-check: --strict needs what must hold to be checked")
    what = plan_of(args)
    if len(what.points) < least:
        raise InputError(
            f"compare: needs two scenarios or more, not {len(what.points)}; repeat an option, such"
            " as --kernel v6.6 --kernel v6.7"
        )

    from simulator.experiment.breakeven import checked_range
    from simulator.experiment.precision import Wanted
    from simulator.experiment.sweeps import Options
    from simulator.experiment.uncertainty import check_draws
    from simulator.experiment.workers import check_jobs

    crossing = None if args.break_even is None else _field_and_bounds(args.break_even)
    if crossing is not None:
        if len(what.points) < 2:
            raise InputError("break-even: needs two scenarios, such as --kernel v6.6,v6.7")
        for i, point in enumerate(what.points):
            if point.baseline != i:
                checked_range(what.points[point.baseline].given, point.given, *crossing)
    if args.uncertainty is not None:
        check_draws(args.uncertainty)
    if args.jobs is not None:
        check_jobs(args.jobs)
    metrics = tuple(args.metric or ("elapsed_s",))
    return Asked(
        what,
        Wanted(args.replications, args.precision, metrics, args.max_replications),
        Options(jobs=args.jobs, cluster=args.cluster, store=args.store, check=not args.no_check),
        args.uncertainty,
        crossing,
    )


def listing(asked: Asked) -> str:
    """Return what would be simulated, and how long that takes here."""
    from simulator.experiment.estimate import expected_seconds
    from simulator.experiment.workers import most_jobs
    from simulator.report.sweep_text import plan_text

    scenarios = [point.scenario for point in asked.plan.points]
    jobs = most_jobs() if asked.options.jobs is None else asked.options.jobs
    seconds = expected_seconds(scenarios, asked.first, jobs)
    return plan_text(asked.plan, asked.wanted, seconds)


def evidence_of(asked: Asked, found: Sweep) -> Evidence:
    """Return what uncertain costs do to each ratio, and where it breaks even, if asked for."""
    from simulator.experiment.evidence import Evidence, broken_even, tornado

    ranking = ends = None
    if asked.uncertainty is not None and len(found.ranking):
        ranking = found.ranking
        ends = tornado(found, asked.options)
        labels = found.frame.drop_duplicates("point").set_index("point")["scenario"]
        ends["scenario"] = ends["point"].map(labels.astype(str))
    crossings = []
    if asked.break_even is not None:
        field, bounds = asked.break_even
        crossings = broken_even(found.plan, field, asked.wanted, asked.options, bounds)
    return Evidence(ranking, ends, tuple(crossings))


def _field_and_bounds(text: str) -> tuple[str, tuple[float, float] | None]:
    field, equals, ends = text.partition("=")
    if not equals:
        return field.replace("-", "_"), None
    low, dots, high = ends.partition("..")
    bounds = (number(low), number(high))
    if not dots or isinstance(bounds[0], str) or isinstance(bounds[1], str):
        raise InputError(f"break-even: must be FIELD or FIELD=LOW..HIGH, not {text!r}")
    return field.replace("-", "_"), (float(bounds[0]), float(bounds[1]))


def found_of(args: Namespace, asked: Asked) -> tuple[int, Sweep, Evidence]:
    """
    Return the exit status, the sweep and what it hangs on.

    What was finished counts, even if interrupted; nothing more is simulated then.  So does the
    sweep where what it hangs on cannot be found out.
    """
    from simulator.experiment.evidence import Evidence

    status, found = swept(asked)
    comparison = found.comparison
    if comparison is None or status == INTERRUPTED:
        return status, found, Evidence()
    if args.strict and comparison.unsafe:
        status = FAILED
    try:
        return status, found, evidence_of(asked, found)
    except InputError as error:
        complain(str(error))
        return FAILED, found, Evidence()
    except KeyboardInterrupt:
        complain("interrupted; the table is whole, what it hangs on is not there")
        return INTERRUPTED, found, Evidence()


def shown(args: Namespace, found: Sweep, evidence: Evidence, frame: pd.DataFrame, text: str) -> str:
    """
    Return what is printed: the text, or what --format or --json ask for.

    JSON is a row of the frame an object; with evidence, an object of rows and evidence.
    """
    if args.format is not None and found.comparison is not None:
        return formatted(args, found, evidence)
    if not args.json:
        return text
    from simulator.analysis.frames import records

    rows, more = records(frame), evidence.rows()
    return json_text({"rows": rows, **more} if more else rows)


def swept(asked: Asked) -> tuple[int, Sweep]:
    """
    Return the exit status and the sweep; what was finished counts, even if interrupted.

    On a terminal, the points are listed first, and a bar shows when it will be done.
    """
    from simulator.experiment.sweeps import Interrupted, run_plan

    if is_watched():
        sys.stderr.write(listing(asked))
    what, wanted = asked.plan, asked.wanted
    status = 0
    try:
        with stepping(len(what.points) * asked.first, "simulations") as step:
            found = run_plan(what, wanted, asked.options, step, asked.uncertainty)
    except Interrupted as interrupt:
        found = interrupt.sweep
        n = max(map(len, found.cells), default=0)
        if not n:
            raise
        status = INTERRUPTED
    for notice in found.notices:
        complain(notice)
    if status:
        wanted_n = wanted.replications if wanted.precision is None else wanted.cap
        complain(f"interrupted; the table covers {n} of {wanted_n} replications")
    alike = found.failed[found.failed["command"] != ""].groupby(["label", "error"], sort=False)
    for (label, error), runs in alike:
        times = f", in {len(runs)} runs" if len(runs) > 1 else ""
        who = str(label) or "scenario"
        complain(f"{who}: {error}{times}; repeat: {runs['command'].iloc[0]}")
    return status or (FAILED if len(found.failed) else 0), found
