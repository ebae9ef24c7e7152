# SPDX-License-Identifier: MIT
"""
Results and stores that a command is given
------------------------------------------
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.cli.output import complain
from simulator.cli.process import FAILED

if TYPE_CHECKING:
    from simulator.analysis.compare import Comparison

__all__ = ("opened",)


def opened(folders: Sequence[Path], *, alone: bool) -> tuple[int, Comparison]:
    """
    Return the exit status and the comparison of what was saved; what failed is complained of.

    :param alone: whether a single result will do, without anything to compare it with.
    """
    from simulator.experiment.command import command_of
    from simulator.experiment.saved import compare_saved, saved_comparison

    found = (saved_comparison if alone else compare_saved)(folders)
    for cell in found.failed:
        complain(f"{cell.error}; repeat: {command_of(cell)}")
    return FAILED if found.failed else 0, found.comparison
