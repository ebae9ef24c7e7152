# SPDX-License-Identifier: MIT
"""
As the cover letter of a series reports times
---------------------------------------------

Machines as underlined headings, below each HVO off and on, kernel by kernel, and
the write to ``nr_hugepages`` with its ``real`` time, as ``time`` prints it.

Sources: M. Kravetz, Batch hugetlb vmemmap modification operations, cover letter,
20230825190436.55045-1-mike.kravetz@oracle.com
"""

from __future__ import annotations

import re

from simulator.analysis.frames import ResultTotals, Simulated, name_of, nr_cpus
from simulator.geometry import page_kb
from simulator.report.formats.material import Material, fact_lines
from simulator.report.header import machine_title
from simulator.report.text import format_ratio, underlined, wrapped

__all__ = ("render",)


def render(material: Material) -> str:
    """Return the letter's part with the numbers."""
    c = material.comparison
    blocks = []
    heading = ""
    # By machine, then HVO off before on, then as they were asked for.
    order = list(dict.fromkeys(_machine(runs[0]) for runs in c.runs))
    labels = sorted(c.labels, key=lambda of: (
        order.index(_machine(material.runs(of)[0])), material.runs(of)[0].scenario.hvo
    ))  # fmt: skip
    for label in labels:
        run = material.runs(label)[0]
        if _machine(run) != heading:
            heading = _machine(run)
            blocks.append(underlined(heading))
        blocks.append(_one(material, label, run))
    blocks.append("\n".join(fact_lines(material)))
    return "\n\n".join(blocks) + "\n"


def _machine(run: ResultTotals) -> str:
    return f"{machine_title(run)}, {nr_cpus(run)} CPUs (simulated)"


def _one(material: Material, label: str, run: ResultTotals) -> str:
    s = run.scenario
    safety = material.comparison.safety[label]
    title = f"{name_of(s.kernel)}, vm.hugetlb_optimize_vmemmap = {int(s.hvo)}"
    if label != name_of(s.kernel):
        title += f"  [{label}]"
    lines = [wrapped(title)]
    if safety.unsafe:
        lines.append(wrapped(safety.sentence))
    base = dict(material.pairs).get(label, label)
    for phase in material.phases:
        row = material.row(label, phase, "elapsed_s")
        if row is None:
            continue
        lines.append(_command(s, phase))
        text = _real(row["mean"])
        if base != label:
            word = "" if row["verdict"] == "significant" else f", {row['verdict']}"
            text += f"  {format_ratio(row['ratio'])} of {base}{word}"
        lines.append(wrapped(text, "real    "))
        if row["n"] > 1:
            between = f"{_real(row['ci_low'])}..{_real(row['ci_high'])}"
            lines.append(f"        mean of {row['n']}, {between}")
    return "\n".join(lines)


# What was typed, where that is a write to nr_hugepages.
def _command(s: Simulated, phase: str) -> str:
    word = re.fullmatch(r"(alloc|free)\d*", phase)
    if word is None:
        return f"{phase}:"
    pages = s.pages if word[1] == "alloc" else 0
    return f"time echo {pages} > .../hugepages-{page_kb(s.page_size)}kB/nr_hugepages"


def _real(seconds: float) -> str:
    """
    Return a time as the shell's ``time`` prints it, with microseconds below a second.

    >>> _real(147.609), _real(0.0704912)
    ('2m27.609s', '0m0.070491s')
    """
    minutes, rest = divmod(round(seconds, 6), 60)
    return f"{minutes:.0f}m{rest:.{3 if seconds >= 1 else 6}f}s"
