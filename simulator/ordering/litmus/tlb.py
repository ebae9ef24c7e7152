# SPDX-License-Identifier: MIT
"""
Page tables, and what a TLB may hold
------------------------------------

A hardware walker may start at any time, on any CPU, for any address.  So a CPU *may hold*
every valid translation that the tables have offered since it was last flushed, and this set
is kept, not a guess at what it really holds: an access may use any entry of it.  That covers
walks that have read the PMD and not yet the PTE, since a PMD that points to a table may be
held too (the paging-structure caches of x86, the intermediate walk caches of arm64).

Modelled: 2 MB and 4 KB entries and held table pointers; INVLPG drops the whole entry that
covers an address, of either size, and all held table pointers (Intel SDM vol. 3A, section
"Operations that Invalidate TLBs and Paging-Structure Caches").

Not modelled: more than two levels, rights, ASIDs, evictions (they only lose entries).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ("Entry", "Translation")

# (size, virtual address or "" for all, frame or name of leaf or table)
Entry = tuple[str, str, str]
_ALL = frozenset[str]()


@dataclass(frozen=True)
class Translation:
    """
    The tables that translate a few virtual addresses.

    ``pmd`` is a location that holds the name of a leaf or of a table, or ``""`` where all
    addresses are in the one table ``tables[""]``; ``leaves`` maps a leaf to the frame of each
    address, ``tables`` a table to the location of each address's PTE.
    """

    tables: Mapping[str, Mapping[str, str]]
    pmd: str = ""
    leaves: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def locations(self) -> set[str]:
        """Return all locations whose contents walkers read."""
        found = {loc for table in self.tables.values() for loc in table.values()}
        return found | {self.pmd} if self.pmd else found

    def walk(self, read: Callable[[str], Any], held: Iterable[Entry] = ()) -> frozenset[Entry]:
        """Return all that walkers may enter now, who hold what they hold."""
        if not self.pmd:
            return frozenset(self._leaf_entries("", read))
        roots = {name for size, _, name in held if size == "table"}
        found: set[Entry] = set()
        if root := read(self.pmd):
            if root in self.tables:
                roots.add(root)
            else:
                found.add(("2M", "", root))
        for name in roots:
            found.add(("table", "", name))
            found.update(self._leaf_entries(name, read))
        return frozenset(found)

    def _leaf_entries(self, table: str, read: Callable[[str], Any]) -> Iterable[Entry]:
        return (("4K", va, read(loc)) for va, loc in self.tables[table].items() if read(loc))

    def faults(self, read: Callable[[str], Any], va: str = "") -> str:
        """Return an address (this one, if given) that a walk finds unmapped, or ``""``."""
        root = read(self.pmd) if self.pmd else ""
        if self.pmd and not root:
            return va or next(iter(next(iter(self.tables.values()))))
        if root not in self.tables:
            return ""
        table = self.tables[root]
        return next((a for a in ([va] if va else table) if not read(table[a])), "")

    def frames(self, va: str, held: Iterable[Entry]) -> set[str]:
        """Return the frames that an access to `va` may reach."""
        found = {frame for size, at, frame in held if size == "4K" and at == va}
        return found | {self.leaves[name][va] for size, _, name in held if size == "2M"}

    def _reach(self, held: Iterable[Entry]) -> list[tuple[str, str, str]]:
        found = []
        for size, at, name in sorted(held):
            if size == "2M":
                found += [(va, frame, size) for va, frame in sorted(self.leaves[name].items())]
            elif size == "4K":
                found.append((at, name, size))
        return found

    def reaches(self, held: Iterable[Entry], frames: frozenset[str]) -> list[str]:
        """Return, in words, what reaches one of these frames."""
        return [_in_words(entry) for entry in self._reach(held) if entry[1] in frames]

    def size_and_frame(self, held: Iterable[Entry]) -> list[str]:
        """Return, in words, two entries of one address that differ in size and in frame."""
        reach = self._reach(held)
        for one in reach:
            for other in reach:
                if one[0] == other[0] and one[1] != other[1] and one[2] < other[2]:
                    return [_in_words(one), _in_words(other)]
        return []

    def invalidate(
        self, held: frozenset[Entry], scope: frozenset[str], how: str
    ) -> frozenset[Entry]:
        """Return what is left of `held` after a flush of the addresses in `scope`, or of all."""
        if scope == _ALL:
            return frozenset()
        # The mutant: a 2 MB entry that covers the address survives.
        gone = {"4K"} if how == "4K entries only" else {"4K", "2M", "table"}
        return frozenset(
            entry for entry in held if entry[0] not in gone or (entry[1] and entry[1] not in scope)
        )


def _in_words(entry: tuple[str, str, str]) -> str:
    va, frame, size = entry
    return f"{va}: {frame}, {size}"
