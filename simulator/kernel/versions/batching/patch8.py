# SPDX-License-Identifier: MIT
"""
v6.6+8: batch TLB flushes when restoring vmemmap
------------------------------------------------

Source: commit c24f188b2289 ("hugetlb: batch TLB flushes when restoring vmemmap")
(in v6.7).
"""

from __future__ import annotations

from simulator.kernel.versions.batching.patch7 import V6_6_7, VMEMMAP_REMAP_NO_TLB_FLUSH

__all__ = ("V6_6_8",)


class V6_6_8(V6_6_7):
    """One flush after all restores of a list."""

    name = "v6.6+8"
    base = "v6.6"
    subject = "hugetlb: batch TLB flushes when restoring vmemmap"
    commit = "c24f188b2289"
    summary = "restore all folios of the list, one flush_tlb_all()"

    def restore_flags(k, first: bool) -> int:
        """The flags of the walks of a list that is restored."""
        return VMEMMAP_REMAP_NO_TLB_FLUSH

    def restore_ended(k, restored: int) -> None:
        """Flush once after the restores of a list."""
        if restored:
            k.flush_tlb_all("batch_restore")
