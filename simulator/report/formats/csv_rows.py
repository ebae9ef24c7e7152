# SPDX-License-Identifier: MIT
"""
Rows for a program: CSV
-----------------------

The comparison's frame, every digit of it, below the facts as comments:
``pandas.read_csv(file, comment="#")`` reads it back.
"""

from __future__ import annotations

from simulator.report.formats.material import Material, facts

__all__ = ("render",)


def render(material: Material) -> str:
    """Return the file."""
    # A comment is a line, whatever a name holds.
    lines = [f"# {name}: {' '.join(text.split())}\n" for name, text in facts(material)]
    return "".join(lines) + material.comparison.frame.to_csv(index=False, lineterminator="\n")
