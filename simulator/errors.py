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


def nearest(word: str, choices: Iterable[str], cutoff: float = 0.5) -> str:
    """
    Return a hint at the nearest valid name, or an empty string.

    ``cutoff`` is the least likeness (0 to 1) of a name to be one that was meant.

    >>> nearest("v6.8", ("v6.6", "v6.6+8", "v6.7"))
    " (did you mean 'v6.7'?)"
    """
    known = sorted(choices)
    found = difflib.get_close_matches(word, known, n=len(known) or 1, cutoff=cutoff)
    if not found:
        return ""

    def likeness(choice: str) -> tuple[float, str]:
        # Names of one length first: a wrong version number differs in one character.
        ratio = difflib.SequenceMatcher(None, word, choice).ratio()
        return ratio - 0.05 * abs(len(choice) - len(word)), choice

    return f" (did you mean {max(found, key=likeness)!r}?)"
