# SPDX-License-Identifier: MIT
"""
Litmus tests as text
--------------------

An interleaving has a column per CPU and a line per step, and fits a mail.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence

from simulator.ordering.invariants import INVARIANTS
from simulator.ordering.litmus.explorer import Move
from simulator.ordering.litmus.models import MODELS
from simulator.ordering.litmus.program import Program
from simulator.ordering.litmus.suite import Judged, Test
from simulator.report.text import MAIL_WIDTH, format_table, underlined, wrapped

__all__ = ("details", "interleaving", "listed", "overview", "summary_line")

_GAP = 2
_KINDS = {
    "protocol": "protocols",
    "translation": "translation tests (arm64)",
    "litmus": "litmus tests",
}


def interleaving(moves: Sequence[Move], nr_cpus: int) -> str:
    """
    Return an interleaving, a column per CPU and a line per step.

    >>> print(interleaving([Move(0, "WRITE_ONCE(x, 1)"), Move(1, "r0 = READ_ONCE(x)")], 2))
       CPU 0                              CPU 1
     1 WRITE_ONCE(x, 1)
     2                                    r0 = READ_ONCE(x)
    """
    rows = [{move.cpu: move.text} for move in moves if move.is_step]
    remarks = [{move.cpu: move.text} for move in moves if not move.is_step]
    return _columns(rows, nr_cpus, remarks)


def _columns(
    rows: Sequence[dict[int, str]], nr_cpus: int, remarks: Sequence[dict[int, str]] = ()
) -> str:
    number = max(2, len(str(len(rows))))
    width = (MAIL_WIDTH - number - 1 - _GAP * (nr_cpus - 1)) // nr_cpus
    lines = [("", [f"CPU {n}" for n in range(nr_cpus)])]
    for i, row in enumerate((*rows, *remarks), start=1):
        folded = [
            textwrap.wrap(row.get(n, ""), width, subsequent_indent="  ") for n in range(nr_cpus)
        ]
        for line, cells in enumerate(itertools.zip_longest(*folded, fillvalue="")):
            lines.append((str(i) if line == 0 and i <= len(rows) else "", list(cells)))
    return "\n".join(
        f"{left:>{number}} {(' ' * _GAP).join(cell.ljust(width) for cell in cells)}".rstrip()
        for left, cells in lines
    )


def details(judged: Sequence[Judged]) -> str:
    """Return what a test asks, its program, its verdicts, and an interleaving for each model."""
    test = judged[0].test
    blocks = ["\n".join(_head(test))]
    for group in _by_program(judged):
        models = ", ".join(j.model for j in group)
        title = "program" if len(group) == len(judged) else f"program on {models}"
        program = test.program(MODELS[group[0].model])
        blocks.append(underlined(title) + "\n" + _listing(program))
    rows = [
        (j.model, j.found.verdict, j.expected.split(" ")[0] or "-", str(j.found.states),
         str(j.found.final_states))
        for j in judged
    ]  # fmt: skip
    if test.lkmm:
        rows.append(("lkmm", "(not explored)", test.lkmm, "-", "-"))
    head = ("model", "verdict", "expected", "states", "final")
    blocks.append(format_table(rows, head, align="lllrr"))
    for one in judged:
        blocks += _findings(one, len(test.program(MODELS[one.model]).threads))
    return "\n\n".join(blocks) + "\n"


def _head(test: Test) -> list[str]:
    head = [wrapped(test.name, "test     "), wrapped(test.about, "about    ")]
    if test.asks:
        head.append(wrapped(test.asks, "asks     "))
    return head


# x86 and arm64 flush differently, and otherwise do the same.
def _by_program(judged: Sequence[Judged]) -> list[list[Judged]]:
    groups: dict[str, list[Judged]] = {}
    for one in judged:
        listing = _listing(one.test.program(MODELS[one.model]))
        groups.setdefault(listing, []).append(one)
    return list(groups.values())


def _listing(program: Program) -> str:
    threads = [[thread.ops[i].text for i in thread.paths[0][0]] for thread in program.threads]
    rows = [dict(enumerate(texts)) for texts in itertools.zip_longest(*threads, fillvalue="")]
    notes = [
        f"CPU {n} branches; shown is the first of its {len(thread.paths)} paths."
        for n, thread in enumerate(program.threads)
        if len(thread.paths) > 1
    ]
    return "\n".join((_columns(rows, len(threads)), *notes))


def _findings(one: Judged, nr_cpus: int) -> list[str]:
    found, blocks = one.found, [_difference(one)] if one.differs else []
    if found.needs_bbm and one.model == "arm64":
        text = (
            f"{found.needs_bbm} changes its output address while it is live (assumed to be allowed)"
        )
        blocks.append(wrapped(text, f"{one.model}: needs-bbm: "))
    for name, moves in found.broken.items():
        known = INVARIANTS.get(name)
        said = [wrapped(known.sentence, "  ")] if known else []
        title = underlined(f"{one.model}: {name} broken in {_nr_steps(moves)} steps")
        blocks.append("\n".join((title, *said, interleaving(moves, nr_cpus))))
    if found.witness:
        what = (
            "no execution ends; stuck after" if found.verdict == "stuck" else "the condition after"
        )
        title = underlined(f"{one.model}: {what} {_nr_steps(found.witness)} steps")
        blocks.append(f"{title}\n{interleaving(found.witness, nr_cpus)}")
    return blocks


def _nr_steps(moves: Sequence[Move]) -> int:
    return sum(move.is_step for move in moves)


def overview(judged: Sequence[Judged]) -> str:
    """Return a line for each test with its verdicts, and what differs."""
    by_test: dict[str, list[Judged]] = {}
    for one in judged:
        by_test.setdefault(one.test.name, []).append(one)
    models = [name for name in MODELS if any(j.model == name for j in judged)]
    rows = []
    for name, group in by_test.items():
        cells = {j.model: j.found.verdict + " (!)" * j.differs for j in group}
        lkmm = group[0].test.lkmm or "-"
        rows.append((name, *(cells.get(model, "-") for model in models), lkmm))
    table = format_table(rows, ("test", *models, "lkmm"), align="l" * (len(models) + 2))
    wrong = [_difference(one) for one in judged if one.differs]
    return "\n\n".join((table, *wrong, summary_line(judged))) + "\n"


def _difference(one: Judged) -> str:
    bbm = one.test.needs_bbm
    also = ""
    if bbm is not None and bbm != bool(one.found.needs_bbm):
        also = "; needs-bbm is expected" if bbm else "; needs-bbm is not expected"
    expected = one.expected or "an execution that ends"
    return wrapped(f"{one.verdict}, expected {expected}{also}", f"{one.test.name}, {one.model}: ")


def summary_line(judged: Sequence[Judged]) -> str:
    """Return how many verdicts there are, and how many differ."""
    nr_tests = len({one.test.name for one in judged})
    known = [one for one in judged if one.expected]
    differ = sum(one.differs for one in judged)
    states = sum(one.found.states for one in judged)
    seconds = sum(one.seconds for one in judged)
    return wrapped(
        f"{nr_tests:,} tests, {len(judged):,} verdicts, {len(known):,} of them expected; "
        f"{differ:,} differ; {states:,} states in {seconds:.1f} s of CPU time"
    )


def listed(tests: Sequence[Test]) -> str:
    """Return the names of the tests, the protocols with what they are about."""
    blocks = []
    for kind, title in _KINDS.items():
        rows = [(test.name, test.about) for test in tests if test.kind == kind]
        if rows:
            blocks.append(format_table(rows, (title, ""), align="ll"))
    return "\n\n".join(blocks) + "\n"
