# SPDX-License-Identifier: MIT
"""
Pages, struct pages and the PMDs that map them
----------------------------------------------

The arithmetic of memory and of the vmemmap, in one place.

Modelled: x86-64, arm64 and RISC-V with base pages of 4 KB and a struct page of
64 bytes: 512 PTEs to a page table, so that a PMD of vmemmap describes 32768 base
pages: 128 MB, 64 pages of 2 MB, an eighth of a page of 1 GB.

Not modelled: other sizes of base pages and huge pages.

Sources: Documentation/mm/vmemmap_dedup.rst of Linux v6.6.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

__all__ = (
    "BASE_PAGE_BYTES",
    "LINE_BYTES",
    "NR_PFNS",
    "PAGE_SHIFT",
    "PER_GIGANTIC",
    "PFNS_PER_PMD",
    "PMD_SPAN_BYTES",
    "PTRS_PER_PTE",
    "STRUCT_PAGE_BYTES",
    "PageSize",
    "folios_of_pmd",
    "least_pmds",
    "page_bytes",
    "page_kb",
    "pmds_of_folio",
    "pmds_of_placement",
    "pmds_placement",
    "splits_of_placement",
    "splits_placement",
    "struct_page_bytes",
)

PageSize = Literal["2M", "1G"]

PAGE_SHIFT: Final = 12
BASE_PAGE_BYTES: Final = 1 << PAGE_SHIFT
STRUCT_PAGE_BYTES: Final = 64
#: A cache line; a struct page is one.
LINE_BYTES: Final = 64
#: Entries of a page table, at any level.
PTRS_PER_PTE: Final = 512
#: Base pages whose struct pages one PMD of vmemmap maps.
PFNS_PER_PMD: Final = PTRS_PER_PTE * BASE_PAGE_BYTES // STRUCT_PAGE_BYTES
#: The memory that they are.
PMD_SPAN_BYTES: Final = PFNS_PER_PMD * BASE_PAGE_BYTES
#: Base pages of a huge page.
NR_PFNS: Final[Mapping[str, int]] = MappingProxyType({"2M": PTRS_PER_PTE, "1G": PTRS_PER_PTE**2})
#: Pages of 2 MB in one of 1 GB.
PER_GIGANTIC: Final = NR_PFNS["1G"] // NR_PFNS["2M"]

# So many PMDs for the first fill, and so many new ones for each later fill.
_PMDS: Final = re.compile(r"pmds=([0-9]{1,18}(?:,[0-9]{1,18})*)")

# So many PMDs split in each phase and, after a slash, so many huge pages there.
_SPLITS: Final = re.compile(r"splits=([0-9]{1,9}(?:/[0-9]{1,9})?(?:,[0-9]{1,9}(?:/[0-9]{1,9})?)*)")


def page_bytes(page_size: str) -> int:
    """
    Return the size of a huge page in bytes.

    >>> page_bytes("2M"), page_bytes("1G")
    (2097152, 1073741824)
    """
    return NR_PFNS[page_size] * BASE_PAGE_BYTES


def page_kb(page_size: str) -> int:
    """
    Return the size of a huge page in KB, as the kernel names its pools.

    >>> page_kb("2M"), page_kb("1G")
    (2048, 1048576)
    """
    return page_bytes(page_size) // 1024


def struct_page_bytes(page_size: str) -> int:
    """
    Return the bytes of vmemmap that describe a huge page.

    >>> struct_page_bytes("2M") // BASE_PAGE_BYTES, struct_page_bytes("1G") // BASE_PAGE_BYTES
    (8, 4096)
    """
    return NR_PFNS[page_size] * STRUCT_PAGE_BYTES


def folios_of_pmd(page_size: str) -> int:
    """
    Return how many huge pages one PMD of vmemmap describes, at least 1.

    >>> folios_of_pmd("2M"), folios_of_pmd("1G")
    (64, 1)
    """
    return max(1, PFNS_PER_PMD // NR_PFNS[page_size])


def pmds_of_folio(page_size: str) -> int:
    """
    Return how many PMDs of vmemmap describe one huge page, at least 1.

    >>> pmds_of_folio("2M"), pmds_of_folio("1G")
    (1, 8)
    """
    return max(1, NR_PFNS[page_size] // PFNS_PER_PMD)


def least_pmds(nr_folios: int, page_size: str) -> int:
    """
    Return how few PMDs of vmemmap can describe some huge pages.

    >>> least_pmds(65, "2M"), least_pmds(65, "1G")
    (2, 520)
    """
    return -(-nr_folios // folios_of_pmd(page_size)) * pmds_of_folio(page_size)


def pmds_of_placement(placement: str) -> tuple[int, ...] | None:
    """
    Return in how many PMDs each fill is to lie, those of later fills new; None of other texts.

    >>> pmds_of_placement("pmds=4,0,2"), pmds_of_placement("aligned")
    ((4, 0, 2), None)
    """
    found = _PMDS.fullmatch(placement)
    return None if found is None else tuple(map(int, found[1].split(",")))


def pmds_placement(nr_pmds: Sequence[int]) -> str:
    """
    Return the text that :func:`pmds_of_placement` reads.

    >>> pmds_placement((4, 0, 2))
    'pmds=4,0,2'
    """
    return f"pmds={','.join(map(str, nr_pmds))}"


def splits_of_placement(placement: str) -> tuple[tuple[int, int | None], ...] | None:
    """
    Return the splits of each phase, and how many huge pages it finds; None of other texts.

    >>> splits_of_placement("splits=3,0/2"), splits_of_placement("aligned")
    (((3, None), (0, 2)), None)
    """
    found = _SPLITS.fullmatch(placement)
    if found is None:
        return None
    parts = [part.partition("/") for part in found[1].split(",")]
    return tuple((int(splits), int(pages) if pages else None) for splits, _, pages in parts)


def splits_placement(phases: Sequence[tuple[int, int | None]]) -> str:
    """
    Return the text that :func:`splits_of_placement` reads.

    >>> splits_placement(((3, None), (0, 2)))
    'splits=3,0/2'
    """
    parts = (f"{splits}" if pages is None else f"{splits}/{pages}" for splits, pages in phases)
    return f"splits={','.join(parts)}"
