# SPDX-License-Identifier: MIT
"""
``tlbsim export``: a result in formats that others read
-------------------------------------------------------
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.errors import InputError
from simulator.inputs import number
from simulator.outputs import check, check_new_folder, filling, writing
from simulator.trace.exchange.chrome import CHROME, write_chrome
from simulator.trace.words import LATENCIES

if TYPE_CHECKING:
    from simulator.trace.exchange.ftrace import Ftrace
    from simulator.trace.result import Result

__all__ = ("EXAMPLE", "HELP", "NAME", "configure", "run")

NAME = "export"
HELP = "Write a saved result, or a trace of a real machine, in formats that others read."
EXAMPLE = "tlbsim export tests/data/ftrace/trace-7.3-4cpu-alloc16-default.txt.gz --histogram flush"
_LONGEST = 100


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("result", metavar="RESULT", help="a folder (run --out), or a trace")
    parser.add_argument("--csv", metavar="DIR", type=Path, help="every frame as CSV")
    parser.add_argument("--parquet", metavar="DIR", type=Path, help="every frame as Parquet")
    parser.add_argument(
        "--chrome", metavar="FILE", type=Path, help="a timeline, as Chrome and Perfetto open it"
    )
    parser.add_argument(
        "--longest",
        metavar="N",
        type=number,
        default=_LONGEST,
        help=f"flushes whose interrupts are in the timeline (default: {_LONGEST})",
    )
    parser.add_argument(
        "--histogram", choices=LATENCIES, help="print times as bpftrace does, by phase"
    )


def run(args: Namespace) -> tuple[int, str]:
    """Return the exit status and what to print."""
    folders = {form: getattr(args, form) for form in ("csv", "parquet") if getattr(args, form)}
    if not (folders or args.chrome or args.histogram):
        raise InputError("export: name a format: --csv, --parquet, --chrome or --histogram")
    if not isinstance(args.longest, int) or args.longest < 0:
        raise InputError(f"longest: {args.longest} is not a whole number from 0 on")
    for form, folder in folders.items():
        check_new_folder(form, folder)
    if args.chrome:
        check("chrome", args.chrome, CHROME)

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
            write_chrome(result, stream, args.longest)
        lines.append(str(args.chrome))
    if args.histogram:
        lines.append(_histograms(result, args.histogram))
    return 0, "\n".join(lines) + "\n"


def _histograms(result: Result | Ftrace, what: str) -> str:
    from simulator.analysis.histogram import Histogram
    from simulator.report.histogram_text import histogram_text

    latency = result.latency
    phases = list(dict.fromkeys(map(str, latency["phase"])))
    found = {phase: Histogram.of_frame(latency, phase, what) for phase in phases}
    blocks = [histogram_text(f"{phase}_{what}", h) for phase, h in found.items() if h.total]
    return "\n\n".join(blocks) if blocks else f"no time of a {what} in this result"
