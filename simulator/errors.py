# SPDX-License-Identifier: MIT
"""
Errors that a user caused
-------------------------

Whatever a user typed wrongly becomes an :class:`InputError` whose text is one
line: the field, what is wrong with it, and the nearest valid value.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ("InputError", "nearest")


class InputError(ValueError):
    """Wrong input; ``str(error)`` is the one line shown to the user."""


def nearest(word: str, choices: Iterable[str]) -> str:
    """
    Return a hint at the nearest valid name, or an empty string.

    >>> nearest("v6.8", ("v6.6", "v6.7"))
    " (did you mean 'v6.7'?)"
    """
    known = sorted(choices)
    # A wrong version number differs in one character: prefer the later of equals.
    found = difflib.get_close_matches(word, known, n=len(known) or 1, cutoff=0.5)
    if not found:
        return ""
    best = max(found, key=lambda c: (difflib.SequenceMatcher(None, word, c).ratio(), c))
    return f" (did you mean {best!r}?)"
