# SPDX-License-Identifier: MIT
"""
In which format a command prints
--------------------------------
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from simulator.errors import InputError

if TYPE_CHECKING:
    from simulator.analysis.compare import Comparison
    from simulator.analysis.frames import ResultTotals
    from simulator.experiment.evidence import Evidence
    from simulator.experiment.sweeps import Sweep

__all__ = ("NAMES", "add_format_option", "check_format", "formatted")

#: As :data:`simulator.report.formats.FORMATS`, whose import costs every command time.
NAMES = (
    "table", "lkp", "mmtests", "cover-letter", "bpftrace", "markdown", "csv", "json", "html",
)  # fmt: skip


def add_format_option(parser: ArgumentParser, default: str | None = None) -> None:
    """Add --format and --all."""
    parser.add_argument(
        "--format", metavar="NAME", default=default,
        help=f"print as {', '.join(NAMES)}" + (f" (default {default})" if default else ""),
    )  # fmt: skip
    parser.add_argument(
        "--all", action="store_true", help="with --format table: rows that are equal, too"
    )


def check_format(args: Namespace) -> None:
    """Raise InputError for a format that there is not, before anything is simulated."""
    if args.format is not None:
        from simulator.errors import nearest

        if args.format not in NAMES:
            hint = nearest(args.format, NAMES) or f"; known: {', '.join(NAMES)}"
            raise InputError(f"format: unknown {args.format!r}{hint}")
        if getattr(args, "json", False):
            raise InputError("format: and --json exclude each other; use --format json")


def formatted(
    args: Namespace,
    found: ResultTotals | Comparison | Sweep,
    evidence: Evidence | None = None,
) -> str:
    """Return what was found in the format that the options ask for."""
    from simulator.experiment.material import material_of
    from simulator.report.formats import render

    return render(args.format, material_of(found, args.typed, every=args.all, evidence=evidence))
