# SPDX-License-Identifier: MIT
"""
The vocabulary of a trace
-------------------------

The words that a run is told in: why and how far was flushed, what became of a
folio, what was counted, where time went.  Those below are the package's own; a
kernel of a user's may use others, which then appear under their own names after
these.  Numbers for words belong to one run (:class:`Words`): no two runs need to
agree on them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from simulator.errors import InputError

__all__ = (
    "CATEGORIES",
    "COUNTS",
    "FAILED",
    "KINDS",
    "LATENCIES",
    "MECHANISMS",
    "REASONS",
    "ROLES",
    "STATES",
    "STATUSES",
    "VECTORS",
    "Words",
    "check_count",
    "check_work",
    "own_words",
)

#: Why a broadcast was made.
REASONS: Final = (
    "split", "remap", "batch_split", "batch_remap", "restore", "batch_restore", "enomem",
    "sync_core", "benchmark",
)  # fmt: skip

#: How far a broadcast flushes: a range of pages, everything, or no TLB at all. Not open: engines
#: count by it.
KINDS: Final = ("range", "all", "none")

#: smp_call_function_many_cond(): one CPU to interrupt has a vector of its own.
VECTORS: Final = ("none", "CALL_FUNCTION_SINGLE", "CALL_FUNCTION")

#: What carries a flush to other CPUs, or stops them for one.
MECHANISMS: Final = ("ipi", "invlpgb", "tlbi", "sbi", "rar", "pause")

#: What became of a folio.
STATUSES: Final = ("plain", "optimized", "split_failed", "freed", "restore_failed")

#: Those of folios that could not be optimised, or not be given back.
FAILED: Final = ("split_failed", "restore_failed")

#: How often what ran: columns of the ``counts`` frame after ``phase``.
COUNTS: Final = (
    "pages_got",
    "pmd_splits",
    "flush_tlb_kernel_range_calls",
    "flush_tlb_all_calls",
    "do_flush_tlb_all_exec_total",
    "do_kernel_range_flush_exec_total",
    "flush_tlb_one_kernel_exec_total",
    "on_each_cpu_calls",
    "vmemmap_pages_freed",
    "vmemmap_head_pages_allocated",
    "vmemmap_pages_allocated_restore",
    "synchronize_rcu_calls",
    "hugepage_allocs",
)

#: What a task's time went to: all of it, each nanosecond once.
CATEGORIES: Final = (
    "huge_page_alloc", "huge_page_free", "pte_page_alloc", "pte_page_fill", "split", "remap",
    "restore", "page_copy", "page_alloc", "page_free", "barrier", "hugetlb_lock",
    "page_table_lock", "mmap_lock", "flush_enqueue", "flush_send", "flush_local", "flush_wait",
    "interrupted", "static_key", "rcu", "bookkeeping", "sleep",
)  # fmt: skip

#: What an interrupt finds a CPU in.
STATES: Final = ("running", "irqs_off", "idle", "preempted")

#: Of a CPU in a phase: whether it has a task.
ROLES: Final = ("initiator", "target")

#: What the ``latency`` frame has histograms of.
LATENCIES: Final = ("folio", "flush", "ack", "handler")

_MOST: Final = 2**63 - 1  # in a column of a frame
_LONGEST: Final = 40  # as wide as a report can show


class Words(dict[str, int]):
    """
    Numbers of the words of one run: the known ones first, then others as they come.

    >>> reasons = Words("flush reason", ("split", "remap"))
    >>> reasons["remap"], reasons["my_batch"], reasons["my_batch"]
    (1, 2, 2)

    Raises InputError for what cannot be shown as a name; ``what`` says of what.
    """

    def __init__(self, what: str, known: Iterable[str]) -> None:
        super().__init__((name, number) for number, name in enumerate(known))
        self._what = what

    def __missing__(self, name: str) -> int:
        _check_name(self._what, name)
        number = self[name] = len(self)
        return number


def own_words(known: Iterable[str], found: Iterable[str]) -> tuple[str, ...]:
    """
    Return the words found that are not known, each once, in alphabetical order.

    >>> own_words(("split", "remap"), ("remap", "mine", "a_first", "mine"))
    ('a_first', 'mine')
    """
    return tuple(sorted(set(found).difference(known)))


def check_work(category: str, ns: object) -> None:
    """
    Raise InputError unless a category is a name, and ``ns`` a whole number from 0 on.

    Numbers of numpy and booleans are refused too: they are no time that was meant.
    """
    _check_name("time category", category)
    if type(ns) is not int or ns < 0:
        raise InputError(
            f"kernel: {_short(ns)} ns of work in {category!r} is not a whole number from 0 on"
        )


def check_count(name: str, value: object, taken: Collection[str]) -> None:
    """Raise InputError unless a count has a name, of its own, and a whole number as value."""
    _check_name("count", name)
    if name in taken:
        raise InputError(f"kernel: {name!r} as count: a column has that name already")
    if type(value) is not int or not 0 <= value <= _MOST:
        raise InputError(
            f"kernel: {_short(value)} as count {name!r} is not a whole number from 0 to 2^63 - 1"
        )


def _check_name(what: str, name: object) -> None:
    # A slash would part it in a saved result.
    if isinstance(name, str) and name.isprintable() and "/" not in name and name == name.strip():
        if 1 <= len(name) <= _LONGEST:
            return
        raise InputError(f"kernel: {_short(name)} as {what} is not 1 to {_LONGEST} characters long")
    raise InputError(f"kernel: {_short(name)} as {what} is not printable text without '/'")


def _short(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
