# SPDX-License-Identifier: MIT
"""
``tlbsim run``: one simulation
------------------------------
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from simulator.cli.output import check_folder, check_parquet, json_text
from simulator.cli.scenario_options import add_scenario_options, scenarios

__all__ = ("EXAMPLE", "HELP", "NAME", "configure", "run")

NAME = "run"
HELP = "Simulate one scenario and print what it cost."
EXAMPLE = "tlbsim run --machine laptop-8 --kernel v6.6 --pages 64 --seed 1"


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--json", action="store_true", help="print JSON, an object per phase")
    parser.add_argument("--out", metavar="DIR", type=Path, help="also save the result there")
    parser.add_argument(
        "--ipis", metavar="FILE", type=Path, help="also write every IPI there, as Parquet"
    )
    add_scenario_options(parser, repeatable=False)


def run(args: Namespace) -> tuple[int, str]:
    """Return the exit status and what to print."""
    (scenario,) = scenarios(args)
    if args.out is not None:
        check_folder(args.out)
    if args.ipis is not None:
        check_parquet(args.ipis)

    from simulator.report.run_text import run_report, summary_json
    from simulator.run import simulate

    result = simulate(scenario)
    if args.out is not None:
        result.save(args.out)
    if args.ipis is not None:
        result.write_ipis(args.ipis)
    return 0, json_text(summary_json(result)) if args.json else run_report(result)
