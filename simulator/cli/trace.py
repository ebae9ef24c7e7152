# SPDX-License-Identifier: MIT
"""
``tlbsim trace``: what is in the trace of a real machine
--------------------------------------------------------
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from simulator.cli.output import json_text
from simulator.errors import InputError
from simulator.inputs import number, user_path

__all__ = ("EXAMPLE", "HELP", "NAME", "configure", "run")

NAME = "trace"
HELP = (
    "Read the trace of a real machine, as tracefs, trace-cmd report or perf script print it, and"
    " show its flushes."
)
EXAMPLE = "tlbsim run --machine laptop-8 --pages 8 --ftrace trace.txt\n  tlbsim trace trace.txt"


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("file", metavar="FILE", help="a text file, gzipped or not")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--tsc-hz",
        metavar="N",
        type=number,
        help="cycles per second, where trace_clock was x86-tsc",
    )


def run(args: Namespace) -> tuple[int, str]:
    """Return the exit status and what to print."""
    if args.tsc_hz is not None and not isinstance(args.tsc_hz, int):
        raise InputError(f"tsc-hz: {args.tsc_hz} is not a whole number")
    from simulator.report.trace_text import trace_json, trace_report
    from simulator.trace import read_ftrace

    trace = read_ftrace(user_path(args.file, "trace"), tsc_hz=args.tsc_hz)
    return 0, json_text(trace_json(trace)) if args.json else trace_report(trace)
