# SPDX-License-Identifier: MIT
"""
Rows for a program: JSON
------------------------

An object with the facts, the provenance and the rows of the comparison's frame; where they
were asked for, also what it hangs on (``ranking``, ``tornado``) and ``break_even``.
"""

from __future__ import annotations

import json
from typing import Any

from simulator.analysis.frames import records
from simulator.report.formats.material import Material, facts

__all__ = ("render",)


def render(material: Material) -> str:
    """Return the text."""
    c = material.comparison
    told: dict[str, list[str]] = {}
    for name, text in facts(material):
        told.setdefault(name, []).append(text)
    header: dict[str, Any] = {
        "simulated": True,
        "command": material.command,
        "version": c.provenance.get("version"),
        "commit": c.provenance.get("commit"),
        "seeds": list(c.seeds),
        "replications": c.replications,
        "level": c.level,
        "same": dict(c.common),
        "keys": {
            label: [run.provenance.get("key") for run in runs]
            for label, runs in zip(c.labels, c.runs, strict=True)
        },
        "facts": told,
    }
    found = {"header": header, "rows": records(c.frame)}
    if material.evidence is not None:
        found |= material.evidence.rows()
    return json.dumps(found, indent=2, allow_nan=False) + "\n"
