# SPDX-License-Identifier: MIT
"""
/proc/interrupts
----------------

How many interrupts each CPU took for TLB shootdowns (line ``TLB``) and for
function calls (``CAL``): the proof that a shootdown happened.

Sources: Linux v6.6 arch/x86/kernel/irq.c, arch_show_interrupts().
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ("Interrupts", "read_interrupts")

_LINES = ("TLB", "CAL")


@dataclass(frozen=True)
class Interrupts:
    """Counts by line and CPU; a line that the kernel does not have is empty."""

    counts: dict[str, dict[int, int]] = field(default_factory=dict)

    def since(self, earlier: Interrupts, line: str, cpu: int) -> int:
        """Return how many a CPU took since ``earlier``."""
        now, then = self.counts.get(line, {}), earlier.counts.get(line, {})
        return now.get(cpu, 0) - then.get(cpu, 0)

    @property
    def has_shootdowns(self) -> bool:
        """Whether the kernel counts TLB shootdowns."""
        return bool(self.counts.get("TLB"))


def read_interrupts(path: Path = Path("/proc/interrupts")) -> Interrupts:
    """Return the counts; empty if the file cannot be read or is not what it should be."""
    try:
        head, *lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except (OSError, ValueError):
        return Interrupts()
    cpus = [int(name[3:]) for name in head.split() if name.startswith("CPU") and name[3:].isdigit()]
    found = {}
    for line in lines:
        name, _, rest = line.partition(":")
        if name.strip() in _LINES:
            numbers = rest.split()[: len(cpus)]
            if len(numbers) == len(cpus) and all(n.isdigit() for n in numbers):
                found[name.strip()] = dict(zip(cpus, map(int, numbers), strict=True))
    return Interrupts(found)
