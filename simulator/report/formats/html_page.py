# SPDX-License-Identifier: MIT
"""
One self-contained page
-----------------------

The tables and plots of a report in one file: no script, nothing loaded from
anywhere, SVG within the page, every name escaped.
"""

from __future__ import annotations

from html import escape

from simulator.analysis.compare import METRICS
from simulator.report.formats.material import Material, facts
from simulator.report.formats.table import change_text, interval_text
from simulator.report.metric_words import TITLES, format_metric

__all__ = ("fact_list", "metric_tables", "render")

_STYLE = """\
body { font: 15px/1.45 system-ui, sans-serif; max-width: 64em; margin: 2em auto; padding: 0 1em;
  color: #1a1a1a; background: #fff }
table { border-collapse: collapse; margin: 0.5em 0 1.5em }
th, td { padding: 0.15em 0.8em; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left; font-weight: normal }
dt { font-weight: bold } dd { margin: 0 0 0.3em 1.5em }
code { background: #f3f3f3; padding: 0.1em 0.3em; overflow-wrap: anywhere }
svg { max-width: 100%; height: auto; margin: 1em 0 }
.unsafe { color: #b00020; font-weight: bold }"""


def render(material: Material) -> str:
    """Return the page."""
    title = "TLB flushes of huge pages, simulated"
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>\n<style>\n{_STYLE}\n</style>\n</head>\n<body>\n<h1>{title}</h1>",
        fact_list(material),
        metric_tables(material, 2),
        *_plots(material),
        "</body>\n</html>\n",
    ]
    return "\n".join(parts)


def metric_tables(material: Material, level: int) -> str:
    """Return a table for each phase and pair, under headings of this level."""
    parts = []
    for phase in material.phases:
        for label, base in material.pairs:
            body = "\n".join(_rows(material, phase, label, base))
            if not body:
                continue
            safety = material.comparison.safety[label]
            mark = (
                f' <span class="unsafe">{escape(safety.sentence)}</span>' if safety.unsafe else ""
            )
            name = label if label == base else f"{base} to {label}"
            columns = ["mean"] if label == base else ["before", "after", "change", "interval"]
            head = "".join(f"<th>{column}</th>" for column in ("simulated", *columns))
            parts.append(
                f"<h{level}>{escape(phase)}: {escape(name)}{mark}</h{level}>\n"
                f"<table>\n<tr>{head}</tr>\n{body}\n</table>"
            )
    return "\n".join(parts)


def _rows(material: Material, phase: str, label: str, base: str) -> list[str]:
    rows = []
    for metric in METRICS:
        row = material.row(label, phase, metric)
        if row is None:
            continue
        cells = [TITLES[metric], format_metric(metric, row["mean"])]
        if label != base:
            before = format_metric(metric, row["ref_mean"])
            cells = [cells[0], before, cells[1], change_text(row), interval_text(row)]
        rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    return rows


def fact_list(material: Material) -> str:
    """Return what has to stand beside any number, as a list of terms."""
    lines = ["<dl>"]
    last = ""
    for name, text in facts(material):
        shown = f"<code>{escape(text)}</code>" if name == "command" else escape(text)
        term = "" if name == last else f"<dt>{escape(name)}</dt>"
        lines.append(f"{term}<dd>{shown}</dd>")
        last = name
    return "\n".join([*lines, "</dl>"])


def _plots(material: Material) -> list[str]:
    from simulator.report.plots.kinds import PAGE_KINDS, draw
    from simulator.report.plots.style import svg_text

    found = []
    for kind in PAGE_KINDS:
        for _name, figure in draw(kind, material.comparison):
            svg = svg_text(figure)
            # Within a page, an SVG has no prologue of its own.
            found.append(svg[svg.index("<svg") :])
    return found
