# SPDX-License-Identifier: MIT
"""
The metrics of a comparison in words
------------------------------------
"""

from __future__ import annotations

from typing import Final

from simulator.report.text import format_count, format_ns, format_share

__all__ = ("SHORT_TITLES", "TITLES", "format_metric")

#: What each metric is.
TITLES: Final = {
    "elapsed_s": "elapsed",
    "flushes": "flushes (broadcasts)",
    "ipis": "IPIs for flushes",
    "flush_share": "share of time in flushes",
    "victim_lost_median_ns": "other CPUs lost, median",
    "victim_lost_max_ns": "other CPUs lost, worst",
    "peak_held_pages": "pages held for a flush, peak",
    "ptl_held_max_ns": "page_table_lock held, longest",
    "irqs_off_max_ns": "interrupts off, longest",
    "preempt_off_max_ns": "preemption off, longest",
    "folio_p50_ns": "a folio until it is ready, median",
    "folio_p99_ns": "a folio until it is ready, 99 of 100",
    "flush_p50_ns": "a flush, median",
    "flush_p99_ns": "a flush, 99 of 100",
}

#: The same where a line has to hold four numbers besides.
SHORT_TITLES: Final = {
    **TITLES,
    "flushes": "flushes",
    "flush_share": "time in flushes",
    "victim_lost_median_ns": "others lost, median",
    "victim_lost_max_ns": "others lost, worst",
    "peak_held_pages": "pages held, peak",
    "ptl_held_max_ns": "page_table_lock, max",
    "irqs_off_max_ns": "interrupts off, max",
    "preempt_off_max_ns": "preemption off, max",
    "folio_p50_ns": "folio, median",
    "folio_p99_ns": "folio, 99 of 100",
    "flush_p50_ns": "flush, median",
    "flush_p99_ns": "flush, 99 of 100",
}


def format_metric(metric: str, value: float) -> str:
    """
    Return a value of a metric with its unit.

    >>> format_metric("elapsed_s", 0.0705), format_metric("flushes", 4112.0)
    ('70.5 ms', '4,112')
    """
    if metric == "elapsed_s":
        return format_ns(value * 1e9)
    if metric.endswith("_ns"):
        return format_ns(value)
    return format_share(value) if metric == "flush_share" else format_count(value, width=9)
