# SPDX-License-Identifier: MIT
"""
Histograms as bpftrace prints them
----------------------------------

A line per power of two, empty ones between others too, and a bar against the
largest; 72 columns wide, where bpftrace takes 80.

Source: hist() of bpftrace, as in docs/reference_guide.md.
"""

from __future__ import annotations

from typing import Final

from simulator.analysis.histogram import Histogram

__all__ = ("histogram_text",)

_BAR: Final = 44


def histogram_text(name: str, histogram: Histogram) -> str:
    """
    Return a histogram of nanoseconds, under its name, as text for a mail.

    >>> print(histogram_text("flush", Histogram.of_buckets([3, 5, 40], [4, 6, 41], [1, 4, 2])))
    @flush_ns:
    [2, 4)                  1 |@@@@@@@@@@@                                 |
    [4, 8)                  4 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|
    [8, 16)                 0 |                                            |
    [16, 32)                0 |                                            |
    [32, 64)                2 |@@@@@@@@@@@@@@@@@@@@@@                      |
    """
    counts: dict[int, int] = {}
    for low, count in zip(histogram.low.tolist(), histogram.count.tolist(), strict=True):
        octave = low.bit_length() - 1  # -1: zero
        counts[octave] = counts.get(octave, 0) + count
    lines = [f"@{name}_ns:"]
    most = max(counts.values(), default=0)
    for octave in range(min(counts, default=0), max(counts, default=-1) + 1):
        count = counts.get(octave, 0)
        filled = "@" * (count * _BAR // most)
        lines.append(f"{_label(octave):<16} {count:>8} |{filled:<{_BAR}}|")
    return "\n".join(lines)


def _label(octave: int) -> str:
    if octave <= 0:
        return f"[{octave + 1}]"
    return f"[{_size(octave)}, {_size(octave + 1)})"


# K is 1024.
def _size(octave: int) -> str:
    thousands, rest = divmod(octave, 10)
    return f"{1 << rest}{('', 'K', 'M', 'G', 'T')[thousands]}"
