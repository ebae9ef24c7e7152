# SPDX-License-Identifier: MIT
"""
Places in the flat state
------------------------

An index below zero counts from the end of an array, so compiled code tests every
index for that.  Where it can see that the index has only 40 bits, LLVM drops the
test; all that is read or written often goes by these places.
"""

from __future__ import annotations

from typing import Final

from simulator.engine.compiled.flat.state import CPU, TASK, S
from simulator.engine.compiled.flat.words import Int64s
from simulator.engine.compiled.jit import inlined
from simulator.engine.keys import KEY_BITS, MAX_NS

__all__ = ("event_key", "index", "line_of", "part", "span", "words_of")

_40_BITS: Final = (1 << 40) - 1


@inlined
def index(number: int) -> int:
    """Return a number that is not negative, and seen to be so."""
    return number & _40_BITS


@inlined
def part(s: Int64s, word: int) -> int:
    """Return where a part of the state begins, by its word in the header."""
    return index(s[word])


@inlined
def span(s: Int64s, word: int, first: int, end: int) -> slice:
    """Return where a part of the state has the words of some CPUs."""
    return slice(s[word] + first, s[word] + end)


@inlined
def line_of(s: Int64s, cpu: int) -> int:
    """Return where the words of a CPU begin (``CPUS``)."""
    return index(s[S.cpus] + CPU.words * cpu)


@inlined
def words_of(s: Int64s, slot: int) -> int:
    """Return where the words of a task begin (``TASKS``)."""
    return index(s[S.tasks] + TASK.words * slot)


@inlined
def event_key(ns: int, who: int) -> int:
    """Return the event key of a time and of (class, CPU); beyond MAX_NS all times are one."""
    return min(ns, MAX_NS + 1) << KEY_BITS | who
