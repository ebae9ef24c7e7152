# SPDX-License-Identifier: MIT
"""
The work in C
-------------

:class:`Recursion` is the limit: one task, nothing to be ordered.  :class:`Heap`
is what one would write instead: a binary heap with an event for every arrival
and every drain, for any number of tasks.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from benchmarks.native import compiler, library
from benchmarks.work import THINK_NS, Int64s, Outcome, Prepared, Work
from simulator.engine.compiled.flat.machine import flatten
from simulator.trace.tables import NR_BUCKETS

__all__ = ("Heap", "Recursion")


class _Results(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("latency_ns", "handler_ns", "refill_ns")),
        *((name, ctypes.c_void_p) for name in ("idle_woken", "irqs_off_delay_ns")),
        *((name, ctypes.c_void_p) for name in ("ack", "handler", "releases")),
    )


def _zeros(length: int) -> Int64s:
    return np.zeros(length, dtype=np.int64)


def _prepare(
    work: Work,
    call: Callable[[Int64s, npt.NDArray[np.int8], ctypes.Structure], int],
    *,
    checked: bool,
) -> Prepared:
    machine = flatten(work.platform)
    distance = np.ascontiguousarray(work.platform.distance).reshape(-1)
    releases = np.zeros(1, dtype=np.uint64)
    found = {
        "latency_ns": _zeros(work.tasks * work.flushes),
        **{
            name: _zeros(work.cpus)
            for name in ("handler_ns", "refill_ns", "idle_woken", "irqs_off_delay_ns")
        },
        "ack": _zeros(NR_BUCKETS),
        "handler": _zeros(NR_BUCKETS),
    }
    results = _Results(
        **{name: array.ctypes.data for name, array in found.items()},
        releases=releases.ctypes.data if checked else None,
    )

    # The structure holds addresses alone.
    results.arrays = found, releases

    def run() -> None:
        if call(machine, distance, results):
            raise MemoryError("no memory for the C simulator")

    def outcome() -> Outcome:
        return Outcome(**found, releases=int(releases[0]) if checked else None)

    return Prepared(run, outcome)


class Recursion:
    """A walk over the targets for each flush."""

    name = "C recursion"
    csds = 10_000_000
    max_tasks = 1

    def missing(self) -> str:
        return "" if compiler() else "no C compiler"

    def prepare(self, work: Work, *, checked: bool) -> Prepared:
        function = library("recursion").recursion
        (me,) = work.task_cpus
        call = work.call
        line_ns = 0
        if work.cpus == 2:
            distance = int(work.platform.distance[me, 1 - me])
            line_ns = work.platform.costs["cache_line"].ns(distance=distance)
        numbers = [
            ctypes.c_int64(value)
            for value in (me, work.flushes, THINK_NS, call.run_ns, call.refill_ns, line_ns)
        ]

        def run(machine: Int64s, distance: npt.NDArray[np.int8], results: ctypes.Structure) -> int:
            first, second = (ctypes.c_void_p(array.ctypes.data) for array in (machine, distance))
            return int(function(first, second, *numbers, ctypes.byref(results)))

        return _prepare(work, run, checked=checked)


class Heap:
    """An event for every stage of an interrupt."""

    name = "C heap"
    csds = 2_000_000
    max_tasks = 4096

    def missing(self) -> str:
        return "" if compiler() else "no C compiler"

    def prepare(self, work: Work, *, checked: bool) -> Prepared:
        function = library("heap").heap
        call = work.call
        task_cpus = np.array(work.task_cpus, dtype=np.int64)
        line = work.platform.costs["cache_line"]
        line_ns = np.array([line.ns(distance=d) for d in range(4)], dtype=np.int64)
        numbers = [
            ctypes.c_int64(value)
            for value in (work.tasks, work.flushes, THINK_NS, call.run_ns, call.refill_ns)
        ]

        def run(machine: Int64s, distance: npt.NDArray[np.int8], results: ctypes.Structure) -> int:
            first, second, third, last = (
                ctypes.c_void_p(array.ctypes.data)
                for array in (machine, distance, task_cpus, line_ns)
            )
            return int(function(first, second, third, *numbers, last, ctypes.byref(results)))

        return _prepare(work, run, checked=checked)
