# SPDX-License-Identifier: MIT
"""
``tlbsim sweep``: every combination of options, each against its baseline
-------------------------------------------------------------------------
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from simulator.cli.axis_options import add_axis_options, plan_of
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
from simulator.cli.output import STRICT, json_text
from simulator.cli.process import FAILED

__all__ = ("EXAMPLE", "HELP", "NAME", "configure", "run")

NAME = "sweep"
HELP = "Simulate every combination of options, each against the baseline at the same point."
EXAMPLE = (
    "tlbsim sweep --machine laptop-8 --pages 8 --cpus 2,8 \\\n"
    "      --kernel v6.6,v6.7 --replications 3 --store sweep-1"
)


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--json", action="store_true", help="print JSON, an object per row")
    add_format_option(parser)
    parser.add_argument("--strict", action="store_true", help=STRICT)
    add_axis_options(parser)
    add_experiment_options(parser)


def run(args: Namespace) -> tuple[int, str]:
    """Return the exit status and what to print."""
    check_format(args)
    what = plan_of(args)
    wanted = wanted_of(args)
    options = options_of(args)

    from simulator.analysis.frames import records
    from simulator.report.sweep_text import sweep_text

    if args.plan:
        return 0, listing(what, wanted, options)
    status, found = swept(what, wanted, options, args.uncertainty)
    if args.strict and found.comparison is not None and found.comparison.unsafe:
        status = status or FAILED
    if args.format is not None and found.comparison is not None:
        return status, formatted(args, found)
    if args.json:
        return status, json_text(records(found.frame))
    text = sweep_text(found, wanted.metrics)
    ends = tornado_of(args, found, options)
    return status, text + evidence_text(args, found, options, ends)
