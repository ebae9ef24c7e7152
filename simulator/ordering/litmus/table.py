# SPDX-License-Identifier: MIT
"""
Litmus tests as a table
-----------------------

A CSV file with a row per test: ``name``, ``final`` (the condition), ``threads_json`` (below) and,
as far as they are known, the verdicts ``sc``, ``tso``, ``arm64`` and ``lkmm``; other columns are
for the reader.  A thread is a list of operations::

    ["R", reg, loc, opts]      opts: {"order": "acquire" | "acquirepc"}
    ["W", loc, value, opts]          {"order": "release"}
    ["X", reg, loc, value, opts]     {"dep": "addr" | "data" | "ctrl" | "ctrlisb", "on": reg}
    ["F", "mb" | "wmb" | "rmb"]

``data/litmus.csv`` has 495 tests with the verdicts of herd7: ``sc.cat``, ``x86tso-mixed.cat``,
``aarch64.cat`` (the Arm ARM's model) and, where a test has a plain C form, the kernel's
``linux-kernel.cat``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from simulator.errors import InputError, nearest
from simulator.inputs import read_text
from simulator.ordering.litmus.condition import condition, names
from simulator.ordering.litmus.models import MODELS
from simulator.ordering.litmus.program import Op, Program, Thread

__all__ = ("VERDICTS", "LitmusTest", "read_table", "shipped")

VERDICTS = ("Never", "Sometimes", "Always")
_NEEDED = ("name", "final", "threads_json")
_ORDERS = {"R": ("acquire", "acquirepc"), "W": ("release",), "X": ()}
_DEPENDENCIES = ("addr", "data", "ctrl", "ctrlisb")
_FENCES = ("mb", "wmb", "rmb")
# csv allows 131,072 characters a cell.
_LONGEST = 10_000_000


@dataclass(frozen=True)
class LitmusTest:
    """A litmus test: its program, what it asks, and the verdicts known from elsewhere."""

    name: str
    family: str
    asks: str
    program: Program
    expected: dict[str, str]
    lkmm: str


def shipped() -> list[LitmusTest]:
    """Return the 495 tests of ``data/litmus.csv``."""
    source = files("simulator.ordering.litmus") / "data" / "litmus.csv"
    return list(_tests("litmus.csv", source.read_text(encoding="utf-8")))


def read_table(path: Path) -> list[LitmusTest]:
    """Return the tests of a CSV file; raises InputError that names line and column."""
    found = list(_tests(str(path), read_text(path, f"from: {path}")))
    if not found:
        raise InputError(f"from: {path} has no tests")
    return found


def _tests(where: str, text: str) -> Iterator[LitmusTest]:
    csv.field_size_limit(_LONGEST)
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    first = 1
    seen: dict[str, int] = {}
    try:
        columns = reader.fieldnames or ()
        for column in _NEEDED:
            if column not in columns:
                raise InputError(f"from: {where}: no column {column}{nearest(column, columns)}")
        for row in reader:
            line, first = first + 1, reader.line_num
            yield _test(where, line, row, seen)
    except csv.Error as error:
        raise InputError(f"from: {where}, line {reader.line_num}: {error}") from None


def _test(where: str, line: int, row: dict[str, Any], seen: dict[str, int]) -> LitmusTest:
    def wrong(column: str, what: str) -> InputError:
        return InputError(f"from: {where}, line {line}, column {column}: {what}")

    if None in row:
        raise InputError(f"from: {where}, line {line}: more cells than columns")
    if missing := [column for column, value in row.items() if value is None]:
        raise wrong(missing[0], "missing")
    name = row["name"].strip()
    if not name:
        raise wrong("name", "empty")
    if name in seen:
        raise wrong("name", f"{name!r} stands in line {seen[name]} already")
    seen[name] = line
    verdicts = {}
    for column in (*MODELS, "lkmm"):
        verdict = verdicts[column] = (row.get(column) or "").strip()
        if verdict and verdict not in VERDICTS:
            hint = nearest(verdict, VERDICTS)
            raise wrong(column, f"{verdict!r} is not one of {', '.join(VERDICTS)}{hint}")
    try:
        listed = json.loads(row["threads_json"])
    except json.JSONDecodeError as error:
        raise wrong("threads_json", f"no JSON: {error.msg}, character {error.pos + 1}") from None
    except RecursionError:
        raise wrong("threads_json", "too deep") from None
    try:
        threads = _threads(listed)
    except InputError as error:
        raise wrong("threads_json", str(error)) from None
    try:
        asked = condition(row["final"])
        _check_names(row["final"], threads)
    except InputError as error:
        raise wrong("final", str(error)) from None
    lkmm = verdicts.pop("lkmm")
    return LitmusTest(
        name,
        (row.get("family") or "").strip(),
        row["final"].strip(),
        Program(name, threads, {}, asked),
        {m: verdict for m, verdict in verdicts.items() if verdict},
        lkmm,
    )


def _check_names(text: str, threads: tuple[Thread, ...]) -> None:
    known = {op.loc for thread in threads for op in thread.ops if op.loc}
    known |= {f"{n}:{op.reg}" for n, t in enumerate(threads) for op in t.ops if op.reg}
    asked = names(text)
    if not asked:
        raise InputError("empty")
    for name in asked:
        if name not in known:
            raise InputError(f"the program has no {name!r}{nearest(name, known)}")


def _threads(listed: Any) -> tuple[Thread, ...]:
    if not isinstance(listed, list) or not listed:
        raise InputError("not a list of threads")
    return tuple(_thread(n, ops) for n, ops in enumerate(listed))


def _thread(n: int, listed: Any) -> Thread:
    if not isinstance(listed, list):
        raise InputError(f"thread {n} is no list of operations")
    ops: list[Op] = []
    loads: dict[str, int] = {}
    for i, item in enumerate(listed):
        try:
            _append(ops, loads, item)
        except InputError as error:
            raise InputError(f"thread {n}, operation {i}: {error}") from None
    return Thread.straight(tuple(ops))


_LENGTHS = {"R": 4, "W": 4, "X": 5, "F": 2}


def _append(ops: list[Op], loads: dict[str, int], item: Any) -> None:
    if not isinstance(item, list) or not item or item[0] not in _LENGTHS:
        raise InputError(f"{json.dumps(item)} is none of R, W, X, F")
    kind = item[0]
    if len(item) != _LENGTHS[kind]:
        raise InputError(f"{kind} has {_LENGTHS[kind]} parts, not {len(item)}")
    if kind == "F":
        if item[1] not in _FENCES:
            raise InputError(f"fence {item[1]!r} is none of {', '.join(_FENCES)}")
        ops.append(_next(ops, kind, f"smp_{item[1]}()", fence=item[1]))
        return
    reg = item[1] if kind in "RX" else ""
    loc = item[1] if kind == "W" else item[2]
    value = None if kind == "R" else item[-2]
    if not isinstance(reg, str) or (kind in "RX" and not reg):
        raise InputError(f"register {json.dumps(reg)} is no name")
    if not isinstance(loc, str) or not loc:
        raise InputError(f"location {json.dumps(loc)} is no name")
    if kind != "R" and (not isinstance(value, int) or isinstance(value, bool)):
        raise InputError(f"value {json.dumps(value)} is no whole number")
    order, dependency, on = _options(kind, item[-1], loads)
    if dependency == "ctrlisb":
        ops.append(_next(ops, "F", f"if ({item[-1]['on']}) isb()", fence="isb", ctrl=on))
    ops.append(
        _next(
            ops,
            kind,
            _text(kind, reg, loc, value, order) + (f" /*{dependency}*/" if dependency else ""),
            loc=loc,
            reg=reg,
            value=value,
            order=order,
            addr=on if dependency == "addr" else (),
            data=on if dependency == "data" else (),
            ctrl=on if dependency == "ctrl" else (),
        )
    )
    if reg:
        loads[reg] = ops[-1].index


def _options(kind: str, options: Any, loads: dict[str, int]) -> tuple[str, str, tuple[int, ...]]:
    if not isinstance(options, dict):
        raise InputError(f"options {json.dumps(options)} are no object")
    for key in options:
        if key not in {"order", "dep", "on"}:
            raise InputError(f"unknown option {key!r}{nearest(key, ('order', 'dep', 'on'))}")
    order, dependency = options.get("order", ""), options.get("dep", "")
    if order and order not in _ORDERS[kind]:
        raise InputError(
            f"order {order!r} of {kind} is none of {', '.join(_ORDERS[kind]) or '(none)'}"
        )
    if not dependency:
        if "on" in options:
            raise InputError("'on' without 'dep'")
        return order, "", ()
    if dependency not in _DEPENDENCIES or (dependency == "data" and kind == "R"):
        raise InputError(f"dep {dependency!r} of {kind} is none of {', '.join(_DEPENDENCIES)}")
    on = options.get("on")
    if not isinstance(on, str) or on not in loads:
        raise InputError(f"register {json.dumps(on)} was not loaded before")
    return order, dependency, (loads[on],)


def _next(ops: list[Op], kind: str, text: str, **rest: Any) -> Op:
    return Op(len(ops), len(ops) - 1 if ops else None, kind, text, **rest)


def _text(kind: str, reg: str, loc: str, value: Any, order: str) -> str:
    if kind == "W":
        return f"smp_store_release({loc}, {value})" if order else f"WRITE_ONCE({loc}, {value})"
    if kind == "X":
        return f"{reg} = xchg(&{loc}, {value})"
    read = {"": "READ_ONCE", "acquire": "smp_load_acquire", "acquirepc": "ldapr"}[order]
    return f"{reg} = {read}({loc})"
