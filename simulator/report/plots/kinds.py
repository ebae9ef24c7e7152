# SPDX-License-Identifier: MIT
"""
Kinds of plots of any results
-----------------------------

By name, what can be drawn of a comparison or of a single result, a user's own kernel
included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from simulator.analysis.frames import ResultTotals, name_of
from simulator.errors import InputError, nearest
from simulator.report.plots.change import plot_change
from simulator.report.plots.time_by import plot_time_by

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulator.analysis.compare import Comparison

__all__ = ("KINDS", "PAGE_KINDS", "draw")

Drawn = Iterator[tuple[str, "Figure"]]


def draw(kind: str, comparison: Comparison) -> list[tuple[str, Figure]]:
    """
    Return the figures of a kind with their names; none where the results have nothing of it.

    >>> draw("tmie", None)
    Traceback (most recent call last):
      ...
    simulator.errors.InputError: kind: unknown 'tmie' (did you mean 'time'?)
    """
    if kind not in KINDS:
        raise InputError(f"kind: unknown {kind!r}{nearest(kind, KINDS)}")
    return list(KINDS[kind](comparison))


def _change(comparison: Comparison) -> Drawn:
    figure = plot_change(comparison)
    if figure is not None:
        yield "change", figure


# Of each machine its first replications.
def _time(comparison: Comparison) -> Drawn:
    for machine, runs in _by_machine(comparison).items():
        yield f"time-{machine}", plot_time_by(runs)


def _by_machine(comparison: Comparison) -> dict[str, list[ResultTotals]]:
    found: dict[str, list[ResultTotals]] = {}
    for runs in comparison.runs:
        found.setdefault(name_of(runs[0].scenario.machine), []).append(runs[0])
    return found


#: What can be drawn, by name.
KINDS: Final[Mapping[str, Callable[[Comparison], Drawn]]] = {
    "change": _change,
    "time": _time,
}
#: What a page shows.
PAGE_KINDS: Final = ("change", "time")
