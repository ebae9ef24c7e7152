# SPDX-License-Identifier: MIT
"""
``tlbsim compare``: scenarios against the first of them
-------------------------------------------------------
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from simulator.cli.output import complain, json_text, progress_bar
from simulator.cli.parser import number
from simulator.cli.process import INTERRUPTED
from simulator.cli.scenario_options import add_scenario_options, scenarios

if TYPE_CHECKING:
    from simulator.analysis.compare import Comparison
    from simulator.trace.result import Result

__all__ = ("EXAMPLE", "HELP", "NAME", "configure", "run")

NAME = "compare"
HELP = "Compare scenarios with the first of them, over paired replications."
EXAMPLE = "tlbsim compare --kernel v6.6 --kernel v6.7 --pages 64 --replications 5"


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--json", action="store_true", help="print JSON, an object per row")
    parser.add_argument(
        "--replications",
        metavar="N",
        type=number,
        default=10,
        help="runs of each scenario (default 10)",
    )
    add_scenario_options(parser, repeatable=True)


def run(args: Namespace) -> tuple[int, str]:
    """Return the exit status and what to print; what was finished counts, even if interrupted."""
    from simulator.experiment import check_comparable, compared, replicate

    wanted = scenarios(args)
    check_comparable(wanted, args.replications)
    bar = progress_bar(len(wanted) * args.replications, "simulations")
    finished: list[list[Result]] = []
    status = 0
    try:
        # An interrupt leaves in the list what was finished before it.
        finished.extend(replicate(wanted, args.replications, None if bar is None else bar.update))
    except KeyboardInterrupt:
        if not finished:
            raise
        status = INTERRUPTED
    finally:
        if bar is not None:
            bar.close()
    if status:
        complain(
            f"interrupted; the table covers {len(finished)} of {args.replications} replications"
        )
    comparison = compared(finished)
    if args.json:
        return status, json_text(_rows(comparison))
    from simulator.report.compare_text import comparison_text

    return status, comparison_text(comparison)


# JSON knows no NaN: what does not exist is null.
def _rows(comparison: Comparison) -> list[dict[str, Any]]:
    frame = comparison.frame.astype(object)
    return [
        {str(name): value for name, value in row.items()}
        for row in frame.where(frame.notna(), None).to_dict("records")
    ]
