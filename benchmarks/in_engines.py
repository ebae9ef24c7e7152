# SPDX-License-Identifier: MIT
"""
The work on the simulator's own engines
---------------------------------------

:class:`Compiled` and :class:`Events` run tasks as the kernel's are run;
:class:`Bare` calls the compiled broadcast and nothing else, to show what the
engine around it costs; :class:`OneCall` does so from compiled code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.work import THINK_NS, Outcome, Prepared, Work, checksum
from simulator.engine import EventsEngine
from simulator.engine.compiled import CompiledEngine
from simulator.engine.compiled.alone.broadcast import broadcast_alone
from simulator.engine.compiled.flat.call_words import call_words
from simulator.engine.compiled.flat.machine import flatten
from simulator.engine.compiled.flat.places import words_of
from simulator.engine.compiled.flat.state import CALL, CPU, TASK, S, new_state
from simulator.engine.compiled.flat.words import Int8s, Int64s
from simulator.engine.compiled.jit import entry
from simulator.engine.compiled.machine_code import bound, is_compiled
from simulator.trace.contract import IPI_COLUMNS
from simulator.trace.ipis import IpiLog
from simulator.trace.recorder import Recorder
from simulator.trace.tables import NR_BUCKETS, Histogram, bucket_of
from simulator.trace.words import REASONS, Words

__all__ = ("Bare", "Compiled", "Events", "OneCall")


_NOT_COMPILED = "neither numba nor compiled code is installed"


class _Engine:
    max_tasks = 4096
    engine: Callable[[Any, Recorder], CompiledEngine | EventsEngine]

    def prepare(self, work: Work, *, checked: bool) -> Prepared:
        platform, call = work.platform, work.call
        every = IpiLog(range(work.tasks * work.flushes)) if checked else None
        recorder = Recorder(platform.socket_of, every)
        engine = self.engine(platform, recorder)

        def body() -> None:
            task = engine.timeline.current
            for _ in range(work.flushes):
                task.work("bookkeeping", THINK_NS)
                engine.on_each_cpu(call)

        def run() -> None:
            recorder.begin_phase("loop", 0, work.task_cpus)
            tasks = engine.run(0, dict.fromkeys(work.task_cpus, body))
            recorder.end_phase(max(task.now_ns for task in tasks))

        return Prepared(run, lambda: _seen(recorder, work, checked=checked))


class Compiled(_Engine):
    """The engine of every run."""

    name = "compiled engine"
    csds = 5_000_000
    engine = CompiledEngine

    def missing(self) -> str:
        return _NOT_COMPILED * (not is_compiled(broadcast_alone))


class Events(_Engine):
    """The definition of the model."""

    name = "events engine"
    csds = 10_000
    engine = EventsEngine

    def missing(self) -> str:
        return ""


class Bare:
    """The compiled broadcast, called from Python."""

    name = "compiled, bare calls"
    csds = 5_000_000
    max_tasks = 1

    def missing(self) -> str:
        return _NOT_COMPILED * (not is_compiled(broadcast_alone))

    def prepare(self, work: Work, *, checked: bool) -> Prepared:
        del checked  # times of release stay where they are
        machine, state, distance, me = _flat(work)
        broadcast = bound(broadcast_alone, machine, state, distance)
        number, start = (int(state[S.tasks]) + word for word in (TASK.flush, TASK.start_ns))
        words = state.data
        refill_ns = work.call.refill_ns
        latencies = [0] * work.flushes

        def run() -> None:
            end_ns = 0
            for nth in range(work.flushes):
                start_ns = end_ns + THINK_NS
                words[number], words[start] = nth, start_ns
                end_ns = broadcast()
                latencies[nth] = end_ns - start_ns
                end_ns += refill_ns

        return Prepared(
            run, lambda: _in_state(state, np.array(latencies, dtype=np.int64), work, me)
        )


@entry
def loop(
    m: Int64s, s: Int64s, distance: Int8s, latency_ns: Int64s, think_ns: int, refill_ns: int
) -> None:
    """Carry out all broadcasts of one task."""
    end_ns = 0
    for nth in range(len(latency_ns)):
        start_ns = end_ns + think_ns
        s[words_of(s, 0) + TASK.flush] = nth
        s[words_of(s, 0) + TASK.start_ns] = start_ns
        end_ns = broadcast_alone(m, s, distance)
        latency_ns[nth] = end_ns - start_ns
        end_ns += refill_ns


class OneCall:
    """The compiled broadcast, looped over by compiled code: what SimPy and Python cost."""

    name = "compiled, one call"
    csds = 5_000_000
    max_tasks = 1

    def missing(self) -> str:
        return _NOT_COMPILED * (not is_compiled(broadcast_alone))

    def prepare(self, work: Work, *, checked: bool) -> Prepared:
        del checked
        machine, state, distance, me = _flat(work)
        latency_ns = np.zeros(work.flushes, dtype=np.int64)
        all_of_them = bound(loop, machine, state, distance, latency_ns)
        return Prepared(
            lambda: all_of_them(THINK_NS, work.call.refill_ns),
            lambda: _in_state(state, latency_ns, work, me),
        )


def _flat(work: Work) -> tuple[Int64s, Int64s, Int8s, int]:
    # The arguments of a broadcast that remain the same, and the initiator.
    platform = work.platform
    (me,) = work.task_cpus
    state = new_state(work.cpus, 1)
    state[state[S.tasks] + TASK.cpu] = me
    state[state[S.tasks] + TASK.nth] = -1
    first = int(state[S.calls])
    state[first : first + CALL.words] = call_words(work.call, Words("flush reason", REASONS))
    distances = np.ascontiguousarray(platform.distance).reshape(-1)
    return flatten(platform), state, distances, me


def _in_state(state: Int64s, latency_ns: Int64s, work: Work, me: int) -> Outcome:
    first = int(state[S.cpus])
    lines = state[first : first + work.cpus * CPU.words].reshape(work.cpus, CPU.words)

    def histogram(part: int) -> Int64s:
        return state[int(state[part]) : int(state[part]) + NR_BUCKETS]

    refill_ns = np.full(work.cpus, work.flushes * work.call.refill_ns, dtype=np.int64)
    refill_ns[me] = 0
    handler_ns = lines[:, CPU.handler_ns] + state[S.alike_handler_ns]
    handler_ns[me] = 0
    return Outcome(
        latency_ns=latency_ns,
        handler_ns=handler_ns,
        refill_ns=refill_ns,
        idle_woken=lines[:, CPU.idle_woken],
        irqs_off_delay_ns=lines[:, CPU.irqs_off_delay_ns],
        ack=histogram(S.ack_hist),
        handler=histogram(S.handler_hist),
        releases=None,
    )


def _seen(recorder: Recorder, work: Work, *, checked: bool) -> Outcome:
    flushes, cpus = recorder.flushes.columns(), recorder.cpus.columns()
    by_task = np.lexsort((flushes["start_ns"], flushes["task"]))
    latency_ns = (flushes["end_ns"] - flushes["start_ns"])[by_task]
    releases = None
    if checked:
        rows = recorder.ipis.rows()
        flush, cpu, end_ns = (rows[:, IPI_COLUMNS.index(i)] for i in ("flush", "cpu", "end_ns"))
        nth = np.zeros(len(by_task), dtype=np.int64)
        nth[by_task] = np.tile(np.arange(work.flushes), work.tasks)
        releases = checksum(flushes["cpu"][flush], nth[flush], cpu, end_ns)
    return Outcome(
        latency_ns=latency_ns,
        handler_ns=cpus["handler_ns"],
        refill_ns=cpus["refill_ns"],
        idle_woken=cpus["idle_woken"],
        irqs_off_delay_ns=cpus["irqs_off_delay_ns"],
        ack=_counts(recorder.phase.ack),
        handler=_counts(recorder.phase.handler),
        releases=releases,
    )


def _counts(histogram: Histogram) -> Int64s:
    counts = np.zeros(NR_BUCKETS, dtype=np.int64)
    for low_ns, _high_ns, count in histogram.rows():
        counts[bucket_of(low_ns)] = count
    return counts
