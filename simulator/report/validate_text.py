# SPDX-License-Identifier: MIT
"""
The report of a validation
--------------------------

What ``tlbsim validate`` prints: each count that differs from the real one, with
its line in the file, and how many were compared.
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.analysis.kernel_counts import Mismatch
from simulator.report.text import format_table, wrapped

__all__ = ("counts_text",)


def counts_text(
    source: str, kernels: Sequence[str], rows: int, cells: int, mismatches: Sequence[Mismatch]
) -> str:
    """Return what differs between counts of real kernels and simulated ones, as plain text."""
    lines = [
        wrapped(source, "counts     "),
        wrapped(", ".join(kernels), "simulated  "),
    ]
    if mismatches:
        table = [
            (str(m.line), m.kernel, m.phase, m.column, str(m.expected), str(m.got))
            for m in mismatches
        ]
        header = ("line", "kernel", "phase", "column", "expected", "got")
        lines += ["", format_table(table, header, align="rlllrr"), ""]
    lines.append(f"{rows} rows, {cells} cells, {len(mismatches)} mismatches")
    return "\n".join(lines) + "\n"
