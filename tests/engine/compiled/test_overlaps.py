# SPDX-License-Identifier: MIT
"""
Arrays that compiled functions are given do not overlap
-------------------------------------------------------

LLVM is told so; what is compiled from a function that breaks it may do anything.
Oracle: the syntax trees of all marked functions.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import combinations

import pytest

from simulator.engine.compiled import CompiledEngine
from simulator.engine.compiled.jit import MARKED

assert CompiledEngine  # which imports all that is marked
NAMES = {marked.function.__name__ for marked in MARKED}
WRONG = """
def f(m, s, n):
    g(s[span(s, 1, 0, n)], s[span(s, 2, 0, n)], s[3], n)
    g(s, s[0:n])
    g(s[span(s, 1, 0, n)], s[span(s, 1, 0, n)])
"""


def array(argument):
    """Return the array that an argument is all of or a part of, and which part: None for all."""
    match argument:
        case ast.Name("m" | "s" | "distance" as name):
            return name, None
        case ast.Subscript(ast.Name(name), ast.Slice() | ast.Call() as part):
            return name, ast.unparse(part)
    return None


def overlaps(function, called):
    """Return the calls that pass an array twice, or with a part of it."""
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    return [
        ast.unparse(call)
        for call in calls
        if ast.unparse(call.func) in called
        for one, other in combinations(filter(None, map(array, call.args)), 2)
        if one[0] == other[0] and (None in (one[1], other[1]) or one[1] == other[1])
    ]


@pytest.mark.parametrize("marked", MARKED, ids=lambda marked: marked.function.__name__)
def test_no_compiled_function_is_given_an_array_and_a_part_of_it(marked):
    tree = ast.parse(textwrap.dedent(inspect.getsource(marked.function)))
    assert not overlaps(tree, NAMES)


def test_what_overlaps_is_found():
    assert overlaps(ast.parse(WRONG), {"g"}) == [
        "g(s, s[0:n])",
        "g(s[span(s, 1, 0, n)], s[span(s, 1, 0, n)])",
    ]
