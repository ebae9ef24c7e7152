# SPDX-License-Identifier: MIT
"""
Linux v7.3
----------

7.3.4, as its calls were counted: v7.1.  At boot, a list is handed over when memory runs
out, and allocation goes on with what it gives back, as long as that gets a page.  The
wait for the csds of flush_tlb_all() is preemptible, that of flush_tlb_kernel_range() is
not.  ``tlbi=ipi`` on the command line (in v7.2), for trouble with TLBSYNC, has kernel
addresses flushed by interrupts on machines with INVLPGB too.

Modelled: how long preemption is off for a flush of everything: until the csds are
waited for, unless a spinlock is held.

Not modelled: si_mem_available(), which hands a list over a little earlier; a scheduler,
and so what a preemptible wait is good for.

Sources: 8df8a6028309 ("smp: Enable preemption early in smp_call_function_many_cond()")
and 947c397f5991 ("smp: Remove preempt_disable() from on_each_cpu_cond_mask()") (in
v7.3); counted in Linux 7.3.4.  Of ``tlbi=ipi`` only news items were found, no commit.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

from simulator.kernel.structs import Hstate, NodeRound
from simulator.kernel.versions.v7_1 import V7_1

__all__ = ("V7_3",)


class V7_3(V7_1):
    """v7.1; flush_tlb_all() waits with preemption on; at boot it tries again."""

    name = "v7.3"
    base = "v7.3"
    subject = "Linux 7.3"
    commit = "8df8a6028309"
    summary = "v7.1; flush_tlb_all() waits with preemption on; boot goes on while it gets pages"
    WAITS_PREEMPTIBLY = True

    TUNABLES: ClassVar[dict[str, tuple[int, int, int, str]]] = V7_1.TUNABLES | {
        "tlbi_ipi": (0, 0, 1, "1: tlbi=ipi, no INVLPGB")
    }

    @classmethod
    def flush_mechanism(
        cls, isa: str, present: Collection[str], tunables: Mapping[str, int]
    ) -> str:
        """Return what carries flushes of kernel addresses on a machine."""
        if tunables.get("tlbi_ipi"):
            present = [name for name in present if name != "invlpgb"]
        return super().flush_mechanism(isa, present, tunables)

    def hugetlb_pages_alloc_boot_node(k, h: Hstate, nr: int) -> None:
        """One pinned thread's share of the allocation at boot, list by list."""
        nodes = NodeRound(k.platform.nr_nodes)
        while nr:
            nr_got = k.alloc_boot_list(h, nr, nodes)
            if not nr_got:
                break
            nr -= nr_got
