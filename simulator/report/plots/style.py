# SPDX-License-Identifier: MIT
"""
What all plots share: figure, caption, colours, axes
----------------------------------------------------

Colours of kernels are those of Okabe and Ito, which people with the common
colour deficiencies can tell apart; lines also differ in their width, the first
one the widest, so that kernels that behave alike all stay visible.

Sources: Okabe and Ito (2008), "Color Universal Design".
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from simulator.analysis.frames import ResultTotals, name_of, nr_cpus, phases_of
from simulator.analysis.safety import UNSAFE, safety_of
from simulator.report.header import machine_title, set_text, version_text
from simulator.report.text import format_count

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from simulator.analysis.compare import Comparison

__all__ = (
    "GREY",
    "Line",
    "Mark",
    "add_caption",
    "all_phases",
    "distinct",
    "first_of",
    "line_styles",
    "log_if_wide",
    "new_figure",
    "one_machine",
    "save",
    "svg_text",
    "marks",
    "label_lines",
    "legend_of",
    "replications_text",
    "write_caption",
)

T = TypeVar("T")

GREY = "#595959"
_DPI = 150
_CAPTION_POINTS = 7.5
# Characters of the caption's size that fit into an inch.
_CAPTION_PER_INCH = 17
_COLORS = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31")
_THINNEST = 1.2
_MOST_TICKS = 6  # decades with a label; between more of them, some have none
_WIDEST = 3.6

#: Colour and width (points) of one line.
Line = tuple[str, float]


def new_figure(width: float, height: float, title: str) -> Figure:
    """Return an empty figure of so many inches, its title at the left."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(f"{title} (simulated)", x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure


def add_caption(figure: Figure, results: Sequence[ResultTotals], how_to_read: str) -> None:
    """Say below a figure what was simulated and how to read it."""

    def each(name: str, show: Callable[[ResultTotals], str]) -> str:
        values = distinct(show(r) for r in results)
        listed = ", ".join(values) if len(values) < 10 else f"{values[0]} .. {values[-1]}"
        return f"{name} {listed}"

    facts = [
        f"simulated: {', '.join(distinct(machine_title(r) for r in results))}",
        each("kernel", lambda r: name_of(r.scenario.kernel)),
        each("pages of", lambda r: f"{name_of(r.scenario.page_size)}: {r.scenario.pages:,}"),
        each("HVO", lambda r: name_of(r.scenario.hvo)),
        each("CPUs", lambda r: format_count(nr_cpus(r))),
        each("noise", lambda r: name_of(r.scenario.noise)),
        each("seed", lambda r: str(r.scenario.seed)),
        *distinct(f"set {text}" for r in results if (text := set_text(r.provenance))),
        *_remarks(results),
        *_safety(results),
        version_text(results[0].provenance),
    ]
    write_caption(figure, facts, how_to_read)


# One fact if all are safe, else one for each kernel that is not.
def _safety(results: Sequence[ResultTotals]) -> list[str]:
    of_kernel: dict[str, list[ResultTotals]] = {}
    for result in results:
        of_kernel.setdefault(name_of(result.scenario.kernel), []).append(result)
    found = {kernel: safety_of(runs) for kernel, runs in of_kernel.items()}
    unsafe = [f"{UNSAFE} {name}: {s.verdict}" for name, s in found.items() if s.unsafe]
    return unsafe or distinct(safety.sentence for safety in found.values())


# Who proposed a kernel, and where, is in the report beside the plot.
def _remarks(results: Sequence[ResultTotals]) -> list[str]:
    proposals = {where for r in results if (where := r.scenario.kernel_class.proposed_in)}
    notes = distinct(note for r in results for note in r.provenance.get("notes", ()))
    others = [note for note in notes if not any(note.endswith(where) for where in proposals)]
    unmerged = distinct(
        name_of(r.scenario.kernel) for r in results if r.scenario.kernel_class.proposed_in
    )
    return [*([f"never merged: {', '.join(unmerged)}"] if unmerged else []), *others]


