# SPDX-License-Identifier: MIT
"""
The walk that is told which head page to map
--------------------------------------------

c0b495b91a47 ("mm/hugetlb: refactor code around vmemmap_walk") (in v7.1, and in 6.12.y
and 6.18.y of 2026): the new head page is taken before the walk, and without it there is
none; to restore, only the PTEs but the first are walked and flushed.

Sources: counted in Linux 6.12.117 and 7.3.4.
"""

from __future__ import annotations

from simulator.kernel.structs import PAGE_SIZE, VmemmapRemapWalk
from simulator.kernel.versions.v6_12 import V6_12

__all__ = ("RefactoredWalk",)


class RefactoredWalk(V6_12):
    """What the commit changes."""

    def head_page_needed(k) -> bool:
        """A folio without a new head page fails with -ENOMEM."""
        return True

    def _vmemmap_remap_alloc(k, start: int, end: int, walk: VmemmapRemapWalk) -> None:
        """Walk the PTEs that are to get pages of their own: all but the head's."""
        walk.reuse_page = k.pte_page(start)
        super()._vmemmap_remap_alloc(start + PAGE_SIZE, end, walk)
