# SPDX-License-Identifier: MIT
"""
``tlbsim litmus``: all interleavings of small protocols
-------------------------------------------------------
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from simulator.cli.output import json_text
from simulator.errors import InputError
from simulator.inputs import user_path

if TYPE_CHECKING:
    from simulator.ordering.litmus.suite import Judged, Test

__all__ = ("EXAMPLE", "HELP", "NAME", "configure", "run")

NAME = "litmus"
HELP = "Explore all interleavings of small protocols under sc, tso and arm64."
EXAMPLE = "tlbsim litmus batch-no-final-flush --model tso"


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        help="a test, a Python file with protocols, a .litmus file",
    )
    parser.add_argument("--list", action="store_true", help="print the names of the tests")
    parser.add_argument("--all", action="store_true", help="run all tests")
    parser.add_argument("--from", metavar="FILE", dest="table", help="run the tests of a CSV file")
    parser.add_argument("--model", metavar="MODEL", help="sc, tso or arm64 (default: all)")
    parser.add_argument(
        "--states", metavar="N", type=int, help="give up beyond N states (default: 200000)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: Namespace) -> tuple[int, str]:
    """Return the exit status, 1 if a verdict differs from what was expected, and what to print."""
    from simulator.ordering.litmus.explorer import LIMIT
    from simulator.ordering.litmus.models import model
    from simulator.ordering.litmus.suite import judge

    asked = [args.name is not None, args.list, args.all, args.table is not None]
    if sum(asked) != 1:
        raise InputError("litmus: give one of NAME, --list, --all, --from FILE")
    if args.states is not None and args.states < 1:
        raise InputError(f"states: {args.states} is less than 1")
    chosen = model(args.model).name if args.model is not None else None
    tests = _tests(args)
    if args.list:
        return 0, _list(tests, as_json=args.json)
    if chosen is not None:
        for test in tests:
            if chosen not in test.models and not args.all:
                known = ", ".join(test.models)
                raise InputError(f"model: {test.name} means nothing under {chosen}; known: {known}")
    judged = [
        judge(test, name, args.states or LIMIT)
        for test in tests
        for name in test.models
        if chosen in {None, name}
    ]
    status = int(any(one.differs for one in judged))
    if args.json:
        return status, json_text([_row(one) for one in judged])
    from simulator.report.litmus_text import details, overview

    if args.name is None:
        return status, overview(judged)
    by_test = {test.name: [one for one in judged if one.test is test] for test in tests}
    return status, "\n".join(details(group) for group in by_test.values())


def _tests(args: Namespace) -> list[Test]:
    from simulator.ordering.litmus.suite import find, from_file, from_table, shipped

    if args.table is not None:
        return from_table(user_path(args.table, "from"))
    if args.name is None:
        return shipped()
    path = user_path(args.name, "litmus")
    if path.suffix in {".py", ".litmus"}:
        return from_file(path)
    if path.suffix == ".csv":
        raise InputError(f"litmus: {path} is a table; did you mean --from {path}?")
    return [find(args.name)]


def _list(tests: Sequence[Test], *, as_json: bool) -> str:
    if as_json:
        return json_text(
            [
                {"test": t.name, "kind": t.kind, "about": t.about, "models": list(t.models)}
                for t in tests
            ]
        )
    from simulator.report.litmus_text import listed

    return listed(tests)


def _row(one: Judged) -> dict[str, Any]:
    verdict, *invariants = one.expected.split() or [""]
    return {
        "test": one.test.name,
        "model": one.model,
        "verdict": one.found.verdict,
        "expected": verdict or None,
        "broken": sorted(one.found.broken),
        "expected_broken": sorted(invariants),
        "lkmm": one.test.lkmm or None,
        "needs_bbm": bool(one.found.needs_bbm) if one.model == "arm64" else None,
        "states": one.found.states,
        "final_states": one.found.final_states,
        "seconds": one.seconds,
    }
