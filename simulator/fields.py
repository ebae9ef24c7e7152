# SPDX-License-Identifier: MIT
"""
What may stand in a field of a scenario
---------------------------------------

The types of :class:`simulator.scenario.Scenario`'s fields.  What a user may
write is a little wider than what is stored: a numpy integer for an int, a list
for a tuple.  What is stored cannot change.
"""

from __future__ import annotations

import numbers
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainValidator

from simulator.errors import InputError, nearest
from simulator.geometry import pmds_of_placement, splits_of_placement
from simulator.kernel import Kernel
from simulator.kernel.one_memory import ONE_MEMORY
from simulator.machine import Machine, Noise

__all__ = (
    "FAULT_KINDS",
    "MAX_PAGES",
    "MAX_REPLICATION",
    "Allocators",
    "Between",
    "Cpus",
    "Faults",
    "FreePages",
    "FrozenMapping",
    "KernelField",
    "MachineField",
    "NoiseField",
    "Pages",
    "Phases",
    "PlacementField",
    "Replication",
    "Seed",
    "Tunables",
)

# 32 TB of 2 MB pages: more than any machine of today holds.
MAX_PAGES = 1 << 24
# The widest event key of the engines.
MAX_CPUS = 4096
# 4 PB of base pages, the most that 52 bits of physical address reach.
MAX_FREE_PAGES = 1 << 40
MAX_REPLICATION = 2**31 - 1

# Allocations that can be made to fail, as fail_page_alloc does: the PTE page of a split, the
# new head page of a folio, a vmemmap page of a restore.
FAULT_KINDS = ("pte_page", "head_page", "restore_page")


class FrozenMapping(Mapping[str, Any]):
    """A mapping that cannot change, in the order of its keys."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, Any]) -> None:
        self._items = dict(sorted(items.items()))

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(tuple(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)


def _shown(value: object) -> str:
    try:
        return " ".join(reprlib.repr(value).split())
    except ValueError:
        return "an integer of thousands of digits"


# To Python a bool is an integer; True pages are none.
def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise InputError(f"must be a whole number, not {_shown(value)}")
    return int(value)


@dataclass(frozen=True)
class Between:
    """A check for whole numbers from ``low`` to ``high``."""

    low: int
    high: int
    or_none: bool = False

    def __call__(self, value: object) -> int | None:
        if value is None and self.or_none:
            return None
        number = _whole(value)
        if not self.low <= number <= self.high:
            raise InputError(f"must be {self.low} to {self.high}, not {_shown(number)}")
        return number


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"must map names to values, not {_shown(value)}")
    for key in value:
        if not isinstance(key, str):
            raise InputError(f"names must be text, not {_shown(key)}")
    return dict(value)


def _ordinals(value: tuple[int, ...]) -> tuple[int, ...]:
    for ordinal in value:
        if ordinal < 1:
            raise InputError(f"allocations count from 1, not {ordinal}")
    return tuple(sorted(set(value)))


def _faults(value: Mapping[str, tuple[int, ...]]) -> Mapping[str, tuple[int, ...]]:
    for kind in value:
        if kind not in FAULT_KINDS:
            hint = nearest(kind, FAULT_KINDS) or f"; known: {', '.join(FAULT_KINDS)}"
            raise InputError(f"unknown kind {kind!r}{hint}")
    return FrozenMapping({kind: ordinals for kind, ordinals in value.items() if ordinals})


def _placement(value: object) -> object:
    if isinstance(value, list | tuple):
        return tuple(_whole(pfn) for pfn in value)
    if isinstance(value, str):
        if (
            value in ("aligned", "random", ONE_MEMORY)
            or pmds_of_placement(value)
            or splits_of_placement(value)
        ):
            return value
        near = nearest(value, ("aligned", "random", ONE_MEMORY, "pmds=S"))
        raise InputError(f"{_shown(value)} is not aligned, random, pmds=S or PFNs{near}")
    raise InputError(f"must be aligned, random, pmds=S or PFNs, not {_shown(value)}")


def _machine(value: object) -> object:
    if isinstance(value, str | Path | Machine):
        return value
    raise InputError(f"must be a name, a path or a Machine, not {_shown(value)}")


def _kernel(value: object) -> object:
    if isinstance(value, str | Path) or (isinstance(value, type) and issubclass(value, Kernel)):
        return value
    raise InputError(f"must be a name, a path or a Kernel class, not {_shown(value)}")


def _noise(value: object) -> object:
    if isinstance(value, str | Path | Noise):
        return value
    if isinstance(value, Mapping):
        return FrozenMapping(_mapping(value))
    raise InputError(f"must be a name, a path, a mapping or a Noise, not {_shown(value)}")


Pages = Annotated[int, BeforeValidator(Between(1, MAX_PAGES))]
Cpus = Annotated[int | None, BeforeValidator(Between(1, MAX_CPUS, or_none=True))]
Allocators = Annotated[int, BeforeValidator(Between(1, MAX_CPUS))]
FreePages = Annotated[int | None, BeforeValidator(Between(0, MAX_FREE_PAGES, or_none=True))]
Seed = Annotated[int, BeforeValidator(Between(0, 2**63 - 1))]
Replication = Annotated[int, BeforeValidator(Between(0, MAX_REPLICATION))]
Int = Annotated[int, BeforeValidator(_whole)]
Ordinals = Annotated[tuple[Int, ...], BeforeValidator(_tuple), AfterValidator(_ordinals)]
Phases = Annotated[tuple[str, ...], BeforeValidator(_tuple)]
Faults = Annotated[Mapping[str, Ordinals], BeforeValidator(_mapping), AfterValidator(_faults)]
Tunables = Annotated[Mapping[str, Int], BeforeValidator(_mapping), AfterValidator(FrozenMapping)]
PlacementField = Annotated[str | tuple[int, ...], PlainValidator(_placement)]
MachineField = Annotated[str | Path | Machine, PlainValidator(_machine)]
KernelField = Annotated[str | Path | type[Kernel], PlainValidator(_kernel)]
NoiseField = Annotated[str | Path | Mapping[str, Any] | Noise, PlainValidator(_noise)]
