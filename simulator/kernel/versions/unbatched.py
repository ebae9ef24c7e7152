# SPDX-License-Identifier: MIT
"""
v7.3 without batching
---------------------

What if today's kernel worked on one folio after another, as v6.6 did?  Each splits its PMD
and flushes, remaps and flushes, gives its pages back; each is restored and flushed.  Nobody
proposed it: it is there to ask what batching is worth on machines of today.

Modelled: the pool's lists; nothing else differs from v7.3.
"""

from __future__ import annotations

from simulator.kernel.structs import Folio, Hstate
from simulator.kernel.versions.v7_3 import V7_3

__all__ = ("Unbatched",)


class Unbatched(V7_3):
    """Folio by folio."""

    name = "v7.3+unbatched"
    base = "v7.3"
    subject = "what if: v7.3 without batching"
    commit = ""
    summary = "v7.3, every folio split, remapped, restored and flushed by itself"
    proposed_in = "no mail: a what-if"

    def hugetlb_vmemmap_optimize_folios(k, h: Hstate, folio_list: list[Folio]) -> None:
        """Free the vmemmap pages of the folios of a list, one by one."""
        for folio in folio_list:
            k.hugetlb_vmemmap_optimize_folio(h, folio)

    def restore_flags(k, first: bool) -> int:
        """The flags of the walks of a list that is restored: each flushes."""
        return k.FLAGS_ALONE

    def restore_ended(k, restored: int) -> None:
        """The flush after the restores of a list: there is nothing left to flush."""
