# SPDX-License-Identifier: MIT
"""
The forms of a line
-------------------

A trace is printed in a dozen forms: by the kernel with or without context,
interrupt flags, thread groups, latencies or symbols, by ``trace-cmd report`` and
by ``perf script``.  :class:`TraceLines` finds out which, line by line, and yields
events; what else it met (headers, lost events, bad lines) it counts.

Modelled: ``trace``, ``trace_pipe``, ``snapshot``, ``per_cpu/*/trace`` of Linux 6.1
to 7.3 with the options irq-info, latency-format, verbose, record-tgid,
context-info, fields, raw, stacktrace and those of function_graph; trace-cmd and
perf with their default fields.

Not modelled: the options ``hex`` and ``bin``.

Sources: kernel/trace/{trace,trace_output,trace_functions_graph}.c; trace-cmd's
``trace-read.c``; perf's ``builtin-script.c``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from simulator.trace.exchange.textfile import TextFile
from simulator.trace.exchange.tracepoints import TRACEPOINTS

__all__ = (
    "FUNCTION",
    "GRAPH_ENTRY",
    "GRAPH_EXIT",
    "GRAPH_LEAF",
    "STACK",
    "BadLine",
    "Event",
    "TraceLines",
)

#: Number of the line, CPU (-1: not printed), task (-1), time (-1), name, the rest of the line.
Event = tuple[int, int, int, int, str, str]

# Lines that are not the event of a name; no event of the kernel has a blank in its name.
FUNCTION: Final = "function entry"  # text: the function
GRAPH_ENTRY: Final = "graph entry"  # text: the function, and arguments if they were printed
GRAPH_LEAF: Final = "graph leaf"  # text: the function, and nanoseconds
GRAPH_EXIT: Final = "graph exit"  # the same; the function may be missing
STACK: Final = "kernel_stack"
# How trace-cmd and perf name the lines of the function tracers.
_OTHERS: Final = frozenset(("function", "funcgraph_entry", "funcgraph_exit"))

_BAD_LINES_KEPT = 20
_BAD_TEXT_KEPT = 60
# So many lines without one of a trace among them, and the file is something else.
_NO_TRACE_LINES = 10_000

# --- lines with an event: task, CPU, time, what happened ------------------------------------

# Possessive: a line that does not fit is given up at once.
_TASK = r"\s*+.*?-(\d++)\s++"
_NAMED = r"(?:([A-Za-z_][\w-]*+):(?:\s++|$))?(.*)"
_DEFAULT = re.compile(
    _TASK
    + r"(?:\(\s*+[-\d]++\)\s*+)?\[(\d++)\]\s++(?:[^\s:]{4,8}\s++)?(\d++(?:\.\d++)?):\s++"
    + _NAMED
)
_LATENCY = re.compile(
    _TASK + r"(\d++)[^\s\d][^\s:]{2,6}\s++(\d++(?:\.\d++)?(?:us)?)[+!#*@$ ]?\s*:\s++(\S.*)"
)
_VERBOSE = re.compile(
    r"\s*.*?\s+(\d+)\s+(\d+) \d+ [0-9a-f]{8} [0-9a-f]{8} \[([0-9a-f]{8,16})\] "
    r"-?[\d.]+(ms)? \(\+-?[\d.]+(?:ms)?\):\s+(\S.*)"
)
_PERF = re.compile(
    r"\s*.*?\s(?:\d+/)?(\d+)\s+(?:\[(\d+)\]\s+)?(?:[^\s:\d]\S{3,7}\s+)?(\d+\.\d+):\s+(?:\d+\s+)?"
    r"[\w.-]+:([\w.-]+:.*)"
)
_RAW = re.compile(r"(\d+) (\d+) (\d+) (type: \d+|[0-9a-fx ]+)$")
_BARE = re.compile(r"[A-Za-z_]\w*: |[A-Za-z_][\w.]*(?:\+0x\S+)?(?: \[\w+\])? <-|<stack trace>$")
_HEAD_CUT = re.compile(r".*?\d: +([A-Za-z_][\w-]*): *(.*)")

# --- function_graph ---------------------------------------------------------------------------

_GRAPH_CPU = re.compile(r"\s*(\d+)\)\s*")
_GRAPH_TIME = re.compile(r"\s*(\d+\.\d{6,9})\s*$")
_GRAPH_TASK = re.compile(r"\s*\S.*-(\d+)\s*$")
_GRAPH_DURATION = re.compile(r"\s*[$*@#!+]?\s*(\d+(?:\.\d+)?) us\s*$")
_GRAPH_FLAGS = re.compile(r"\s*[^\s|]{4,8}\s*$")
_GRAPH_CALL = re.compile(r"([A-Za-z_][\w.]*)(?: \[\w+\])?\((.*?)\)( \{|;)")
_GRAPH_END = re.compile(r"\}(?: /\* ([A-Za-z_][\w.]*)?)?")
_GRAPH_EVENT = re.compile(r"/\* (.*?)(?: \*/)?$")

# --- lines without an event -------------------------------------------------------------------

_LOST = re.compile(
    r"\s*CPU:\s*(\d+)\s*\[(?:LOST\s+)?(?:(\d+)\s+)?EVENTS?(?:\s+(?:LOST|DROPPED))?\]"
)
_PERF_LOST = re.compile(r".*PERF_RECORD_LOST(?:_SAMPLES)?\b.*?lost\s+(\d+)")
_PERF_CHUNKS = re.compile(r"Processed \d+ events and lost \d+ chunks")
_STARTED = re.compile(r"#+ CPU (\d+) buffer started #+")
_ENTRIES = re.compile(r"# entries-in-buffer/entries-written: (\d+)/(\d+)\s+#P:(\d+)")
_LATENCY_ENTRIES = re.compile(r"# latency: .*#(\d+)/(\d+), CPU#.*#P:(\d+)")
_RELEASE = re.compile(r"# \S+ latency trace v\S+ on (\S+)")
_TRACER = re.compile(r"# tracer: (\S+)")
_TRACE_CMD = re.compile(r"cpus=(\d+)$")
_ASIDE = re.compile(
    r"\s*=>\s"  # call chains: of the kernel, of perf
    r"|\s+[0-9a-f]{1,16} \S.*"
    r"|version = |CPU \d+ is empty"  # trace-cmd
    r"|Warning:$|Check IO/CPU overload|\[ perf record"  # perf
    r"|\s*-{4,}$|\s*(?:\d+\)\s+)?\S.*-\d+\s+=>\s+\S.*-\d+\s*$"  # another task, function_graph
    r"|\s*$"
)


@dataclass(frozen=True)
class BadLine:
    """A line that is no part of a trace: its number from 1 on, what it begins with, why."""

    number: int
    text: str
    reason: str


class TraceLines:
    """
    The lines of a trace: :meth:`events`, and what else was met.

    ``in_ticks`` where times are counts of a clock that the file does not name,
    and not nanoseconds; ``entries``: in the buffer and written, by the header;
    ``nr_cpus`` by the header; ``started``: CPUs whose buffer begins late;
    ``losses``: for every sign of lost events, how many events came before it, and
    the CPU; ``lost`` is how many were lost as far as the signs say; ``cut_start``,
    ``cut_end``: the first or last line is not whole; ``bad`` has the first bad lines.
    """

    def __init__(self, file: TextFile) -> None:
        self._file = file
        self.tracer = ""
        self.release = ""
        self.source = "ftrace"
        self.context = False  # task, CPU and time are printed
        self.in_ticks = False
        self.entries: tuple[int, int] | None = None
        self.nr_cpus: int | None = None
        self.nr_lines = 0
        self.nr_comments = 0
        self.nr_events = 0
        self.lost = 0
        self.lost_markers = 0
        self.losses: list[tuple[int, int]] = []
        self.started: set[int] = set()
        self.nr_bad = 0
        self.bad: list[BadLine] = []
        self.cut_start = False
        self.cut_end = False
        self._form: Callable[[int, str], Event | None] = self._no_form

    def events(self) -> Iterator[Event]:
        """Yield the events in the order of the file; raise InputError if it is no trace."""
        number = 0
        line, event = "", None
        for block in self._file.blocks():
            form = self._form
            for line in block:
                number += 1
                if line[:1] in "\t#":  # or nothing
                    self._no_event(line)
                    event = None
                    continue
                # Most lines have the form of the line before.
                event = form(number, line)
                if event is None:
                    event = self._any_form(number, line)
                    form = self._form
                if event is not None:
                    self.nr_events += 1
                    yield event
            if not self.nr_events and self.nr_bad > _NO_TRACE_LINES:
                break
        self.nr_lines = number if self._file.ends_whole else number - 1
        self._check_end(number, line, event)
        if not self.nr_events and not (self.tracer or self.entries):
            raise self._file.refuse("holds no line of a trace")

    def _check_end(self, number: int, line: str, event: Event | None) -> None:
        if self._file.ends_whole or not line:
            return
        if event is not None and _is_whole(event[4], event[5]):
            return
        self.cut_end = True
        if event is not None:
            self._bad_line(number, line, "cut at its end")

    # --- forms ----------------------------------------------------------------------------

    def _any_form(self, number: int, line: str) -> Event | None:
        if self._is_aside(line):
            return None
        for form in (self._default, self._perf, self._latency, self._verbose, self._graph,
                     self._raw, self._bare):  # fmt: skip
            event = form(number, line)
            if event is not None:
                self._form = form
                self.context = self.context or form != self._bare
                return event
        if number == 1:
            # What is left of a line may still say what happened.
            self.cut_start = True
            self._bad_line(number, line, "cut at its start")
            match = _HEAD_CUT.match(line)
            return None if match is None else (number, -1, -1, -1, match[1], match[2])
        self._bad_line(number, line, "not a line of a trace")
        return None

    # Most lines of most files: nothing is called for them that need not be.
    def _default(self, number: int, line: str) -> Event | None:
        match = _DEFAULT.match(line)
        if match is None:
            return None
        pid, cpu, time, name, text = match.groups()
        at = int(time[:-7] + time[-6:]) * 1000 if time[-7:-6] == "." else self._time(time)
        if name is None or name in _OTHERS:
            rest = text if name is None else f"{name}: {text}"
            return self._event(number, int(cpu), int(pid), at, rest)
        return number, int(cpu), int(pid), at, name, text

    # Before any line was recognised.
    def _no_form(self, _number: int, _line: str) -> Event | None:
        return None

    def _latency(self, number: int, line: str) -> Event | None:
        match = _LATENCY.match(line)
        if match is None:
            return None
        pid, cpu, time, rest = match.groups()
        ns = 1000 * int(time[:-2]) if time.endswith("us") and "." not in time else None
        at = self._time(time.removesuffix("us")) if ns is None else ns
        return self._event(number, int(cpu), int(pid), at, rest)

    def _verbose(self, number: int, line: str) -> Event | None:
        match = _VERBOSE.match(line)
        if match is None:
            return None
        pid, cpu, time, in_ms, rest = match.groups()
        self.in_ticks = not in_ms
        at = int(time, 16) * (1000 if in_ms else 1)
        return self._event(number, int(cpu), int(pid), at, rest)

    def _perf(self, number: int, line: str) -> Event | None:
        match = _PERF.match(line)
        if match is None:
            return None
        self.source = "perf"
        pid, cpu, time, rest = match.groups()
        return self._event(
            number, -1 if cpu is None else int(cpu), int(pid), self._time(time), rest
        )

    def _raw(self, number: int, line: str) -> Event | None:
        match = _RAW.match(line)
        if match is None:
            return None
        pid, cpu, time, rest = match.groups()
        name = rest.replace(" ", "") if rest.startswith("type") else "raw"
        return number, int(cpu), int(pid), int(time), name, rest

    def _bare(self, number: int, line: str) -> Event | None:
        # Text of any kind looks like this: not after lines that say where and when.
        if self.context or not _BARE.match(line):
            return None
        return self._event(number, -1, -1, -1, line)

    def _event(self, number: int, cpu: int, pid: int, time: int, rest: str) -> Event | None:
        name, colon, text = rest.partition(":")
        if colon and " " not in name and "(" not in name:
            text = text.lstrip()
            if name == "function":
                return number, cpu, pid, time, FUNCTION, _function(text)
            if name in _OTHERS:
                return self._call(number, cpu, pid, time, text)
            return number, cpu, pid, time, name, text
        if " <-" in rest or (self.tracer == "function" and " " not in rest):
            return number, cpu, pid, time, FUNCTION, _function(rest)
        if rest.startswith(("<stack trace", "<user stack trace")):
            return number, cpu, pid, time, STACK, ""
        return None

    # --- function_graph ---------------------------------------------------------------------

    def _graph(self, number: int, line: str) -> Event | None:
        match = _GRAPH_CPU.match(line)
        if match is None and "|" not in line:
            return None
        return self._call(number, -1, -1, -1, line)

    def _call(self, number: int, cpu: int, pid: int, time: int, text: str) -> Event | None:
        ns = -1
        while text:
            field, bar, after = text.partition("|")
            match = _GRAPH_CPU.match(field)
            if match is not None:
                cpu = int(match[1])
                field = field[match.end() :]
            call = field.strip()
            if call and self._is_call(call):
                # Arguments may have a bar in them.
                whole = (field + bar + after).strip()
                return self._called(number, cpu, pid, time, whole, ns)
            if (match := _GRAPH_DURATION.match(field)) is not None:
                ns = round(float(match[1]) * 1000)
            elif (match := _GRAPH_TIME.match(field)) is not None:
                time = self._time(match[1])
            elif (match := _GRAPH_TASK.match(field)) is not None:
                pid = int(match[1])
            elif call and not _GRAPH_FLAGS.match(field):
                return None
            text = after
        return None

    @staticmethod
    def _is_call(text: str) -> bool:
        return bool(text[0] in "}" or text.startswith("/*") or _GRAPH_CALL.match(text))

    def _called(
        self, number: int, cpu: int, pid: int, time: int, text: str, ns: int
    ) -> Event | None:
        if text.startswith("/*"):
            # An event between calls is printed as a remark.
            match = _GRAPH_EVENT.match(text)
            return self._event(number, cpu, pid, time, match[1]) if match else None
        match = _GRAPH_CALL.match(text)
        if match is None:
            match = _GRAPH_END.match(text)
            function = (match and match[1]) or ""
            return number, cpu, pid, time, GRAPH_EXIT, f"{function} {ns}"
        if match[3] == ";":
            return number, cpu, pid, time, GRAPH_LEAF, f"{match[1]} {ns}"
        return number, cpu, pid, time, GRAPH_ENTRY, f"{match[1]} {match[2]}"

    # --- times --------------------------------------------------------------------------------

    def _time(self, text: str) -> int:
        seconds, dot, fraction = text.partition(".")
        if not dot:
            self.in_ticks = True
            return int(seconds)
        if len(fraction) == 6:
            return int(seconds + fraction) * 1000
        return int(seconds + fraction[:9].ljust(9, "0"))

    # --- lines without an event -------------------------------------------------------------

    def _no_event(self, line: str) -> None:
        if not line.startswith("#"):
            return
        self.nr_comments += 1
        if match := _STARTED.match(line):
            self.started.add(int(match[1]))
            self._loss(int(match[1]))
        elif match := _ENTRIES.match(line) or _LATENCY_ENTRIES.match(line):
            self.entries = int(match[1]), int(match[2])
            self.nr_cpus = int(match[3])
        elif match := _TRACER.match(line):
            self.tracer = match[1]
        elif match := _RELEASE.match(line):
            self.release = match[1]

    def _is_aside(self, line: str) -> bool:
        if match := _LOST.match(line):
            self.lost_markers += 1
            self.lost += int(match[2] or 0)
            self._loss(int(match[1]))
        elif match := _PERF_LOST.match(line):
            self.lost_markers += 1
            self.lost += int(match[1])
            self._loss(-1)
        elif _PERF_CHUNKS.match(line):
            self.lost_markers += 1
            self._loss(-1)
        elif match := _TRACE_CMD.match(line):
            self.source = "trace-cmd"
            self.nr_cpus = int(match[1])
        else:
            return _ASIDE.match(line) is not None or "==========" in line
        return True

    def _loss(self, cpu: int) -> None:
        self.losses.append((self.nr_events, cpu))

    def _bad_line(self, number: int, line: str, reason: str) -> None:
        self.nr_bad += 1
        if len(self.bad) < _BAD_LINES_KEPT:
            self.bad.append(BadLine(number, line[:_BAD_TEXT_KEPT], reason))


def _function(text: str) -> str:
    # Of "func+0x0/0x10 [module] <-caller", "func(args) <-caller" and trace-cmd's "func <-- caller".
    return re.split(r"[+( ]", text, maxsplit=1)[0]


def _is_whole(name: str, text: str) -> bool:
    point = TRACEPOINTS.get(name)
    if point is not None:
        return point.is_whole(text)
    if text.startswith("("):
        return ")" in text
    return bool(text)
