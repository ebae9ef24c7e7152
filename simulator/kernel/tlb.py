# SPDX-License-Identifier: MIT
"""
arch/x86/mm/tlb.c: kernel TLB flushes
-------------------------------------

Modelled: flush_tlb_all() and flush_tlb_kernel_range() with the single-page
ceiling (``tlb_single_page_flush_ceiling``, 33 pages; strictly more makes it a
full flush).  Both interrupt every online CPU, idle or not, and wait.

Not modelled: INVLPGB, PTI's second flush, and the TLB itself; what it loses is a
cost after the flush (``refill_page``, ``refill_full``).

Sources: arch/x86/mm/tlb.c, alike in v6.1 and v6.12; commit a5102476a24b
("x86/mm: Set TLB flush tunable to sane value (33)") (in v3.17).
"""

from __future__ import annotations

from typing import Final

from simulator.engine import Steps, Task
from simulator.engine.calls import Call
from simulator.kernel.base import KernelBase

__all__ = ("TLB_FLUSH_ALL", "Tlb")

#: In place of a number of pages: a range that ends at TLB_FLUSH_ALL is everything.
TLB_FLUSH_ALL: Final = None


class Tlb(KernelBase):
    """flush_tlb_*()."""

    def flush_tlb_all(k, task: Task, reason: str) -> Steps:
        """Flush everything on every CPU; generator."""
        k.counts["flush_tlb_all_calls"] += 1
        return k.engine.on_each_cpu(task, k.flush_call(reason, None))

    def flush_tlb_kernel_range(k, task: Task, nr_pages: int | None, reason: str) -> Steps:
        """Flush a range of kernel addresses on every CPU; generator."""
        k.counts["flush_tlb_kernel_range_calls"] += 1
        return k.engine.on_each_cpu(task, k.flush_call(reason, nr_pages))

    def flush_call(k, reason: str, nr_pages: int | None) -> Call:
        """Return what a flush runs on each CPU (None: flush all); equal ones are made once."""
        call = k._calls.get((reason, nr_pages))
        if call is None:
            if nr_pages is None or nr_pages > k.config.tunables["tlb_single_page_flush_ceiling"]:
                call = k.do_flush_tlb_all(reason, nr_pages or 0)
            else:
                call = k.do_kernel_range_flush(reason, nr_pages)
            k._calls[reason, nr_pages] = call
        return call

    def do_flush_tlb_all(k, reason: str, nr_pages: int) -> Call:
        """The function run on each CPU for a full flush."""
        run_ns, refill_ns = k.cost.flush_full.ns(), k.cost.refill_full.ns()
        return Call(reason, "all", "do_flush_tlb_all", nr_pages, run_ns, refill_ns)

    def do_kernel_range_flush(k, reason: str, nr_pages: int) -> Call:
        """The function run on each CPU for a range: one INVLPG per page."""
        run_ns, refill_ns = k.cost.invlpg.ns(nr_pages), k.cost.refill_page.ns(nr_pages)
        return Call(reason, "range", "do_kernel_range_flush", nr_pages, run_ns, refill_ns)
