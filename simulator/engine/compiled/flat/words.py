# SPDX-License-Identifier: MIT
"""
Flat arrays and their words
---------------------------

Compiled code sees the machine and what goes on in it as two arrays of int64: more
arguments would cost more than what they hold, and an array of structures is 5 to
20 % slower.  What lies where is said by named tuples of offsets: :func:`places` numbers
the names, :class:`FlatArray` puts the parts one after another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ("FlatArray", "Int8s", "Int64s", "places")

Int8s = npt.NDArray[np.int8]
Int64s = npt.NDArray[np.int64]


def places(names: Sequence[str], *, rounded: int = 1, **widths: int) -> list[int]:
    """
    Return the offset of each name, in words.

    Each is a word wide, or as many as ``widths`` says.  ``words``, the last one, is
    the length of all of them, rounded up to a multiple.

    >>> places(("busy_until_ns", "mean_fp", "words"), rounded=8, mean_fp=4)
    [0, 1, 8]
    """
    found = []
    offset = 0
    for name in names:
        found.append(-(-offset // rounded) * rounded if name == "words" else offset)
        offset += widths.get(name, 1)
    return found


class FlatArray:
    """A flat array in the making: a header, and parts behind it."""

    def __init__(self, header_words: int) -> None:
        self._parts = [np.zeros(header_words, dtype=np.int64)]
        self._length = header_words

    def add(self, values: Sequence[int] | Int64s) -> int:
        """Add a part; return its offset."""
        part = np.asarray(values, dtype=np.int64)
        offset = self._length
        self._parts.append(part)
        self._length += len(part)
        return offset

    def filled(self, length: int, value: int = 0) -> int:
        """Add a part that is all one value; return its offset."""
        part = np.zeros(length, dtype=np.int64)
        if value:
            part[:] = value
        return self.add(part)

    def joined(self, header: Mapping[int, int]) -> Int64s:
        """Return the array, given the words of its header that are not 0."""
        for word, value in header.items():
            self._parts[0][word] = value
        return np.concatenate(self._parts)
