# SPDX-License-Identifier: MIT
"""
``tlbsim sweep``: every combination of options, each against its baseline
-------------------------------------------------------------------------
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from simulator.cli.experiment_options import (
    add_experiment_options,
    asked_of,
    found_of,
    listing,
    shown,
)
from simulator.cli.format_option import check_format

__all__ = ("EXAMPLE", "HELP", "NAME", "configure", "run")

NAME = "sweep"
HELP = "Simulate every combination of options, each against the baseline at the same point."
EXAMPLE = (
    "tlbsim sweep --machine laptop-8 --pages 8 --cpus 2,8 \\\n"
    "      --kernel v6.6,v6.7 --replications 3 --store sweep-1"
)


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    add_experiment_options(parser)


def run(args: Namespace) -> tuple[int, str]:
    """Return the exit status and what to print."""
    check_format(args)
    asked = asked_of(args)
    if args.plan:
        return 0, listing(asked)

    from simulator.report.evidence_text import evidence_text
    from simulator.report.sweep_text import sweep_text

    status, found, evidence = found_of(args, asked)
    text = sweep_text(found, asked.wanted.metrics) + evidence_text(evidence)
    return status, shown(args, found, evidence, found.frame, text)
