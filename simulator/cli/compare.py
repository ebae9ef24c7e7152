# SPDX-License-Identifier: MIT
"""
``tlbsim compare``: scenarios against their baseline
----------------------------------------------------
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.cli.axis_options import add_axis_options, plan_of
from simulator.cli.compare_traces import compare_traces
from simulator.cli.experiment_options import (
    add_experiment_options,
    evidence_text,
    listing,
    options_of,
    swept,
    wanted_of,
)
from simulator.cli.format_option import add_format_option, check_format, formatted
from simulator.cli.output import STRICT, json_text
from simulator.cli.process import FAILED
from simulator.errors import InputError

if TYPE_CHECKING:
    from simulator.analysis.compare import Comparison

__all__ = ("EXAMPLE", "HELP", "NAME", "configure", "run")

NAME = "compare"
HELP = (
    "Compare scenarios with their baseline over paired replications, or saved results and stores"
    " with the first of them."
)
EXAMPLE = "tlbsim compare --kernel v6.6,v6.7 --pages 64 --replications 5"


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "saved", metavar="RESULT", nargs="*", type=Path,
        help="saved results or stores to compare, instead of simulating; or traces of real"
        " machines (see: tlbsim trace) and saved results, as counts and distributions",
    )  # fmt: skip
    parser.add_argument(
        "--plot", metavar="FILE", type=Path, help="with a trace: distributions, as PNG"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, an object per row")
    add_format_option(parser)
    parser.add_argument("--strict", action="store_true", help=STRICT)
    add_axis_options(parser)
    add_experiment_options(parser)


def run(args: Namespace) -> tuple[int, str]:
    """Return the exit status and what to print; what was finished counts, even if interrupted."""
    check_format(args)
    # A trace is a file, what was saved a folder.
    if any(path.is_file() for path in args.saved):
        return compare_traces(args)
    if args.plot is not None:
        raise InputError("plot: of a comparison with a trace alone")
    if args.saved:
        from simulator.experiment.saved import compare_saved

        comparison = compare_saved(args.saved)
        if args.format is not None:
            return _status(comparison, args), formatted(args, comparison)
        return _status(comparison, args), _text(comparison, args)
    what = plan_of(args)
    if len(what.points) < 2:
        raise InputError(
            "compare: needs two scenarios or more, not 1; repeat an option, such as"
            " --kernel v6.6 --kernel v6.7"
        )
    wanted = wanted_of(args)
    options = options_of(args)

    if args.plan:
        return 0, listing(what, wanted, options)
    status, found = swept(what, wanted, options, args.uncertainty)
    if found.comparison is None:
        return status, ""
    status = status or _status(found.comparison, args)
    if args.format is not None:
        return status, formatted(args, found)
    text = _text(found.comparison, args)
    return status, text if args.json else text + evidence_text(args, found, options)


def _status(comparison: Comparison, args: Namespace) -> int:
    return FAILED if args.strict and comparison.unsafe else 0


def _text(comparison: Comparison, args: Namespace) -> str:
    from simulator.analysis.frames import records
    from simulator.report.compare_text import comparison_text

    return json_text(records(comparison.frame)) if args.json else comparison_text(comparison)
