# SPDX-License-Identifier: MIT
"""
``tlbsim compare``: scenarios against their baseline
----------------------------------------------------
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.cli.compare_traces import compare_traces
from simulator.cli.experiment_options import (
    add_experiment_options,
    asked_of,
    found_of,
    listing,
    refuse_simulation,
    shown,
)
from simulator.cli.format_option import check_format, formatted
from simulator.cli.output import json_text, whole_files
from simulator.cli.plot import draw_into
from simulator.cli.process import FAILED
from simulator.cli.saved_results import opened
from simulator.errors import InputError
from simulator.outputs import check_new_folder

if TYPE_CHECKING:
    import pandas as pd

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
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="also draw every plot and write the text there"
    )
    add_experiment_options(parser)


def run(args: Namespace) -> tuple[int, str]:
    """Return the exit status and what to print; what was finished counts, even if interrupted."""
    check_format(args)
    if args.saved:
        refuse_simulation(args)
    # A trace is a file, what was saved a folder.
    if any(path.is_file() for path in args.saved):
        return compare_traces(args)
    if args.plot is not None:
        raise InputError("plot: of a comparison with a trace alone")
    if args.out is not None:
        check_new_folder("out", args.out)
    if args.saved:
        return _of_saved(args)
    asked = asked_of(args, least=2)
    if args.plan:
        return 0, listing(asked)

    from simulator.report.compare_text import comparison_text
    from simulator.report.evidence_text import evidence_text

    status, found, evidence = found_of(args, asked)
    if found.comparison is None:
        return status, ""
    text = comparison_text(found.comparison) + evidence_text(evidence)
    _write(args, found.comparison, text, evidence.ends)
    return status, shown(args, found, evidence, found.comparison.frame, text)


def _of_saved(args: Namespace) -> tuple[int, str]:
    from simulator.analysis.frames import records
    from simulator.report.compare_text import comparison_text

    status, comparison = opened(args.saved, alone=False)
    if args.strict and comparison.unsafe:
        status = FAILED
    text = comparison_text(comparison)
    _write(args, comparison, text, None)
    if args.format is not None:
        return status, formatted(args, comparison)
    return status, json_text(records(comparison.frame)) if args.json else text


# Plots, and the text beside them.
def _write(args: Namespace, comparison: Comparison, text: str, ends: pd.DataFrame | None) -> None:
    if args.out is None:
        return
    with whole_files(args.out) as folder:
        draw_into(folder, comparison, ends=ends)
        (folder / "report.txt").write_text(text, encoding="utf-8")
