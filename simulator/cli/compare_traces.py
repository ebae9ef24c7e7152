# SPDX-License-Identifier: MIT
"""
``tlbsim compare REAL SIMULATED``: a trace beside results
---------------------------------------------------------
"""

from __future__ import annotations

from argparse import Namespace

from simulator.cli.output import json_text
from simulator.errors import InputError
from simulator.outputs import Kind, check, writing

__all__ = ("compare_traces",)

PNG = Kind("a PNG picture", lambda head: head.startswith(b"\x89PNG"))


def compare_traces(args: Namespace) -> tuple[int, str]:
    """Return the exit status and what to print."""
    if len(args.saved) < 2:
        raise InputError(f"compare: {args.saved[0]} alone; name a second result or trace")
    for name in ("out", "format", "all", "strict"):
        if getattr(args, name):
            raise InputError(f"{name}: of a comparison of results alone, without a trace")
    if args.plot is not None:
        check("plot", args.plot, PNG)
    from simulator.analysis.distributions import side_by_side
    from simulator.report.side_by_side_text import side_by_side_json, side_by_side_report
    from simulator.saved import open_result

    results = {}
    for nth, path in enumerate(args.saved, start=1):
        name = str(path) if str(path) not in results else f"{path} #{nth}"
        results[name] = open_result(path)
    found = side_by_side(results)
    if args.plot is not None:
        from simulator.report.plots.side_by_side import plot_side_by_side
        from simulator.report.plots.style import save

        with writing("plot", args.plot, PNG) as whole:
            save(plot_side_by_side(found), whole)
    return 0, json_text(side_by_side_json(found)) if args.json else side_by_side_report(found)
