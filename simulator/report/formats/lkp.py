# SPDX-License-Identifier: MIT
"""
As the kernel test robot reports
--------------------------------

The block of LKP mails: a rule, the axes and their values joined by slashes, the
commits with their subjects, and a line a metric: value and %stddev before, %change,
value and %stddev after.  At most 80 columns, as its own are.  As there, a deviation
stands from 2 % on, so that what varies is seen at once.

Sources: mails of the kernel test robot, https://github.com/intel/lkp-tests
"""

from __future__ import annotations

import math
import statistics
import textwrap
from collections.abc import Sequence

from simulator.analysis.compare import METRICS
from simulator.analysis.frames import name_of
from simulator.analysis.safety import UNSAFE
from simulator.report.formats.material import Material, fact_lines, plain_number

__all__ = ("render",)

_WIDTH = 80
_RULE = "=" * _WIDTH
# The two halves of a line: value and %stddev; %change in front of the second.
_HEAD = "         %stddev     %change         %stddev"
_LINE = "             \\          |                \\"
_LEAST_SHOWN = 1.5  # in percent: what is rounded to 2


def render(material: Material) -> str:
    """Return a block for each pair."""
    blocks = ["\n".join(fact_lines(material))]
    blocks += [_block(material, label, base) for label, base in material.pairs]
    return "\n\n".join(blocks) + "\n"


def _block(material: Material, label: str, base: str) -> str:
    both = list(dict.fromkeys((base, label)))
    runs = [material.runs(of)[0] for of in both]
    common = material.comparison.common
    axes = {name: value for name, value in common.items() if name != "kernel" and value != "none"}
    lines = [_RULE, *_joined(list(axes), ":"), *(f"  {x}" for x in _joined(list(axes.values())))]
    lines += ["", "commit:"]
    for of, run in zip(both, runs, strict=True):
        kernel = run.scenario.kernel_class
        named = f"{name_of(run.scenario.kernel)}"
        named += f' ("{kernel.subject}")' if kernel.subject else ""
        named += f"  [{of}]" if of != name_of(run.scenario.kernel) else ""
        named += f"  {UNSAFE}" if material.comparison.safety[of].unsafe else ""
        lines += textwrap.wrap(named, _WIDTH, initial_indent="  ", subsequent_indent="    ")
    lines.append("")
    if len(both) > 1:
        width = 27
        lines.append(f"{_fit(base, 16):>16} {_fit(label, width):<{width}}".rstrip())
        lines += ["---------------- ---------------------------", _HEAD, _LINE]
    else:
        lines += [
            f"{_fit(label, 16):>16}",
            "----------------",
            "         %stddev",
            "             \\",
        ]
    for phase in material.phases:
        for metric in METRICS:
            if material.row(label, phase, metric) is None:
                continue
            cells = _value(material.values(base, phase, metric))
            if len(both) > 1:
                cells += _change(material, label, phase, metric)
                cells += "  " + _value(material.values(label, phase, metric))
            lines.append(f"{cells}  {phase}.{metric}")
    lines += ["", "simulated; ~ in front of a change: not significant; no +-: below 2%, or 1 run"]
    return "\n".join(lines)


def _joined(words: Sequence[str], end: str = "") -> list[str]:
    # Breaks after a slash alone.
    lines = [""]
    for i, word in enumerate(words):
        part = word + ("/" if i + 1 < len(words) else end)
        if len(lines[-1]) + len(part) > _WIDTH - 2 and lines[-1]:
            lines.append("")
        lines[-1] += part
    return [piece for line in lines for piece in textwrap.wrap(line, _WIDTH - 2)]


def _fit(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 2]}.."


# 10 columns of value, and 6 of its deviation.
def _value(values: Sequence[float]) -> str:
    mean = statistics.fmean(values)
    text = f"{plain_number(mean):>10}"
    percent = 100 * statistics.stdev(values) / abs(mean) if len(values) > 1 and mean else 0.0
    return f"{text} +-{percent:3.0f}%" if percent >= _LEAST_SHOWN else f"{text}       "


def _change(material: Material, label: str, phase: str, metric: str) -> str:
    row = material.row(label, phase, metric)
    if row is None or math.isnan(row["ratio"]):
        return f"{'-':>12}"
    mark = "~" if row["verdict"] == "not significant" else ""
    change = 100 * (row["ratio"] - 1)
    shown = f"{change:+.1f}%" if abs(change) < 1000 else f"{row['ratio']:.1f}x"
    return f"{mark + shown:>12}"
