# SPDX-License-Identifier: MIT
"""
arch/x86/mm/tlb.c: kernel TLB flushes
-------------------------------------

Modelled: flush_tlb_all() and flush_tlb_kernel_range() with the single-page
ceiling (``tlb_single_page_flush_ceiling``, 33 pages; strictly more makes it a
full flush).  Both interrupt every online CPU, idle or not, and wait.  Later versions
and other architectures replace what carries a flush: :mod:`simulator.kernel.invlpgb`
and :mod:`simulator.kernel.arch`.  KVM's and Hyper-V's flushes serve user addresses
only (pv_ops.mmu.flush_tlb_multi), and are not asked here.

Not modelled: PTI's second flush, and the TLB itself; what it loses is a
cost after the flush (``refill_page``, ``refill_full``).

Sources: arch/x86/mm/tlb.c, alike in v6.1 and v6.12; commit a5102476a24b
("x86/mm: Set TLB flush tunable to sane value (33)") (in v3.17).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from simulator.engine.calls import Call
from simulator.errors import KernelError
from simulator.kernel.base import KernelBase
from simulator.kernel.structs import PAGE_SHIFT

__all__ = ("TLB_FLUSH_ALL", "Tlb")

#: As the end of a range: everything.
TLB_FLUSH_ALL: Final = (1 << 64) - 1


class Tlb(KernelBase):
    """flush_tlb_*()."""

    def flush_tlb_all(k, reason: str) -> None:
        """Flush everything on every CPU."""
        k.counts["flush_tlb_all_calls"] += 1
        k.kernel_tlb_flush_all(k.flush_call(reason, None), 0, TLB_FLUSH_ALL)

    def flush_tlb_kernel_range(k, start: int, end: int, reason: str) -> None:
        """Flush a range of kernel addresses on every CPU; ``reason`` goes to the trace."""
        k.counts["flush_tlb_kernel_range_calls"] += 1
        nr_pages = None if end == TLB_FLUSH_ALL else (end - start) >> PAGE_SHIFT
        call = k.flush_call(reason, nr_pages)
        if call.kind == "all":
            k.kernel_tlb_flush_all(call, start, end)
        else:
            k.kernel_tlb_flush_range(call, start, end)

    def kernel_tlb_flush_all(k, call: Call, start: int, end: int) -> None:
        """Flush everything on every CPU, by what carries flushes."""
        k.on_each_cpu(call, start, end)

    def kernel_tlb_flush_range(k, call: Call, start: int, end: int) -> None:
        """Flush a range on every CPU, by what carries flushes."""
        k.on_each_cpu(call, start, end)

    def on_each_cpu(k, call: Call, start: int, end: int) -> None:
        """Run a flush of a range of addresses on every CPU, and wait."""
        k.engine.on_each_cpu(call)

    def flush_call(k, reason: str, nr_pages: int | None) -> Call:
        """Return what a flush runs on each CPU (None: flush all); equal ones are made once."""
        call = k._calls.get((reason, nr_pages))
        if call is None:
            if nr_pages is not None and nr_pages < 0:
                raise KernelError(f"flush_tlb_kernel_range: {reason}: a range of {nr_pages} pages")
            if nr_pages is None or nr_pages > k.single_page_flush_ceiling():
                call = k.do_flush_tlb_all(reason, nr_pages or 0)
            else:
                call = k.do_kernel_range_flush(reason, nr_pages)
            k._calls[reason, nr_pages] = call
        return call

    def single_page_flush_ceiling(k) -> int:
        """The most pages that are flushed one by one."""
        return k.config.tunables["tlb_single_page_flush_ceiling"]

    def do_flush_tlb_all(k, reason: str, nr_pages: int) -> Call:
        """The function run on each CPU for a full flush."""
        run_ns, refill_ns = k.cost.flush_full.ns(), k.cost.refill_full.ns()
        call = Call(reason, "all", "do_flush_tlb_all", nr_pages, run_ns, refill_ns)
        # flush_tlb_kernel_range() keeps preemption off on its own account.
        return replace(call, preemptible_wait=k.WAITS_PREEMPTIBLY and not nr_pages)

    def do_kernel_range_flush(k, reason: str, nr_pages: int) -> Call:
        """The function run on each CPU for a range: one INVLPG per page."""
        run_ns, refill_ns = k.cost.invlpg.ns(nr_pages), k.cost.refill_page.ns(nr_pages)
        return Call(reason, "range", "do_kernel_range_flush", nr_pages, run_ns, refill_ns)
