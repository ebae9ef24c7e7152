# SPDX-License-Identifier: MIT
"""The words of the flat arrays against what they mirror, and against each other."""

from __future__ import annotations

from typing import get_args

import pytest

from simulator.engine.calls import Categories
from simulator.engine.compiled.flat import machine, state
from simulator.engine.compiled.flat.machine import MODE
from simulator.engine.compiled.flat.state import EXECUTED, FOUND, RECORD, SPENT, TASK
from simulator.machine.schema import IpiMode
from simulator.trace.contract import FLUSH_COLUMNS
from simulator.trace.words import KINDS, STATES

WORDS = {
    name: words
    for name, words in {**vars(machine), **vars(state)}.items()
    if name.isupper() and isinstance(words, tuple)
}


def test_mirrored_names_stand_in_the_order_of_what_they_mirror():
    assert FOUND._fields == STATES
    assert EXECUTED._fields[: len(KINDS)] == KINDS
    assert TASK._fields[RECORD.start : RECORD.stop] == FLUSH_COLUMNS
    took = tuple(f"took_{name}" for name in Categories._fields)
    assert TASK._fields[SPENT.start : SPENT.stop] == (*took, "interrupted", "irqs_off_max_ns")
    assert sorted(MODE._fields) == sorted(get_args(IpiMode))


@pytest.mark.parametrize("name", sorted(WORDS))
def test_offsets_ascend_and_the_length_covers_them(name):
    *offsets, last = WORDS[name]
    assert offsets == sorted(set(offsets))
    assert offsets[0] == 0
    assert offsets[-1] < last


@pytest.mark.parametrize("name", ["CPU", "TASK", "M", "S"])
def test_lines_are_whole_cache_lines(name):
    assert WORDS[name].words % 8 == 0
