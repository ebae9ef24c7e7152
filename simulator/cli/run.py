# SPDX-License-Identifier: MIT
"""
``tlbsim run``: one simulation
------------------------------
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from simulator.cli.format_option import add_format_option, check_format, formatted
from simulator.cli.output import NO_CHECK, STRICT, complain, json_text, watched
from simulator.cli.process import FAILED, INTERRUPTED
from simulator.cli.scenario_options import add_scenario_options, scenario_of
from simulator.cli.timeline_options import (
    add_timeline_options,
    check_cpus,
    check_timelines,
    log_text,
    write_timelines,
)
from simulator.errors import InputError
from simulator.outputs import check_apart, check_new_folder

__all__ = ("EXAMPLE", "HELP", "NAME", "configure", "run")

NAME = "run"
HELP = "Simulate one scenario and print what it cost."
EXAMPLE = "tlbsim run --machine laptop-8 --kernel v6.6 --pages 64 --seed 1"


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--json", action="store_true", help="print JSON, an object per phase")
    add_format_option(parser)
    parser.add_argument("--out", metavar="DIR", type=Path, help="also save the result there")
    parser.add_argument(
        "--ipis", metavar="FILE", type=Path, help="also write every IPI there, as Parquet"
    )
    parser.add_argument("--strict", action="store_true", help=STRICT)
    parser.add_argument("--no-check", action="store_true", help=NO_CHECK)
    add_timeline_options(parser)
    add_scenario_options(parser)


def run(args: Namespace) -> tuple[int, str]:
    """Return the exit status and what to print; what cannot be saved after all is printed."""
    scenario = scenario_of(args)
    _check_outputs(args)
    check_cpus(args, scenario.nr_cpus)
    check_format(args)
    if args.strict and args.no_check:
        raise InputError("no-check: --strict needs what must hold to be checked")

    from simulator.report.run_text import run_report, summary_json
    from simulator.run import ALL_CHECKS, simulate

    with watched(scenario.pages * len(scenario.phases), "folios") as watch:
        result = simulate(scenario, watch, None if args.no_check else ALL_CHECKS)
    status = FAILED if args.strict and result.rows("violations") else 0
    if args.format is not None:
        text = formatted(args, result)
    else:
        text = json_text(summary_json(result)) if args.json else run_report(result)
    try:
        if args.out is not None:
            result.save(args.out)
        if args.ipis is not None:
            result.write_ipis(args.ipis)
        write_timelines(args, result)
        if args.trace:
            text = log_text(args, result) + "\n" + text
    except InputError as error:
        complain(str(error))
        status = FAILED
    except KeyboardInterrupt:
        complain("interrupted; not everything was saved")
        status = INTERRUPTED
    return status, text


def _check_outputs(args: Namespace) -> None:
    if args.out is not None:
        check_new_folder("out", args.out)
    if args.trace and (args.json or args.format is not None):
        raise InputError("trace: goes with the plain report only, not with --json or --format")
    inputs = {"machine": args.machine, "kernel": args.kernel, "noise": args.noise}
    check_timelines(args, inputs)
    if args.ipis is not None:
        from simulator.trace.parquet import check_ipis

        check_ipis(args.ipis, inputs)
    files = {option: getattr(args, option) for option in ("ipis", "perfetto", "ftrace")}
    check_apart(files, {"out": args.out})
