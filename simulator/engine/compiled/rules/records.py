# SPDX-License-Identifier: MIT
"""
The record of a broadcast
-------------------------

It lies in the line of its task, as a row of the ``flushes`` frame.
"""

from __future__ import annotations

from simulator.engine.compiled.flat.places import part, words_of
from simulator.engine.compiled.flat.state import CALL, TASK, S
from simulator.engine.compiled.flat.words import Int64s
from simulator.engine.compiled.jit import compiled

__all__ = ("begin_record",)


@compiled
def begin_record(s: Int64s, slot: int) -> None:
    """Begin the record of a task's next broadcast, whose number and start are there."""
    words = words_of(s, slot)
    call = part(s, S.calls) + CALL.words * slot
    s[words + TASK.nth] += 1
    s[words + TASK.reason] = s[call + CALL.reason]
    s[words + TASK.kind] = s[call + CALL.kind]
    s[words + TASK.pages] = s[call + CALL.pages_asked]
