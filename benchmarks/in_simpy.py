# SPDX-License-Identifier: MIT
"""
The work in the leanest SimPy
-----------------------------

No process for a CPU, no store, no condition: an interrupt is one event with one
callback, which settles everything that the CPU does; the task is the only
generator, and waits twice a flush.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from simpy.core import Environment
from simpy.events import Event, Timeout

from benchmarks.one_task import OneTask
from benchmarks.work import Prepared, Work

__all__ = ("LeanSimpy",)


class LeanSimpy:
    """Callbacks on events."""

    name = "leanest SimPy"
    csds = 25_000
    max_tasks = 1

    def missing(self) -> str:
        return ""

    def prepare(self, work: Work, *, checked: bool) -> Prepared:
        rules = OneTask(work, checked=checked)
        return Prepared(_Callbacks(rules, work.flushes).run, rules.outcome)


class _Callbacks:
    def __init__(self, rules: OneTask, flushes: int) -> None:
        self._rules = rules
        self._flushes = flushes
        self._env = Environment()
        self._left = 0
        self._done = Event(self._env)

    def run(self) -> None:
        self._env.process(self._task())
        self._env.run()

    def _task(self) -> Generator[Any, Any, None]:
        env, rules, arrives = self._env, self._rules, self._arrives
        t_ns = 0
        for nth in range(self._flushes):
            arrivals = rules.begin(nth, t_ns)
            now_ns = env.now
            for cpu, arrive_ns in arrivals:
                event = Timeout(env, arrive_ns - now_ns, cpu)
                event.callbacks.append(arrives)
            self._left = len(arrivals)
            self._done = Event(env)
            yield self._done
            t_ns = rules.end(nth)
            if t_ns > env.now:
                yield Timeout(env, t_ns - env.now)

    def _arrives(self, event: Event) -> None:
        cpu: Any = event.value
        arrive_ns = int(self._env.now)
        state, start_ns = self._rules.answer(cpu, arrive_ns)
        self._rules.settle(cpu, state, arrive_ns, start_ns)
        self._left -= 1
        if not self._left:
            self._done.succeed()
