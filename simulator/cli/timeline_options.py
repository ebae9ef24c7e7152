# SPDX-License-Identifier: MIT
"""
Options of what is written event by event
-----------------------------------------
"""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from simulator.errors import InputError
from simulator.inputs import number
from simulator.outputs import check, writing
from simulator.trace.exchange.bycpu import ByCpu
from simulator.trace.exchange.events import OfCpus, Take
from simulator.trace.exchange.ftracetext import FTRACE, TRACERS, FtraceWriter
from simulator.trace.exchange.log import EventLog
from simulator.trace.exchange.perfetto import PERFETTO, PerfettoWriter

if TYPE_CHECKING:
    from simulator.trace.exchange.ftrace import Ftrace
    from simulator.trace.result import Result
    from simulator.trace.tables import Histogram

__all__ = (
    "add_timeline_options",
    "check_cpus",
    "check_timelines",
    "log_text",
    "longest_of",
    "times_by_cpu",
    "window_of",
    "write_timelines",
)

# Flushes whose interrupts are shown, if nothing is said.
_LONGEST: Final = 100
_UNITS: Final = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
_TIME = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s)")


def add_timeline_options(parser: ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group("what happens, event by event")
    group.add_argument("--perfetto", metavar="FILE", type=Path, help="as ui.perfetto.dev opens it")
    group.add_argument("--trace", action="store_true", help="print it, a line each")
    group.add_argument(
        "--ftrace", metavar="FILE", type=Path, help="as text, as the kernel prints its trace"
    )
    group.add_argument(
        "--tracer", choices=TRACERS, default=TRACERS[0], help="of --ftrace (default: nop: events)"
    )
    group.add_argument(
        "--no-irq-info", action="store_true", help="no flags in --ftrace, for tools that know none"
    )
    group.add_argument(
        "--longest",
        metavar="N|all",
        type=lambda text: text if text == "all" else number(text),
        help=f"flushes whose interrupts are there (default: all; of a timeline {_LONGEST}, if"
        " there is no --window)",
    )
    group.add_argument(
        "--window", metavar="FROM:TO", help="only this time of the run, such as 1.5ms:2ms"
    )
    group.add_argument(
        "--cpu",
        metavar="N",
        type=number,
        action="append",
        default=[],
        help="only what happens on these CPUs; may be repeated",
    )
    group.add_argument(
        "--function",
        metavar="NAME",
        action="append",
        default=[],
        help="only these functions of the kernel, * for any letters; may be repeated",
    )


def check_timelines(args: Namespace, inputs: Mapping[str, str | Path | None]) -> None:
    """Raise InputError unless what is asked for can be written."""
    longest_of(args)
    for cpu in args.cpu:
        if not isinstance(cpu, int) or cpu < 0:
            raise InputError(f"cpu: {cpu} is no number of a CPU")
    if args.perfetto is not None:
        check("perfetto", args.perfetto, PERFETTO, inputs)
        # That it is missing must come out before the work.
        PerfettoWriter.check()
    if args.ftrace is not None:
        check("ftrace", args.ftrace, FTRACE, inputs)


def write_timelines(args: Namespace, result: Result | Ftrace) -> list[Path]:
    """Write what is asked for; return the files."""
    from simulator.traced import nr_cpus_of

    written = []
    if args.perfetto is not None:
        with writing("perfetto", args.perfetto, PERFETTO) as whole, whole.open("wb") as stream:
            writer = PerfettoWriter(stream)
            _events(args, result, writer.take, longest_of(args))
        written.append(args.perfetto)
    if args.ftrace is not None:
        with writing("ftrace", args.ftrace, FTRACE) as whole, whole.open("wb") as stream:
            nr_cpus = nr_cpus_of(result)
            text = FtraceWriter(stream, nr_cpus, args.tracer, irq_info=not args.no_irq_info)
            _events(args, result, text.take, None if args.longest is None else longest_of(args))
            text.finish()
        written.append(args.ftrace)
    return written


def log_text(args: Namespace, result: Result | Ftrace) -> str:
    """Return what happens, a line each."""
    log = EventLog()
    _events(args, result, log.take, longest_of(args))
    return "\n".join(log.lines) + "\n"


def times_by_cpu(args: Namespace, result: Result | Ftrace, kind: str) -> Mapping[int, Histogram]:
    """Return how long flushes, acknowledgements or handlers took, by CPU."""
    times = ByCpu(kind)
    _events(args, result, times.take, None if args.longest is None else longest_of(args))
    return dict(sorted(times.histograms.items()))


def _events(args: Namespace, result: Result | Ftrace, take: Take, longest: int | None) -> None:
    from simulator.traced import nr_cpus_of, trace_events

    check_cpus(args, nr_cpus_of(result))
    wanted = partial(_wanted, tuple(args.function) or ("*",))
    chosen = OfCpus(take, args.cpu).take if args.cpu else take
    trace_events(result, chosen, longest=longest, window=window_of(args.window), wanted=wanted)


def check_cpus(args: Namespace, nr_cpus: int) -> None:
    """Raise InputError unless a machine of so many CPUs has those that are asked for."""
    for cpu in args.cpu:
        if cpu >= nr_cpus:
            raise InputError(f"cpu: {cpu} is not 0 to {nr_cpus - 1}")


def window_of(text: str | None) -> tuple[int, int] | None:
    """
    Return a window of time in nanoseconds.

    >>> window_of("1.5ms:2ms")
    (1500000, 2000000)
    """
    if text is None:
        return None
    times = [_TIME.fullmatch(part) for part in text.split(":")]
    if len(times) == 2 and all(times):
        start_ns, end_ns = (round(float(t[1]) * _UNITS[t[2]]) for t in times if t)
        if start_ns < end_ns:
            return start_ns, end_ns
    raise InputError(f"window: {text!r} is not a time and a later one, such as 1.5ms:2ms")


def longest_of(args: Namespace) -> int | None:
    """Return how many flushes are shown with their interrupts; None: all."""
    longest = args.longest
    if longest is None:
        longest = _LONGEST if window_of(args.window) is None else "all"
    if longest == "all":
        return None
    if not isinstance(longest, int) or longest < 0:
        raise InputError(f"longest: {longest} is neither a whole number from 0 on nor all")
    return longest


def _wanted(patterns: tuple[str, ...], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
