# SPDX-License-Identifier: MIT
"""
Linux v7.3
----------

7.3.4, as its calls were counted: v7.1.  The wait for the csds of flush_tlb_all() is
preemptible, that of flush_tlb_kernel_range() is not.

Not modelled: a scheduler, and so what a preemptible wait is good for.

Sources: 8df8a6028309 ("smp: Enable preemption early in smp_call_function_many_cond()")
and 947c397f5991 ("smp: Remove preempt_disable() from on_each_cpu_cond_mask()") (in
v7.3); counted in Linux 7.3.4.
"""

from __future__ import annotations

from simulator.kernel.versions.v7_1 import V7_1

__all__ = ("V7_3",)


class V7_3(V7_1):
    """v7.1; flush_tlb_all() waits with preemption on."""

    name = "v7.3"
    base = "v7.3"
    subject = "Linux 7.3"
    commit = "8df8a6028309"
    summary = "v7.1; flush_tlb_all() waits with preemption on"
