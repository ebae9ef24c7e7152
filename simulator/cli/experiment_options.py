# SPDX-License-Identifier: MIT
"""
Options of an experiment: how often, where, what is kept
--------------------------------------------------------
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.cli.output import complain, is_watched, progress_bar
from simulator.cli.parser import number
from simulator.cli.process import INTERRUPTED
from simulator.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from simulator.experiment.axes import Plan
    from simulator.experiment.precision import Wanted
    from simulator.experiment.sweeps import Options, Sweep

__all__ = (
    "FAILED",
    "add_experiment_options",
    "evidence_text",
    "listing",
    "options_of",
    "swept",
    "tornado_of",
    "wanted_of",
)

# Some cells failed; the rest is printed.
FAILED = 1


def add_experiment_options(parser: ArgumentParser) -> None:
    """Add the options."""
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


def wanted_of(args: Namespace) -> Wanted:
    """Return how many replications are wanted."""
    from simulator.experiment.precision import Wanted

    metrics = tuple(args.metric or ("elapsed_s",))
    return Wanted(args.replications, args.precision, metrics, args.max_replications)


def options_of(args: Namespace) -> Options:
    """Return where it runs and what is kept."""
    from simulator.experiment.sweeps import Options

    return Options(jobs=args.jobs, cluster=args.cluster, store=args.store)


def listing(what: Plan, wanted: Wanted, options: Options) -> str:
    """Return what would be simulated, and how long that takes here."""
    from simulator.experiment.estimate import expected_seconds
    from simulator.experiment.workers import most_jobs
    from simulator.report.sweep_text import plan_text

    scenarios = [point.scenario for point in what.points]
    jobs = most_jobs() if options.jobs is None else options.jobs
    return plan_text(what, wanted, expected_seconds(scenarios, wanted.first, jobs))


def tornado_of(args: Namespace, found: Sweep, options: Options) -> pd.DataFrame | None:
    """Return what single uncertain costs do to each ``scenario``, if costs were drawn."""
    from simulator.experiment.sweeps import tornado

    if args.uncertainty is None or not len(found.ranking):
        return None
    ends = tornado(found, options)
    labels = found.frame.drop_duplicates("point").set_index("point")["scenario"]
    ends["scenario"] = ends["point"].map(labels.astype(str))
    return ends


def evidence_text(
    args: Namespace, found: Sweep, options: Options, ends: pd.DataFrame | None
) -> str:
    """Return what an uncertainty and a search for the break-even tell; empty without either."""
    from simulator.experiment.sweeps import broken_even
    from simulator.report.evidence_text import break_even_text, uncertainty_text

    parts = []
    if ends is not None:
        parts.append(uncertainty_text(found.ranking, ends))
    if args.break_even is not None:
        field, bounds = _field_and_bounds(args.break_even)
        crossings = broken_even(found.plan, field, wanted_of(args), options, bounds)
        parts.append(break_even_text(crossings))
    return "".join(f"\n{part}" for part in parts)


def _field_and_bounds(text: str) -> tuple[str, tuple[float, float] | None]:
    field, equals, ends = text.partition("=")
    if not equals:
        return field.replace("-", "_"), None
    low, dots, high = ends.partition("..")
    bounds = (number(low), number(high))
    if not dots or isinstance(bounds[0], str) or isinstance(bounds[1], str):
        raise InputError(f"break-even: must be FIELD or FIELD=LOW..HIGH, not {text!r}")
    return field.replace("-", "_"), (float(bounds[0]), float(bounds[1]))


def swept(
    what: Plan, wanted: Wanted, options: Options, uncertainty: int | None
) -> tuple[int, Sweep]:
    """
    Return the exit status and the sweep; what was finished counts, even if interrupted.

    On a terminal, the points are listed first, and a bar shows when it will be done.
    """
    from simulator.experiment.sweeps import Interrupted, run_plan

    if is_watched():
        sys.stderr.write(listing(what, wanted, options))
    first = wanted.first if uncertainty is None else uncertainty
    bar = progress_bar(len(what.points) * first, "simulations")
    status = 0
    try:
        tick = None if bar is None else bar.update
        found = run_plan(what, wanted, options, tick, uncertainty)
    except Interrupted as interrupt:
        found = interrupt.sweep
        n = max(map(len, found.cells), default=0)
        if not n:
            raise
        status = INTERRUPTED
    finally:
        if bar is not None:
            bar.close()
    for notice in found.notices:
        complain(notice)
    if status:
        wanted_n = wanted.replications if wanted.precision is None else wanted.cap
        complain(f"interrupted; the table covers {n} of {wanted_n} replications")
    for row in found.failed.to_dict("records"):
        if row["command"]:
            complain(f"{row['label'] or 'scenario'}: {row['error']}; repeat: {row['command']}")
    return status or (FAILED if len(found.failed) else 0), found
