# SPDX-License-Identifier: MIT
"""
Progress bars
-------------

In a notebook, what takes longer than a second shows how far it is; elsewhere whoever
calls says where a bar goes.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ("Watch", "notebook_bar", "watching")

#: Takes a function that says how much is done, and shows it from time to time.
Watch = Callable[[Callable[[], int]], None]

# How often a bar moves, and after how long it is there.
_SECONDS = 0.2
_DELAY_S = 1.0


@contextmanager
def notebook_bar(total: int | None, what: str) -> Iterator[tqdm[Any] | None]:
    """Yield a bar for the cell of a notebook, or None where there is no notebook."""
    if not _in_notebook():
        yield None
        return
    module = importlib.import_module("tqdm.notebook" if find_spec("ipywidgets") else "tqdm")
    with module.tqdm(total=total, desc=what, leave=False, delay=_DELAY_S) as bar:
        yield bar


@contextmanager
def watching(bar: tqdm[Any] | None, total: int) -> Iterator[Watch | None]:
    """
    Yield what moves a bar while something else runs, which is not slowed down by it.

    None without a bar.
    """
    if bar is None:
        yield None
        return
    ended = threading.Event()
    threads = []

    def watch(done: Callable[[], int]) -> None:
        def show() -> None:
            while not ended.wait(_SECONDS):
                bar.update(min(done(), total) - bar.n)

        threads.append(threading.Thread(target=show, daemon=True))
        threads[-1].start()

    try:
        yield watch
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _in_notebook() -> bool:
    # Nothing but a notebook's kernel loads this.
    return "ipykernel.zmqshell" in sys.modules and find_spec("tqdm") is not None
