# SPDX-License-Identifier: MIT
"""
The work in salabim
-------------------

A peer of SimPy: every CPU is a component that lives to the end, is activated by
an interrupt and holds until it takes its list.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from benchmarks.one_task import OneTask
from benchmarks.work import Prepared, Work

__all__ = ("Salabim",)


class Salabim:
    """Components."""

    name = "salabim"
    csds = 10_000
    max_tasks = 1

    def missing(self) -> str:
        return "" if find_spec("salabim") else "salabim is not installed"

    def prepare(self, work: Work, *, checked: bool) -> Prepared:
        rules = OneTask(work, checked=checked)
        return Prepared(_components(rules, work), rules.outcome)


def _components(rules: OneTask, work: Work) -> Any:
    import salabim  # type: ignore[import-untyped]  # it has no stubs

    class Cpu(salabim.Component):  # type: ignore[misc]  # salabim is untyped
        def setup(self, number: int) -> None:
            self.number = number

        def process(self) -> Iterator[Any]:
            number = self.number
            while True:
                yield self.passivate()
                arrive_ns = int(self.env.now())
                state, start_ns = rules.answer(number, arrive_ns)
                yield self.hold(till=start_ns + rules.entry_ns(number))
                rules.settle(number, state, arrive_ns, start_ns)
                task.left -= 1
                if not task.left:
                    task.activate()

    class Task(salabim.Component):  # type: ignore[misc]  # salabim is untyped
        left = 0

        def process(self) -> Iterator[Any]:
            t_ns = 0
            for nth in range(work.flushes):
                arrivals = rules.begin(nth, t_ns)
                self.left = len(arrivals)
                for cpu, arrive_ns in arrivals:
                    cpus[cpu].activate(at=arrive_ns)
                yield self.passivate()
                t_ns = rules.end(nth)
                if t_ns > self.env.now():
                    yield self.hold(till=t_ns)

    # Times in nanoseconds are exact as floats up to 104 days.
    env = salabim.Environment(trace=False, yieldless=False)
    cpus = [Cpu(number=number, env=env) for number in range(work.cpus)]
    task = Task(env=env)
    return env.run
