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
    tornado_of,
    wanted_of,
)
from simulator.cli.format_option import add_format_option, check_format, formatted
from simulator.cli.output import STRICT, json_text, whole_files
from simulator.cli.plot import draw_into
from simulator.cli.process import FAILED
from simulator.errors import InputError
from simulator.outputs import check_new_folder

if TYPE_CHECKING:
    import pandas as pd

    from simulator.analysis.compare import Comparison
    from simulator.experiment.sweeps import Sweep

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
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="also draw every plot and write the text there"
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
    if args.out is not None:
        check_new_folder("out", args.out)
    if args.saved:
        from simulator.experiment.saved import compare_saved

        comparison = compare_saved(args.saved)
        text = _text(comparison, args)
        _write(args, comparison, text, None)
        return _status(comparison, args), _shown(args, comparison, text)
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
    text = _text(found.comparison, args)
    ends = None
    if not args.json and (args.format is None or args.out is not None):
        ends = tornado_of(args, found, options)
        text += evidence_text(args, found, options, ends)
    _write(args, found.comparison, text, ends)
    return status or _status(found.comparison, args), _shown(args, found, text)


def _shown(args: Namespace, found: Comparison | Sweep, text: str) -> str:
    return text if args.format is None else formatted(args, found)


# Plots, and the text beside them.
def _write(args: Namespace, comparison: Comparison, text: str, ends: pd.DataFrame | None) -> None:
    if args.out is None:
        return
    with whole_files(args.out) as folder:
        draw_into(folder, comparison, ends=ends)
        (folder / "report.txt").write_text(text, encoding="utf-8")


def _status(comparison: Comparison, args: Namespace) -> int:
    return FAILED if args.strict and comparison.unsafe else 0


def _text(comparison: Comparison, args: Namespace) -> str:
    from simulator.analysis.frames import records
    from simulator.report.compare_text import comparison_text

    return json_text(records(comparison.frame)) if args.json else comparison_text(comparison)