def write_caption(figure: Figure, facts: Sequence[str], how_to_read: str) -> None:
    """Write facts and how to read it below a figure."""
    columns = int(figure.get_figwidth() * _CAPTION_PER_INCH)
    text = "\n".join(
        line for part in ("; ".join(facts), how_to_read) for line in textwrap.wrap(part, columns)
    )
    figure.supxlabel(text, x=0.01, ha="left", fontsize=_CAPTION_POINTS, color=GREY)


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG, or as SVG where the name ends so, and return where; equal bytes."""
    target = Path(path)
    if target.suffix == ".svg":
        target.write_text(svg_text(figure), encoding="utf-8")
    else:
        figure.savefig(target, format="png", dpi=_DPI, metadata={"Software": None})
    return target


def svg_text(figure: Figure) -> str:
    """Return a figure as SVG: no date in it, and the same names of its parts every time."""
    text = io.StringIO()
    # Several may stand in one page: what they name differs by their title.
    with mpl.rc_context({"svg.hashsalt": figure.get_suptitle()}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def replications_text(comparison: Comparison) -> str:
    """Return how many replications a figure shows, and what one means."""
    most = int(comparison.frame["n"].max())
    if most == 1:
        return "n=1: one run each, so there is no spread to show."
    return f"n={most}."


def first_of(many: Sequence[T], most: int) -> tuple[list[T], str]:
    """
    Return the first of many, and what a caption says of the others.

    >>> first_of(["a", "b", "c"], 2)
    (['a', 'b'], ' Of 3 scenarios, the first 2.')
    >>> first_of(["a"], 2)
    (['a'], '')
    """
    left_out = len(many) > most
    return list(many[:most]), f" Of {len(many)} scenarios, the first {most}." if left_out else ""


def distinct(values: Iterable[str]) -> list[str]:
    """
    Return the different values in their order of appearance.

    >>> distinct(["v6.7", "v6.6", "v6.7"])
    ['v6.7', 'v6.6']
    """
    return list(dict.fromkeys(values))


def all_phases(results: Sequence[ResultTotals]) -> list[str]:
    """Return the phases of all results in their order."""
    return distinct(phase for r in results for phase in phases_of(r))


def one_machine(results: Sequence[ResultTotals]) -> None:
    """Refuse an empty list, and results of several machines in one plot."""
    if not results:
        raise ValueError("no results to plot")
    names = distinct(name_of(r.scenario.machine) for r in results)
    if len(names) > 1:
        raise ValueError(f"one plot shows one machine, not {', '.join(names)}")


def line_styles(names: Sequence[str]) -> dict[str, Line]:
    """Return a colour and a width for each name; colours repeat after 8 names."""
    different = distinct(names)
    step = min(0.9, (_WIDEST - _THINNEST) / max(1, len(different) - 1))
    return {
        name: (_COLORS[i % len(_COLORS)], _THINNEST + step * (len(different) - 1 - i))
        for i, name in enumerate(different)
    }


#: How a scenario is told from the others without colour: marker, line style.
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_DASHES: tuple[Any, ...] = (
    "-", (0, (6, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (10, 3)),
    (0, (3, 3)), (0, (1, 3)),
)  # fmt: skip


@dataclass(frozen=True)
class Mark:
    """How one scenario is drawn: colour, marker and line style, each enough by itself."""

    color: str
    marker: str
    dashes: Any


def marks(names: Sequence[str]) -> dict[str, Mark]:
    """Return how each name is drawn; what is drawn repeats after 8 of them."""
    return {
        name: Mark(_COLORS[i % 8], _MARKERS[i % 8], _DASHES[i % 8])
        for i, name in enumerate(distinct(names))
    }


def label_lines(
    ax: Axes, ends: Sequence[tuple[float, float, str, str]], room: float = 0.055
) -> None:
    """
    Write names at the ends of lines (x, y, name, colour), moved apart where they would collide.

    ``room`` is the height of a name as a part of the axis.
    """
    # Limits are set when they are asked for.
    ax.get_xlim()
    ax.get_ylim()
    to_axes = (ax.transData + ax.transAxes.inverted()).transform
    places = sorted((*to_axes((x, y)), name, color) for x, y, name, color in ends)
    places.sort(key=lambda place: place[1])
    heights: list[float] = []
    for _x, y, *_ in places:
        heights.append(max(y, heights[-1] + room) if heights else y)
    # What was pushed above the top goes down again, and takes those below along.
    over = max(0.0, (heights[-1] if heights else 0.0) - 1.0)
    for i in range(len(heights) - 1, -1, -1):
        above = heights[i + 1] - room if i + 1 < len(heights) else 1.0
        heights[i] = min(heights[i], above) if over else heights[i]
    right = max((x for x, *_ in places), default=1.0)
    for (_x, _y, name, color), height in zip(places, heights, strict=True):
        ax.annotate(
            name, (right, height), (6, 0), xycoords="axes fraction", textcoords="offset points",
            va="center", fontsize=8, color=color, annotation_clip=False,
        )  # fmt: skip


def legend_of(panels: Iterable[Axes]) -> tuple[list[Artist], list[str]]:
    """Return what is drawn in any of some panels and its labels, each label once."""
    handles = {
        label: handle
        for ax in panels
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    return list(handles.values()), list(handles)


def log_if_wide(ax: Axes, axis: str, values: Iterable[float], factor: float = 20.0) -> bool:
    """Make an axis logarithmic where its positive values span more than ``factor``."""
    positive = [value for value in values if value > 0]
    if not positive or max(positive) / min(positive) <= factor:
        return False
    if axis == "x":
        ax.set_xscale("log")
    else:
        ax.set_yscale("log")
    ticks = ax.xaxis if axis == "x" else ax.yaxis
    # 0.5, 20, 100 instead of powers of ten: these are times and rates that people say aloud.
    ticks.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    subdivisions = _subdivisions(max(positive) / min(positive), axis)
    ticks.set_major_locator(LogLocator(subs=subdivisions, numticks=_MOST_TICKS))
    ticks.set_minor_formatter(NullFormatter())
    return True


# As many labelled ticks to a decade as there is room for; a horizontal axis has less.
def _subdivisions(span: float, axis: str) -> tuple[float, ...]:
    if span < (1000 if axis == "y" else 30):
        return (1.0, 2.0, 5.0)
    return (1.0, 3.0) if span < 1000 else (1.0,)
