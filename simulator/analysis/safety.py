# SPDX-License-Identifier: MIT
"""
Whether what was simulated was safe
-----------------------------------

What a run broke of the invariants that it was held against, as one line; the same for
several runs of a scenario.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from simulator.analysis.frames import ResultTotals, rows_of

__all__ = ("UNSAFE", "Safety", "any_unsafe", "safety_of")

#: Stands beside every number of a run that broke something.
UNSAFE = "UNSAFE"


@dataclass(frozen=True, slots=True)
class Safety:
    """
    What runs were held against, how often they broke which invariant, and where first.

    >>> Safety(checked=12).text
    '12 invariants hold'
    """

    checked: int = 0
    broken: Mapping[str, int] = field(default_factory=dict)
    first: str = ""

    @property
    def unsafe(self) -> bool:
        """Whether anything was broken."""
        return bool(self.broken)

    @property
    def label(self) -> str:
        """What a line of a report begins with."""
        return UNSAFE if self.broken else "safety"

    @property
    def verdict(self) -> str:
        """Whether it is safe, in a few words."""
        if not self.broken:
            return f"{self.checked} invariants hold" if self.checked else "not checked"
        times = (f"{name} {n} time{'' if n == 1 else 's'}" for name, n in self.broken.items())
        return ", ".join(times)

    @property
    def text(self) -> str:
        """The verdict, and where it was broken first."""
        return f"{self.verdict}, first: {self.first}" if self.first else self.verdict

    @property
    def sentence(self) -> str:
        """The text with its label, where it stands in the middle of other text."""
        return f"{self.label} {self.text}" if self.broken else f"safety: {self.text}"


def any_unsafe(results: Iterable[ResultTotals]) -> bool:
    """Return whether any of some runs broke an invariant."""
    return any(safety_of([result]).unsafe for result in results)


def safety_of(results: Iterable[ResultTotals]) -> Safety:
    """Return what runs of one scenario broke."""
    broken: Counter[str] = Counter()
    checked: list[int] = []
    first = ""
    for result in results:
        names = result.provenance.get("checked", ())
        checked.append(len(names))
        rows = rows_of(result, "violations") if names else []
        broken.update({row["invariant"]: row["times"] for row in rows})
        if rows and not first:
            first = _place(rows[0])
    return Safety(min(checked, default=0), dict(broken.most_common()), first)


def _place(row: Mapping[str, object]) -> str:
    where = f"{row['function']}() line {row['line']}" if row["function"] else "its end"
    return (
        f"{row['what']}, {row['phase']}, at {row['ns']} ns, task {row['task']} on CPU {row['cpu']}"
        f" in {where}: {row['store']}, without {row['missing']}"
    )
