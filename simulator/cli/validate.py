# SPDX-License-Identifier: MIT
"""
``tlbsim validate``: the model held against reality
---------------------------------------------------
"""

from __future__ import annotations

import dataclasses
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.cli.output import json_text, progress_bar

if TYPE_CHECKING:
    from simulator.analysis.kernel_counts import Boot
    from simulator.validation import CountsCheck

__all__ = ("EXAMPLE", "HELP", "NAME", "configure", "run")

NAME = "validate"
HELP = "Hold the model against counts of real kernels."
EXAMPLE = "tlbsim validate --counts"

_MISMATCH = 1
_MACHINE = "epyc-7j13-vm252"


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    option = parser.add_argument
    option("--json", action="store_true", help="print JSON")
    option(
        "--counts",
        metavar="FILE",
        nargs="?",
        const="",
        help="counts of real kernels that must be met exactly (default: those of 6.1 and 6.12)",
    )
    option(
        "--machine",
        metavar="NAME",
        default=_MACHINE,
        help=f"for counts: with CPUs and memory enough (default {_MACHINE})",
    )


def run(args: Namespace) -> tuple[int, str]:
    """Return the exit status and what to print; counts that differ are a failure."""
    from simulator.analysis.kernel_counts import read_counts

    path = Path(args.counts) if args.counts else None
    boots = read_counts(path)
    check = _checked(boots, args)
    status = _MISMATCH if check.mismatches else 0
    if args.json:
        return status, json_text(_counts_json(check))
    from simulator.report.validate_text import counts_text

    source = str(path or "packaged: Debian's 6.1.176 and 6.12.107, counted with kprobes")
    kernels = list(dict.fromkeys(boot.kernel for boot in boots))
    return status, counts_text(source, kernels, check.rows, check.cells, check.mismatches)


def _checked(boots: tuple[Boot, ...], args: Namespace) -> CountsCheck:
    from simulator.machine import load_machine
    from simulator.validation import check_counts

    machine = load_machine(args.machine)
    with _progress(len(boots), "boots") as step:
        return check_counts(boots, machine, step)


def _counts_json(check: CountsCheck) -> dict[str, Any]:
    return {
        "rows": check.rows,
        "cells": check.cells,
        "mismatches": [dataclasses.asdict(mismatch) for mismatch in check.mismatches],
    }


@contextmanager
def _progress(total: int, what: str) -> Iterator[Any]:
    bar = progress_bar(total, what)
    try:
        yield None if bar is None else bar.update
    finally:
        if bar is not None:
            bar.close()
