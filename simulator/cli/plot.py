# SPDX-License-Identifier: MIT
"""
``tlbsim plot``: pictures of saved results
------------------------------------------
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.cli.output import complain, whole_files
from simulator.cli.saved_results import opened
from simulator.errors import InputError, nearest

if TYPE_CHECKING:
    import pandas as pd

    from simulator.analysis.compare import Comparison

__all__ = ("EXAMPLE", "HELP", "KINDS", "NAME", "configure", "draw_into", "run")

NAME = "plot"
HELP = "Draw saved results and stores (run --out, sweep --store), or write plots as text."
EXAMPLE = (
    "tlbsim run --machine laptop-8 --kernel v6.7 --pages 64 --out run-1\n"
    "  tlbsim plot run-1 --kind time --text"
)
#: What each of :data:`simulator.report.plots.kinds.KINDS` shows; importing that costs every
#: command time.
KINDS = {
    "change": "before and after, as ratios with intervals",
    "scaling": "elapsed time against the number of CPUs",
    "time": "where the time goes",
    "difference": "where the change comes from",
    "latency": "how many folios and flushes took longer than that",
    "course": "how long each flush took, over time (of results of run --out)",
    "flush": "the CPUs around one flush (of a result of run --out)",
    "victims": "what the other CPUs lost, by socket",
    "throughput": "work done over time",
    "batch": "folios per broadcast against stalls and pages held",
}
_FORMS = ("svg", "png")


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "saved", metavar="RESULT", nargs="+", type=Path, help="a folder; the first is the baseline"
    )
    parser.add_argument(
        "--kind", metavar="NAME", action="append",
        help="may be repeated (default: all there is): "
        + "; ".join(f"{kind}: {about}" for kind, about in KINDS.items()),
    )  # fmt: skip
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("plots"), help="where to (default plots)"
    )
    parser.add_argument(
        "--form", metavar="svg|png", action="append", help="only that (default: both)"
    )
    parser.add_argument("--text", action="store_true", help="print them as text, write nothing")


def run(args: Namespace) -> tuple[int, str]:
    """Return the exit status and what to print."""
    kinds = _chosen("kind", args.kind, tuple(KINDS))
    forms = _chosen("form", args.form, _FORMS)

    status, comparison = opened(args.saved, alone=True)
    if args.text:
        from simulator.experiment.material import material_of
        from simulator.report.formats.material import fact_lines
        from simulator.report.plot_text import plot_text

        blocks = [plot_text(kind, comparison) for kind in kinds]
        found = "\n\n".join(block for block in blocks if block)
        facts = "\n".join(fact_lines(material_of(comparison)))
        return status, f"{facts}\n\n{found or 'nothing to plot'}\n"
    with whole_files(args.out) as folder:
        names = draw_into(folder, comparison, kinds, forms, asked=bool(args.kind))
    return status, "".join(f"{args.out / name}\n" for name in names)


def draw_into(
    folder: Path,
    comparison: Comparison,
    kinds: Iterable[str] = KINDS,
    forms: tuple[str, ...] = _FORMS,
    *,
    asked: bool = False,
    ends: pd.DataFrame | None = None,
) -> list[str]:
    """
    Draw what there is into a folder; return the names of the files.

    :param ends: of :func:`simulator.experiment.evidence.tornado`, for the plots of uncertainty.
    """
    from simulator.report.plots.kinds import draw, draw_uncertainty
    from simulator.report.plots.style import save

    names = []
    for kind in (*kinds, *(["uncertainty"] if ends is not None else [])):
        figures = draw(kind, comparison) if kind in KINDS else draw_uncertainty(comparison, ends)
        if asked and not figures:
            complain(f"kind: these results have nothing for {kind}")
        for name, figure in figures:
            for form in forms:
                save(figure, folder / f"{name}.{form}")
                names.append(f"{name}.{form}")
    return names


def _chosen(option: str, given: list[str] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    if given is None:
        return known
    names = tuple(dict.fromkeys(name for text in given for name in text.split(",")))
    for name in names:
        if name not in known:
            hint = nearest(name, known) or f"; known: {', '.join(known)}"
            raise InputError(f"{option}: unknown {name!r}{hint}")
    return names
