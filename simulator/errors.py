# SPDX-License-Identifier: MIT
"""
Errors that a user caused
-------------------------

Whatever a user typed wrongly becomes an :class:`InputError` whose text is one
line: the field, what is wrong with it, and the nearest valid value.  A file in
which several things are wrong has a line for each (:func:`all_wrong`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

__all__ = (
    "InputError",
    "KernelError",
    "all_wrong",
    "first_line",
    "nearest",
    "number_text",
    "one_line",
    "wrong_lines",
)

# Longer than any path that is not meant as a trick, and than any message of our own.
_LONGEST_WORD = 300
_LONGEST_LINE = 2000
_WORD = re.compile(rf"\S{{{_LONGEST_WORD + 1},}}")


class InputError(ValueError):
    """
    Wrong input; ``str(error)`` is the one line shown to the user.

    What the user typed may hold line ends or have any length: see :func:`one_line`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def all_wrong(found: Iterable[str]) -> InputError:
    """
    Return the error for a file in which at least one thing is wrong, each said once.

    The first is its text, the others are its notes, which a traceback shows too.

    >>> wrong_lines(all_wrong(["mine.toml: title: is empty", "mine.toml: cpus: is 0"]))
    ['mine.toml: title: is empty', 'mine.toml: cpus: is 0']
    """
    first, *others = dict.fromkeys(found)
    error = InputError(first)
    for other in others:
        error.add_note(one_line(other))
    return error


def wrong_lines(error: InputError) -> list[str]:
    """Return all that an error says, a line for each thing that is wrong."""
    return [str(error), *getattr(error, "__notes__", ())]


def one_line(text: str) -> str:
    r"""
    Return a text as one line of bearable length that any terminal can show.

    Characters that cannot be printed are escaped as in Python; of a very long word, and of
    a very long line, the middle is left out.

    >>> one_line("machine: 'a\nb'")
    "machine: 'a\\nb'"
    """
    # Shortened first: escapes are longer than what they stand for.
    text = _WORD.sub(lambda word: _shortened(word[0], _LONGEST_WORD), text)
    text = _shortened(text, _LONGEST_LINE)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def first_line(error: BaseException) -> str:
    r"""
    Return the first line of what an error says; that of a user's own class may say nothing.

    >>> first_line(ValueError("one\ntwo")), first_line(KeyError())
    ('one', '')
    """
    try:
        return next(iter(str(error).splitlines()), "")
    except Exception as other:  # noqa: BLE001 - code of the user's
        return f"({type(other).__name__} in its __str__())"


def number_text(value: float) -> str:
    """
    Return a number as ``:g`` has it, also an integer of which no float can be made.

    >>> number_text(0.25), number_text(10**400)
    ('0.25', 'about 1e400')
    """
    try:
        return f"{value:g}"
    except OverflowError:
        return f"about {'-' if value < 0 else ''}1e{int(int(value).bit_length() * 0.30103)}"


class KernelError(RuntimeError):
    """
    Kernel code did what no kernel may do; ``str(error)`` says what, in a few lines.

    ``where``: file, line and function, of what is found when that no longer runs.
    """

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(message)
        self.where = where


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


def _shortened(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    kept = (length - 3) // 2
    return f"{text[:kept]}...{text[-kept:]}"
