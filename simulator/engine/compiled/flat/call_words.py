# SPDX-License-Identifier: MIT
"""
Calls, as compiled code is told of them
---------------------------------------

There are few different ones, and each is made many times.
"""

from __future__ import annotations

import numpy as np

from simulator.engine.calls import Call
from simulator.engine.compiled.flat.state import CALL
from simulator.trace.words import KINDS, Words

__all__ = ("Calls", "call_words")

_RANGE = KINDS.index("range")
_MOST = 1024


def call_words(call: Call, reasons: Words) -> memoryview:
    """Return a call as the ``CALL_WORDS`` of the flat state."""
    kind = KINDS.index(call.kind)
    words = np.zeros(CALL.words, dtype=np.int64)
    words[CALL.run_ns] = call.run_ns
    words[CALL.refill_ns] = call.refill_ns
    words[CALL.kind] = kind
    words[CALL.pages] = call.pages if kind == _RANGE else 0
    words[CALL.reason] = reasons[call.reason]
    words[CALL.pages_asked] = call.pages
    return words.data


class Calls:
    """The words of every call that has been made in a phase; ``reasons`` are the run's."""

    def __init__(self, reasons: Words) -> None:
        self._reasons = reasons
        self._made: dict[int, tuple[Call, memoryview]] = {}  # by id(); hashes are slower
        self._recorded: dict[tuple[int, int, int], memoryview] = {}

    def words(self, call: Call) -> memoryview:
        """Return the words of a call."""
        made = self._made.get(id(call))
        if made is None:
            words = call_words(call, self._reasons)
            if len(self._made) >= _MOST:
                self._made.clear()  # kernel code that makes each one anew
            made = self._made[id(call)] = call, words
            self._recorded[words[CALL.reason], words[CALL.kind], words[CALL.pages_asked]] = words
        return made[1]

    def recorded(self, reason: int, kind: int, pages: int) -> memoryview:
        """Return the words of a call that was made, by what the record has of it."""
        return self._recorded[reason, kind, pages]
