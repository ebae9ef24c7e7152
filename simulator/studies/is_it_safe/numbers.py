# SPDX-License-Identifier: MIT
"""
Verdicts: expected and found
----------------------------

What each kernel is expected to break, from what is known of it and of the machine, and not
from a run.

Sources: 20230915221548.552084-11-mike.kravetz@oracle.com (the inverted flag); bd225530a4c7
("mm/hugetlb_vmemmap: fix race with speculative PFN walkers") (in v6.11); 060a2c92d1b6 ("arm64:
mm: hugetlb: Disable HUGETLB_PAGE_OPTIMIZE_VMEMMAP") (in v6.6).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from simulator.analysis.safety import Safety, safety_of

if TYPE_CHECKING:
    from simulator.kernel import Kernel
    from simulator.ordering.checker import Checks
    from simulator.trace.result import Result

__all__ = ("Verdict", "expected")

_INVERTED: Final = ("v6.6+6@v3", "v6.6+7@v3")
#: Stores of one CPU come in their order on x86: no barrier is missed.
_BARRIERS: Final = {"pte-before-pmd", "contents-before-pte"}
#: Releases in which the head page stays where it is.
_HEAD_STAYS: Final = ("v5.14", "v6.1")


@dataclass(frozen=True)
class Verdict:
    """What a kernel broke on a class of machines; ``wanted`` is None where nobody said."""

    kernel: str
    machine: str
    wanted: frozenset[str] | None
    found: Safety

    @classmethod
    def of(cls, machine: str, results: Sequence[Result], wanted: frozenset[str] | None) -> Verdict:
        """Return the verdict of a kernel in several situations."""
        return cls(results[0].scenario.kernel_class.name, machine, wanted, safety_of(results))

    @property
    def as_expected(self) -> bool:
        """Whether it broke what it was expected to break, and nothing else."""
        return self.wanted is None or self.wanted == set(self.found.broken)

    def row(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "kernel": self.kernel,
            "machine": self.machine,
            "expected": "" if self.wanted is None else _words(self.wanted),
            "found": _words(self.found.broken),
            "as_expected": self.as_expected,
            "times": sum(self.found.broken.values()),
            "first": self.found.first,
        }


def expected(kernel: type[Kernel], checks: Checks) -> frozenset[str] | None:
    """Return the invariants that a kernel of the package breaks; None for a user's own."""
    if kernel.own_file:
        return None
    found = set()
    if kernel.breaks and not (
        (kernel.breaks in _BARRIERS and checks.isa == "x86-64")
        or (kernel.breaks == "needs-bbm" and checks.isa != "arm64")
    ):
        found.add(kernel.breaks)
    if kernel.name in _INVERTED:
        found.add("size-and-frame")
    if checks.isa == "arm64" and not (kernel.ASSUMES_BBM or hasattr(kernel, "make_entries")):
        found.add("needs-bbm")
    waits = hasattr(kernel, "synchronize_rcu")
    if checks.head_writer and kernel.base not in _HEAD_STAYS and not waits:
        found.add("write-lost")
    return frozenset(found)


def _words(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "safe"
