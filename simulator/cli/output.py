# SPDX-License-Identifier: MIT
"""
What commands print
-------------------
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.bars import Watch, watching
from simulator.errors import one_line
from simulator.outputs import filling

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = (
    "NO_CHECK",
    "STRICT",
    "complain",
    "is_watched",
    "json_text",
    "progress_bar",
    "stepping",
    "watched",
    "whole_files",
)

#: What --no-check and --strict mean, wherever they are.
NO_CHECK = "do not check what must hold (a little faster)"
STRICT = "exit status 1 if an invariant was broken (see: safety)"


def complain(message: str) -> None:
    """Tell the user on standard error, in one line, what went wrong."""
    # It may be closed.
    if sys.stderr is not None:
        sys.stderr.write(f"tlbsim: {one_line(message)}\n")


def json_text(value: Any) -> str:
    """Return JSON for a program to read, and a person too."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def whole_files(folder: Path) -> AbstractContextManager[Path]:
    """Return what yields an empty folder whose files in the end move to `folder`."""
    return filling("out", folder)


def is_watched() -> bool:
    """Whether standard error is a terminal; it may be closed."""
    return sys.stderr is not None and sys.stderr.isatty()


def progress_bar(total: int | None, what: str) -> tqdm[Any] | None:
    """Return a progress bar on standard error, or None where nobody would see it."""
    if not is_watched():
        return None
    from tqdm import tqdm

    return tqdm(total=total, desc=what, file=sys.stderr, leave=False)


@contextmanager
def stepping(total: int | None, what: str) -> Iterator[Callable[[], object] | None]:
    """Yield what is called after each step and moves a bar; None where nobody would see it."""
    bar = progress_bar(total, what)
    try:
        yield None if bar is None else bar.update
    finally:
        if bar is not None:
            bar.close()


@contextmanager
def watched(total: int, what: str) -> Iterator[Watch | None]:
    """Yield what takes a function that says how much is done; None where nobody would see it."""
    bar = progress_bar(total, what)
    try:
        with watching(bar, total) as watch:
            yield watch
    finally:
        if bar is not None:
            bar.close()
