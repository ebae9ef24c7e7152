# SPDX-License-Identifier: MIT
"""
Verdicts as a table
-------------------

A row per kernel and machine class, what was expected beside what was found; then where each
invariant was broken first.
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.analysis.frames import ResultTotals
from simulator.ordering.invariants import INVARIANTS
from simulator.report.header import machine_title, version_text
from simulator.report.text import command_line, format_table, underlined, wrapped
from simulator.studies.is_it_safe.numbers import Verdict

__all__ = ("safety_report",)

_NOTES = (
    "Each kernel fills a pool and empties it: as a list of folios, as a list whose second and "
    "third split find no memory, and as single folios of several tasks. It is safe if no run "
    "breaks an invariant.",
    "Head written: another CPU may write the head struct page of a folio at any time, as a "
    "speculative PFN walker does. That nobody does so is the precondition of all other verdicts.",
    "Weakly ordered: stores of a CPU become visible in any order, and smp_wmb() is needed. arm64: "
    "so, too; and the output address of a live entry changes only by break-before-make, which is "
    "why Linux has HVO off there.",
)


def safety_report(verdicts: Sequence[Verdict], first: ResultTotals, *, command: str) -> str:
    """Return the table as plain text, at most 72 columns wide."""
    wrong = [verdict for verdict in verdicts if not verdict.as_expected]
    n = len(verdicts)
    judged = sum(verdict.wanted is not None for verdict in verdicts)
    answer = f"{judged - len(wrong)} of {judged} verdicts are as expected"
    head = [
        underlined("Is it safe? (simulated)"),
        command_line(command, "command    "),
        wrapped(version_text(first.provenance), "version    "),
        wrapped(
            f"{machine_title(first)}; {first.scenario.pages} huge pages of 2 MB; seed"
            f" {first.scenario.seed}; {n} verdicts, {len(INVARIANTS)} invariants named",
            "simulated  ",
        ),
        wrapped(answer, "answer     "),
    ]
    blocks = ["\n".join(head)]
    for machine in dict.fromkeys(verdict.machine for verdict in verdicts):
        of_class = [verdict.row() for verdict in verdicts if verdict.machine == machine]
        rows = [(row["kernel"], row["expected"], _found(row)) for row in of_class]
        table = format_table(rows, ("kernel", "expected", "found"), "lll")
        blocks.append(f"{underlined(machine)}\n{table}")
    broken = dict.fromkeys(name for verdict in verdicts for name in verdict.found.broken)
    lines = [
        wrapped(f"{INVARIANTS[name].sentence} {INVARIANTS[name].reference}.", f"{name}: ")
        for name in broken
    ]
    if lines:
        blocks.append("\n".join([underlined("What must hold"), *lines]))
    blocks.append("\n".join(wrapped(note) for note in _NOTES))
    return "\n\n".join(blocks) + "\n"


def _found(row: dict[str, object]) -> str:
    if not row["as_expected"]:
        return f"{row['found']}  (unexpected)"
    # Twice the same list of names would not fit into a line.
    return "as expected" if "," in str(row["found"]) else str(row["found"])
