# SPDX-License-Identifier: MIT
"""
``tlbsim report``: saved results in the format that someone asked for
---------------------------------------------------------------------
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from simulator.cli.format_option import add_format_option, check_format
from simulator.cli.output import STRICT
from simulator.cli.process import FAILED
from simulator.cli.saved_results import opened

__all__ = ("EXAMPLE", "HELP", "NAME", "configure", "run")

NAME = "report"
HELP = "Print saved results and stores (run --out, sweep --store) as text, rows or a page."
EXAMPLE = (
    "tlbsim run --machine laptop-8 --kernel v6.7 --pages 64 --out run-1\n"
    "  tlbsim report run-1 --format cover-letter"
)


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "saved", metavar="RESULT", nargs="+", type=Path, help="a folder; the first is the baseline"
    )
    add_format_option(parser, "table")
    parser.add_argument("--strict", action="store_true", help=STRICT)


def run(args: Namespace) -> tuple[int, str]:
    """Return the exit status and what to print."""
    check_format(args)

    from simulator.experiment.material import material_of
    from simulator.report.formats import render

    status, comparison = opened(args.saved, alone=True)
    if args.strict and comparison.unsafe:
        status = FAILED
    return status, render(args.format, material_of(comparison, every=args.all))
