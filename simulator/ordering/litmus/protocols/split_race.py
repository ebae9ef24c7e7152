# SPDX-License-Identifier: MIT
"""
Two CPUs split one PMD
----------------------

vmemmap_split_pmd() tests again under the lock whether the PMD is still a leaf.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.ordering.litmus.protocol import Cpu, Protocol
from simulator.ordering.litmus.tlb import Translation

__all__ = ("CASES",)

_TABLES = {
    "mine": {"a": "mine_a", "b": "mine_b"},
    "yours": {"a": "yours_a", "b": "yours_b"},
}
_VMEMMAP = Translation(pmd="pmd", leaves={"leaf": {"a": "page_a", "b": "page_b"}}, tables=_TABLES)


def _pmd_leaf(k: Cpu) -> bool:
    k.spin_lock("page_table_lock")
    leaf = bool(k.READ_ONCE("pmd") == "leaf")
    k.spin_unlock("page_table_lock")
    return leaf


def _fill(k: Cpu, table: str) -> None:
    k.set_pte(f"{table}_a", "page_a")
    k.set_pte(f"{table}_b", "page_b")


def _remap(k: Cpu, va: str) -> None:
    if k.READ_ONCE("pmd") == "mine":
        k.set_pte(f"mine_{va}", "new")
    else:
        k.set_pte(f"yours_{va}", "new")


def _split(k: Cpu, table: str) -> None:
    if not _pmd_leaf(k):
        return
    _fill(k, table)
    k.spin_lock("page_table_lock")
    if k.READ_ONCE("pmd") == "leaf":
        k.smp_wmb()
        k.pmd_populate_kernel("pmd", table)
        k.flush_tlb_kernel_range("a", "b")
    k.spin_unlock("page_table_lock")


def _split_unchecked(k: Cpu, table: str) -> None:
    if not _pmd_leaf(k):
        return
    _fill(k, table)
    k.spin_lock("page_table_lock")
    k.smp_wmb()
    k.pmd_populate_kernel("pmd", table)
    k.flush_tlb_kernel_range("a", "b")
    k.spin_unlock("page_table_lock")


def first(k: Cpu) -> None:
    """Split, and remap the page of one folio."""
    _split(k, "mine")
    _remap(k, "a")


def second(k: Cpu) -> None:
    """The same for another folio of that PMD."""
    _split(k, "yours")
    _remap(k, "b")


def first_unchecked(k: Cpu) -> None:
    """The mutant."""
    _split_unchecked(k, "mine")
    _remap(k, "a")


def second_unchecked(k: Cpu) -> None:
    """The mutant."""
    _split_unchecked(k, "yours")
    _remap(k, "b")


def _both_remapped(final: Mapping[str, Any]) -> bool:
    return all(final[pte] == "new" for pte in _TABLES[final["pmd"]].values())


CASES = (
    Protocol(
        "split-race",
        "two CPUs split one PMD, and each remaps its folio",
        (first, second),
        {"pmd": "leaf"},
        dict.fromkeys(("sc", "tso", "arm64"), "safe"),
        at_end={"lost-split": _both_remapped},
        translation=_VMEMMAP,
    ),
    Protocol(
        "split-race-not-rechecked",
        "the same, the leaf not tested again under the lock",
        (first_unchecked, second_unchecked),
        {"pmd": "leaf"},
        dict.fromkeys(("sc", "tso", "arm64"), "unsafe lost-split"),
        at_end={"lost-split": _both_remapped},
        translation=_VMEMMAP,
    ),
)
