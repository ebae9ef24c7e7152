# SPDX-License-Identifier: MIT
"""
Chrome's JSON of a result
-------------------------

Trace Event Format, which chrome://tracing and ui.perfetto.dev open: for each CPU a
track of its task's broadcasts, with sending and waiting inside, and one of the
handlers of interrupts, with an arrow from each broadcast to each handler.
A handler is from where it started to the release of the last csd that it took.

Broadcasts are all there; interrupts, which a run may have hundreds of millions of,
those of the longest broadcasts.  Times are microseconds with three decimals, so
that no nanosecond is lost.

Source: "Trace Event Format", Google, docs.google.com/document/d/
1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from simulator.outputs import Kind

if TYPE_CHECKING:
    import pandas as pd

__all__ = ("CHROME", "Broadcasts", "write_chrome")

_BEGINS: Final = '{"displayTimeUnit": "ns", "traceEvents": ['
#: What such a file is known by.
CHROME: Final = Kind("a timeline", lambda head: head.startswith(_BEGINS.encode()))

_TASKS, _HANDLERS = 1, 2  # as processes, which group the tracks


class Broadcasts(Protocol):
    """A result, or the trace of a real machine."""

    @property
    def flushes(self) -> pd.DataFrame:
        """One row per broadcast."""

    def ipis(self, flushes: Any) -> pd.DataFrame:
        """One row per interrupt of some broadcasts."""


def write_chrome(result: Broadcasts, file: IO[str], longest: int) -> int:
    """
    Write a result, with the interrupts of its ``longest`` broadcasts; return the events.

    A broadcast or an interrupt whose times the trace of a real machine does not tell
    is left out.
    """
    file.write(_BEGINS)
    written = 0
    for event in _events(result, longest):
        file.write((",\n" if written else "\n") + json.dumps(event, allow_nan=False))
        written += 1
    file.write("\n]}\n")
    return written


def _events(result: Broadcasts, longest: int) -> Iterator[dict[str, Any]]:
    flushes = result.flushes
    flushes = flushes[(flushes["start_ns"] >= 0) & (flushes["end_ns"] >= flushes["start_ns"])]
    for pid, name in ((_TASKS, "broadcasts"), (_HANDLERS, "interrupt handlers")):
        yield {"ph": "M", "name": "process_name", "pid": pid, "args": {"name": name}}
    for row in flushes.to_dict("records"):
        yield from _broadcast(row)
    took = flushes["end_ns"] - flushes["start_ns"]
    chosen = flushes["flush"][took.nlargest(longest).index]
    if len(chosen):
        yield from _handlers(result.ipis([int(flush) for flush in chosen]), flushes)


def _broadcast(row: Mapping[Any, Any]) -> Iterator[dict[str, Any]]:
    start_ns, sent_ns, end_ns = (int(row[f"{name}_ns"]) for name in ("start", "send_end", "end"))
    told = {
        name: row[name]
        for name in ("phase", "flush", "task", "kind", "pages", "targets", "ipis", "slowest_cpu")
    }
    yield _slice(_TASKS, row["cpu"], str(row["reason"]), start_ns, end_ns) | {"args": told}
    if start_ns <= sent_ns <= end_ns:
        yield _slice(_TASKS, row["cpu"], "enqueue and send", start_ns, sent_ns)
        yield _slice(_TASKS, row["cpu"], "wait", sent_ns, end_ns)


def _handlers(ipis: pd.DataFrame, flushes: pd.DataFrame) -> Iterator[dict[str, Any]]:
    ipis = ipis[(ipis["start_ns"] >= 0) & (ipis["end_ns"] >= ipis["start_ns"])]
    by_flush = flushes.set_index("flush")
    arrow = 0
    for _, rows in ipis.groupby(["cpu", "start_ns"]):
        cpu, start_ns = (int(rows[name].iloc[0]) for name in ("cpu", "start_ns"))
        told = {"found": str(rows["state"].iloc[0]), "flushes": rows["flush"].tolist()}
        end_ns = int(rows["end_ns"].max())
        yield _slice(_HANDLERS, cpu, "handler", start_ns, end_ns) | {"args": told}
        for flush in rows["flush"].tolist():
            row = by_flush.loc[flush]
            arrow += 1
            ends = {"name": "csd", "cat": "csd", "id": arrow}
            at = {"pid": _TASKS, "tid": int(row["cpu"]), "ts": int(row["start_ns"]) / 1000}
            yield {"ph": "s", **ends, **at}
            at = {"pid": _HANDLERS, "tid": cpu, "ts": start_ns / 1000}
            yield {"ph": "f", "bp": "e", **ends, **at}


def _slice(pid: int, cpu: Any, name: str, start_ns: int, end_ns: int) -> dict[str, Any]:
    times = {"ts": start_ns / 1000, "dur": (end_ns - start_ns) / 1000}
    return {"ph": "X", "name": name, "pid": pid, "tid": int(cpu), **times}
