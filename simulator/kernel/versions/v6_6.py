# SPDX-License-Identifier: MIT
"""
Linux v6.6
----------

The base that the batching series was measured on.  Since v6.1: the head vmemmap
page is moved to a new page, so that all eight old ones go back as one block; the
flush covers the head too; the destructor of a restored folio is cleared under
hugetlb_lock.

Sources: commit 11aad2631bf7 ("mm/hugetlb_vmemmap: remap head page to newly
allocated page") (in v6.2); commit 32c877191e02 ("hugetlb: do not clear hugetlb
dtor until allocating vmemmap") (in v6.6).
"""

from __future__ import annotations

from simulator.engine import Steps, Task
from simulator.kernel.structs import Folio, VmemmapPages, VmemmapRemapWalk
from simulator.kernel.versions.v6_1 import V6_1

__all__ = ("V6_6",)


class V6_6(V6_1):
    """HVO without batching, the head page remapped too."""

    name = "v6.6"
    base = "v6.6"
    subject = "Linux 6.6"
    commit = "ffc253263a13"
    summary = "per folio: split, flush 512, remap 8 PTEs, flush 8, free 8 pages"
    # Assumed: between the counts of 6.1.176 (1107) and 6.12.107 (687).
    TUNABLES = V6_1.TUNABLES | {
        "static_key_sites": (900, 0, 10**6, "code sites patched when HVO's static key flips")
    }

    def vmemmap_remap_free(
        k, task: Task, folio: Folio, vmemmap_pages: VmemmapPages, flags: int
    ) -> Steps:
        """Remap a folio's vmemmap to a new head page; returns 0 or -ENOMEM; generator."""
        walk = VmemmapRemapWalk(folio, k.vmemmap_remap_pte, vmemmap_pages, flags)
        if (yield from k.alloc_pages(task, "head_page", nid=folio.nid)):
            # Without a new page the present head page is shared, as before v6.2.
            walk.reuse_page = True
            k.copy_page(task, folio)
            vmemmap_pages.nr_pages += 1
            k.counts["vmemmap_head_pages_allocated"] += 1
        return (yield from k.vmemmap_remap_and_undo(task, walk))

    def vmemmap_remap_pte(k, task: Task, walk: VmemmapRemapWalk, nr: int) -> None:
        """Point PTEs at the reuse page; the head's PTE at the new one."""
        if walk.nr_walked == 0:
            walk.vmemmap_pages.nr_pages -= 1  # the new head page leaves the list
            k.smp_wmb(task)  # its contents become visible before the PTE
        # Not super(): this runs for every folio, and a name is found faster.
        V6_1.vmemmap_remap_pte(k, task, walk, nr)

    def vmemmap_remap_range(k, task: Task, walk: VmemmapRemapWalk, nr_pages: int) -> Steps:
        """Walk ``nr_pages`` of a folio's vmemmap and flush; returns 0 or -ENOMEM; generator."""
        task.work("remap", k.cost.vmemmap_walk.each_ns)
        ret = yield from k.vmemmap_pmd_range(task, walk, nr_pages)
        if ret:
            return ret
        yield from k.flush_tlb_kernel_range(task, nr_pages, walk.reason)
        return 0

    def update_and_free_hugetlb_folio(k, task: Task, folio: Folio) -> Steps:
        """Restore a folio's vmemmap, clear its destructor and give it back; generator."""
        clear_dtor = folio.hugetlb_vmemmap_optimized
        yield from k.free_begins(task, folio)
        if (yield from k.hugetlb_vmemmap_restore(task, folio)):
            yield from k.keep_as_surplus(task, folio)
            return
        if clear_dtor:
            yield from k.clear_hugetlb_destructor(task, [folio])
        yield from k.free_huge_page(task, folio)

    def clear_hugetlb_destructor(k, task: Task, folios: list[Folio]) -> Steps:
        """Make folios ordinary compound pages, in one cycle of hugetlb_lock; generator."""
        ns = sum([k.head_ns(task, folio) for folio in folios])
        ns += k.cost.clear_hugetlb.times[len(folios)]
        yield from k.hugetlb_lock.cycle(task, "bookkeeping", ns)
