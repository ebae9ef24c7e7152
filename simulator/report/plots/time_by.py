# SPDX-License-Identifier: MIT
"""
Where the time goes
-------------------

Stacked bars of what the tasks of a phase spent their time on. A category has
the same colour in every figure; those of a user's kernel come after the others,
hatched; what is small in every bar is one grey rest.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.analysis.frames import ResultTotals, name_of, ns_by_category, of_phase, phases_of
from simulator.report.plots.style import (
    add_caption,
    all_phases,
    new_figure,
    one_machine,
)
from simulator.report.text import format_ns, format_share, unit_of_ns
from simulator.trace.words import own_words

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ("CATEGORY_COLORS", "plot_time_by")

# Families share a hue, and neighbours differ in lightness: flushes orange, waiting for
# others purple, huge pages blue, base pages teal, page tables yellow, the rest grey.
CATEGORY_COLORS = {
    "flush_enqueue": "#FDBE85",
    "flush_send": "#FD8D3C",
    "flush_local": "#7F2704",
    "flush_wait": "#D94801",
    "interrupted": "#F768A1",
    "page_table_lock": "#54278F",
    "hugetlb_lock": "#9E9AC8",
    "mmap_lock": "#CBC9E2",
    "static_key": "#AE017E",
    "rcu": "#FCC5C0",
    "huge_page_alloc": "#08519C",
    "huge_page_free": "#4292C6",
    "pte_page_alloc": "#C7EAE5",
    "pte_page_fill": "#80CDC1",
    "page_alloc": "#35978F",
    "page_copy": "#01665E",
    "page_free": "#003C30",
    "split": "#8C7A00",
    "remap": "#C9B400",
    "restore": "#F0E442",
    "barrier": "#737373",
    "bookkeeping": "#969696",
    "sleep": "#D9D9D9",
}
# For what a user's kernel spends time on besides: told from the others by a hatch.
_OWN_COLORS = ("#F781BF", "#A6D854", "#80B1D3", "#FFD92F")
_OWN_HATCH = "////"
_OTHER = "other"
_OTHER_COLOR = "#BDBDBD"
# Smaller than this in every bar means "other"; smaller than that has no room for its number.
_SMALL = 0.02
_LABELLED = 0.07
# How much of the axis a character of a name takes, in percent.
_SHARE_PER_CHARACTER = 1.9


def plot_time_by(results: Sequence[ResultTotals], names: Sequence[str] | None = None) -> Figure:
    """
    Return stacked bars per phase and run: time at the left, shares at the right.

    With several tasks a bar is their mean, so that its length is the elapsed
    time of the phase.

    :param results: runs of one machine.
    :param names: what tells them apart (default: kernel and HVO).
    """
    one_machine(results)
    called = _names(results) if names is None else names
    bars = [
        (
            (phase, bool(r.scenario.hvo)),
            _bar_name(name, phase),
            _mean_of_tasks(r, phase),
        )
        for phase in all_phases(results)
        for r, name in zip(results, called, strict=True)
        if phase in phases_of(r)
    ]
    parts = _merge_small([spent for *_, spent in bars])
    longest = max(sum(spent.values()) for spent in parts)
    unit, unit_ns = unit_of_ns(longest)
    figure = new_figure(10.0, 2.0 + 0.28 * len(bars), "Where the time goes")
    times, shares = figure.subplots(1, 2, sharey=True)
    at = _positions([group for group, *_ in bars])
    _stack(times, at, [{k: ns / unit_ns for k, ns in spent.items()} for spent in parts])
    _stack(shares, at, [_shares(spent) for spent in parts], labelled=True)
    for y, spent in zip(at, parts, strict=True):
        total = sum(spent.values())
        times.annotate(
            format_ns(total),
            (total / unit_ns, y),
            (3, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )
    # Room for the number at the end of the longest bar.
    times.set_xlim(0, 1.16 * longest / unit_ns)
    times.set_yticks(at, [name for _, name, _ in bars], fontsize=8)
    times.set_ylim(at[-1] + 0.6, -0.6)
    times.set_xlabel(f"time of a task ({unit})")
    shares.set_xlabel("share of its time (%)")
    shares.set_xlim(0, 100)
    for ax in (times, shares):
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(axis="y", length=0)
    figure.legend(*_legend(times, parts), loc="outside right upper", fontsize=8)
    add_caption(
        figure,
        results,
        f"A bar is as long as the phase took. Other: every category below {format_share(_SMALL)} "
        "in all of these bars. n=1: each is one run.",
    )
    return figure


def _bar_name(name: str, phase: str) -> str:
    kernel, comma, rest = name.partition(", ")
    return f"{kernel}  {phase}{comma}{rest}"


def _names(results: Sequence[ResultTotals]) -> list[str]:
    kernels = [name_of(r.scenario.kernel) for r in results]
    if len({bool(r.scenario.hvo) for r in results}) == 1:
        return kernels
    hvo = [name_of(bool(r.scenario.hvo)) for r in results]
    return [f"{kernel}, HVO {on}" for kernel, on in zip(kernels, hvo, strict=True)]


def _mean_of_tasks(result: ResultTotals, phase: str) -> dict[str, float]:
    tasks = max(1, of_phase(result.time_by, phase)["task"].nunique())
    return {category: ns / tasks for category, ns in ns_by_category(result, phase).items()}


# In the order of the colours, a kernel's own categories after them; the small ones as "other".
def _merge_small(bars: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    own = own_words(CATEGORY_COLORS, (category for spent in bars for category in spent))
    large = [
        category
        for category in (*CATEGORY_COLORS, *own)
        if any(spent.get(category, 0) > _SMALL * sum(spent.values()) for spent in bars)
    ]
    merged = []
    for spent in bars:
        kept = {category: spent.get(category, 0.0) for category in large}
        rest = sum(ns for category, ns in spent.items() if category not in kept)
        merged.append({**kept, _OTHER: rest})
    return merged


def _shares(spent: dict[str, float]) -> dict[str, float]:
    total = sum(spent.values())
    return {category: 100 * ns / total if total else 0.0 for category, ns in spent.items()}


# One below the other, and a little apart where phase or HVO change.
def _positions(groups: Sequence[object]) -> list[float]:
    at = [0.0]
    for before, group in itertools.pairwise(groups):
        at.append(at[-1] + (1.0 if group == before else 1.4))
    return at


def _stack(
    ax: Axes, at: Sequence[float], bars: Sequence[dict[str, float]], labelled: bool = False
) -> None:
    left = [0.0] * len(bars)
    own = [category for category in bars[0] if category not in (*CATEGORY_COLORS, _OTHER)]
    for category in bars[0]:
        widths = [spent[category] for spent in bars]
        color = CATEGORY_COLORS.get(category, _OTHER_COLOR)
        if category in own:
            color = _OWN_COLORS[own.index(category) % len(_OWN_COLORS)]
        drawn = ax.barh(
            at,
            widths,
            0.78,
            left=left,
            color=color,
            edgecolor="white",
            hatch=_OWN_HATCH if category in own else None,
            linewidth=0.4,
            label=category,
        )
        if labelled:
            texts = [_label(category, share) for share in widths]
            ax.bar_label(drawn, texts, label_type="center", fontsize=7, color=_readable_on(color))
        left = [a + b for a, b in zip(left, widths, strict=True)]


# By name where it fits, so that it is told without its colour.
def _label(category: str, share: float) -> str:
    if share < 100 * _LABELLED:
        return ""
    named = f"{category} {share:.0f}"
    return named if share >= _SHARE_PER_CHARACTER * len(named) else f"{share:.0f}"


# Black or white, whichever stands out: the weights are those of perceived brightness (ITU BT.601).
def _readable_on(color: str) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"


def _legend(ax: Axes, bars: Sequence[dict[str, float]]) -> tuple[list[Artist], list[str]]:
    handles, labels = ax.get_legend_handles_labels()
    used = [i for i, name in enumerate(labels) if any(spent[name] > 0 for spent in bars)]
    return [handles[i] for i in used], [labels[i] for i in used]
