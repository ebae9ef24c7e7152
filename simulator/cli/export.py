# SPDX-License-Identifier: MIT
"""
``tlbsim export``: a result in formats that others read
-------------------------------------------------------
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.cli.timeline_options import (
    add_timeline_options,
    check_timelines,
    log_text,
    longest_of,
    times_by_cpu,
    write_timelines,
)
from simulator.errors import InputError
from simulator.outputs import check, check_apart, check_new_folder, filling, writing
from simulator.trace.exchange.bycpu import KINDS
from simulator.trace.exchange.chrome import CHROME, write_chrome
from simulator.trace.words import LATENCIES

if TYPE_CHECKING:
    from simulator.trace.exchange.ftrace import Ftrace
    from simulator.trace.result import Result

__all__ = ("EXAMPLE", "HELP", "NAME", "configure", "run")

NAME = "export"
HELP = "Write a saved result, or a trace of a real machine, in formats that others read."
EXAMPLE = (
    "tlbsim run --machine laptop-8 --pages 8 --ftrace trace.txt\n"
    "  tlbsim export trace.txt --histogram flush"
)


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("result", metavar="RESULT", help="a folder (run --out), or a trace")
    parser.add_argument("--csv", metavar="DIR", type=Path, help="every frame as CSV")
    parser.add_argument("--parquet", metavar="DIR", type=Path, help="every frame as Parquet")
    parser.add_argument(
        "--chrome", metavar="FILE", type=Path, help="a timeline, as Chrome and Perfetto open it"
    )
    parser.add_argument(
        "--histogram", choices=LATENCIES, help="print times as bpftrace does, by phase"
    )
    parser.add_argument("--by", choices=("phase", "cpu"), default="phase", help="of --histogram")
    add_timeline_options(parser)


def run(args: Namespace) -> tuple[int, str]:
    """Return the exit status and what to print."""
    folders = {form: getattr(args, form) for form in ("csv", "parquet") if getattr(args, form)}
    if not (folders or args.chrome or args.histogram or args.perfetto or args.ftrace or args.trace):
        raise InputError(
            "export: name a format: --csv, --parquet, --chrome, --perfetto, --ftrace, --trace or"
            " --histogram"
        )
    if args.by == "cpu" and args.histogram not in (None, *KINDS):
        raise InputError(
            f"histogram: {args.histogram} has no CPU of its own; by CPU: {', '.join(KINDS)}"
        )
    longest = longest_of(args)
    for form, folder in folders.items():
        check_new_folder(form, folder)
    if args.chrome:
        check("chrome", args.chrome, CHROME)
    check_timelines(args, {"result": args.result})
    files = {option: getattr(args, option) for option in ("chrome", "perfetto", "ftrace")}
    check_apart(files, folders)

    from simulator.saved import open_result
    from simulator.trace.exchange.tabular import write_frames

    result = open_result(args.result)
    lines = []
    for form, folder in folders.items():
        with filling(form, folder) as temporary:
            lines += [f"{folder / name}" for name in write_frames(result, temporary, form)]
    if args.chrome:
        with (
            writing("chrome", args.chrome, CHROME) as whole,
            whole.open("w", encoding="utf-8") as stream,
        ):
            write_chrome(result, stream, len(result.flushes) if longest is None else longest)
        lines.append(str(args.chrome))
    lines += map(str, write_timelines(args, result))
    if args.histogram:
        by_cpu = args.by == "cpu"
        lines.append(_by_cpu(args, result) if by_cpu else _histograms(result, args.histogram))
    text = log_text(args, result) if args.trace else ""
    return 0, text + "".join(f"{line}\n" for line in lines)


def _by_cpu(args: Namespace, result: Result | Ftrace) -> str:
    from simulator.analysis.histogram import Histogram
    from simulator.report.histogram_text import histogram_text

    blocks = []
    for cpu, times in times_by_cpu(args, result, args.histogram).items():
        found = Histogram.of_buckets(*zip(*times.rows(), strict=True))
        blocks.append(histogram_text(f"cpu{cpu}_{args.histogram}", found))
    return "\n\n".join(blocks) if blocks else f"no time of a {args.histogram} in this result"


def _histograms(result: Result | Ftrace, what: str) -> str:
    from simulator.analysis.histogram import Histogram
    from simulator.report.histogram_text import histogram_text

    latency = result.latency
    phases = list(dict.fromkeys(map(str, latency["phase"])))
    found = {phase: Histogram.of_frame(latency, phase, what) for phase in phases}
    blocks = [histogram_text(f"{phase}_{what}", h) for phase, h in found.items() if h.total]
    return "\n\n".join(blocks) if blocks else f"no time of a {what} in this result"
