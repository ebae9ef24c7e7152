# SPDX-License-Identifier: MIT
"""
Tasks whose broadcasts compiled code carries out
------------------------------------------------

Compiled code writes the record of each broadcast, and adds up where the time of a
task went in all of them, which is asked for at its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulator.engine.calls import FLUSH_CATEGORIES, Call
from simulator.engine.task import Account, TaskCpu

if TYPE_CHECKING:
    from simulator.engine.compiled.flat.call_words import Calls
from simulator.engine.compiled.flat.state import CALL, RECORD, SPENT, TASK, S
from simulator.engine.compiled.flat.words import Int64s
from simulator.engine.compiled.turns import Turns, TurnTask

__all__ = ("FlatTask", "OnlyTask")

_NOTHING = np.zeros(SPENT.stop - SPENT.start, dtype=np.int64).data


class FlatTask(TurnTask):
    """A task with a slot in the flat state."""

    __slots__ = ("_calls", "_categories", "_first", "_first_of_call", "call", "record", "words")

    def __init__(
        self, timeline: Turns, cpu: TaskCpu, number: int, state: Int64s, slot: int,
        calls: Calls,
    ) -> None:  # fmt: skip
        super().__init__(timeline, cpu, number)
        self.words = state.data  # plain integers, faster
        self._first = int(state[S.tasks]) + TASK.words * slot
        self._first_of_call = int(state[S.calls]) + CALL.words * slot
        self._calls = calls
        self._categories = FLUSH_CATEGORIES
        self.words[self._first + TASK.task] = number
        #: The record of its last broadcast, a row of FLUSH_COLUMNS.
        self.record = self.words[self._first + RECORD.start : self._first + RECORD.stop]
        self.call: Call | None = None  # what compiled code was told that broadcasts run

    @property
    def waits_from_ns(self) -> int:
        """When its last broadcast began to wait for the others."""
        return self.words[self._first + TASK.waits_from_ns]

    def tell(self, call: Call) -> None:
        """Tell compiled code what the next broadcasts run."""
        if call.categories is not self._categories:
            self.settle()
            self._categories = call.categories
        first = self._first_of_call
        self.words[first : first + CALL.words] = self._calls.words(call)
        self.call = call

    def accounts(self) -> list[Account]:
        """Return what each task did that ran here, as :meth:`Task.accounts` does."""
        self.settle()
        return super().accounts()

    def hand_over(self, number: int) -> None:
        """End, and let another task go on here, as :meth:`Task.hand_over` does."""
        super().hand_over(number)
        self.words[self._first + TASK.task] = number

    def settle(self) -> None:
        """Take over what compiled code has added up."""
        spent = slice(self._first + SPENT.start, self._first + SPENT.stop)
        *spent_ns, off_max_ns = self.words[spent]
        for category, ns in zip((*self._categories, "interrupted"), spent_ns, strict=True):
            self.time_by[category] += ns
        self.irqs_off_max_ns = max(self.irqs_off_max_ns, off_max_ns)
        self.words[spent] = _NOTHING


class OnlyTask(FlatTask):
    """The only task of a phase: no handler runs on its CPU."""

    __slots__ = ()
