# SPDX-License-Identifier: MIT
"""
A machine
---------

All that a profile says, checked as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from simulator.errors import all_wrong
from simulator.explain import SeveralError, explain_all
from simulator.machine.contradictions import contradictions, valid_parts
from simulator.machine.fits import Calibration
from simulator.machine.mechanisms import MECHANISM_TEXT, Mechanisms
from simulator.machine.override import SET_BY_USER, amount_text, changed_data, leaves
from simulator.machine.schema import (
    Costs,
    IdleState,
    Ipi,
    Memory,
    SpellClasses,
    Topology,
)
from simulator.machine.values import Sourced, Strict

__all__ = ("Machine",)


class Machine(Strict):
    """
    A machine, as a profile describes it.

    `hindsight` says what of it was chosen again after a prediction had been compared with a
    published figure: such a figure is not fitted, but no blind test either.
    """

    name: str = Field(description="its name; that of the file, if the file does not say")
    title: str = Field(description="a few words for tables")
    description: str = Field(default="", description="what it stands for, in a sentence or two")
    isa: Literal["x86-64", "arm64", "riscv64"] = Field(description="its architecture")
    virtual: bool = Field(description="a guest: it has a hypervisor to pay and to wait for")
    inherits: str | None = Field(
        default=None, description="the machine, or file, that says what this one does not"
    )
    topology: Topology
    memory: Memory
    ipi: Ipi
    mechanisms: Mechanisms = Mechanisms()
    costs: Costs
    idle_states: tuple[IdleState, ...]
    spells: SpellClasses
    calibration: tuple[Calibration, ...] = ()
    hindsight: str = Field(default="", description="what was chosen again after a comparison")

    @property
    def nr_cpus(self) -> int:
        """CPUs of the whole machine."""
        return self.topology.cpus.value

    @property
    def nr_nodes(self) -> int:
        """NUMA nodes of the whole machine."""
        return self.topology.nodes.value

    @property
    def flushes(self) -> dict[str, str]:
        """What carries flushes to other CPUs, and of which addresses: ``{"IPI": "both"}``."""
        present = self.mechanisms.present
        seats: dict[str, str] = {
            MECHANISM_TEXT[name]: found.seat.value for name, found in present.items()
        }
        return seats if "TLBI" in seats else {**seats, "IPI": "both"}

    @property
    def measured_as(self) -> tuple[str, ...]:
        """Under which other names there may be times of it: what it was fitted to, its parent."""
        fitted = [time.machine for fit in reversed(self.calibration) for time in fit.times]
        parent = [self.inherits] if self.inherits else []
        return tuple(dict.fromkeys([*fitted, *parent]))

    @classmethod
    def of(cls, data: Mapping[str, Any], label: str, wrong: Sequence[str] = ()) -> Machine:
        """
        Return the machine that plain data describe; `label` names their file in errors.

        All that is wrong is in one error, a line for each thing.

        :param wrong: lines about what was found wrong with the data before.
        """
        given = tuples(data)
        found: list[str] = []
        try:
            machine = cls.model_validate(given)
        except ValidationError as error:
            found += explain_all(error, cls)
            # Parts are looked at together only where each is valid: here, those that are.
            valid = valid_parts(Costs, given.get("costs"))
            found += contradictions(valid_parts(cls, given), valid)
        if wrong or found:
            raise all_wrong([*wrong, *(f"{label}: {line}" for line in found)])
        return machine

    def keys(self) -> tuple[str, ...]:
        """Return the dotted names of the values that :meth:`with_values` can change."""
        return tuple(leaves(self))

    def with_values(self, values: Mapping[str, bool | float | str]) -> Machine:
        """
        Return a machine that differs in some values.

        A bare number is in nanoseconds or bytes; a text may name its unit, as in
        ``"0.9 us"``.  What is changed becomes kind ``assumed``, source ``set by
        the user``.
        """
        return Machine.of(changed_data(self, values), SET_BY_USER)

    def changed(self) -> dict[str, str]:
        """
        Return what :meth:`with_values` changed: texts with units, by dotted name.

        A value that was set to what it had been counts.
        """
        return {
            key: amount_text(leaf)
            for key, leaf in leaves(self).items()
            if leaf.source == SET_BY_USER
        }

    def fits(self) -> tuple[Calibration, ...]:
        """
        Return the fits that hold, without the values that :meth:`with_values` changed.

        A fit of which no value is left is none.
        """
        of_machine = leaves(self)

        def kept(name: str) -> list[str]:
            # A parameter may be a table of values, of which the user set one.
            below = [key for key in of_machine if key == name or key.startswith(name + ".")]
            left = [key for key in below if of_machine[key].source != SET_BY_USER]
            return [name] if left == below else left

        found = []
        for fit in self.calibration:
            names = tuple(left for name in fit.parameters for left in kept(name))
            if names:
                found.append(fit.model_copy(update={"parameters": names}))
        return tuple(found)

    def fitted(self, *, patched: bool) -> tuple[str, ...]:
        """
        Return the dotted names of the values that were fitted, and not changed since.

        To cells of a patched kernel, or to unmodified ones.
        """
        return tuple(
            name for fit in self.fits() if fit.patched is patched for name in fit.parameters
        )

    def count_kinds(self) -> Counter[str]:
        """Return how many values are measured, vendor's, derived or assumed."""

        def kinds(part: object) -> Iterator[str]:
            if isinstance(part, Sourced):
                yield part.kind
            elif isinstance(part, BaseModel):
                for _name, value in part:
                    yield from kinds(value)
            elif isinstance(part, tuple):
                for value in part:
                    yield from kinds(value)

        return Counter(kinds(self))

    # pickle cannot name the classes that pydantic makes of Fact[int] and its like.
    def __reduce__(self) -> tuple[Callable[[str], Machine], tuple[str]]:
        return (Machine.model_validate_json, (self.model_dump_json(),))

    @model_validator(mode="after")
    def _whole(self) -> Machine:
        if not self.name.strip():
            raise ValueError("name is empty")
        for field, text in (("name", self.name), ("title", self.title)):
            if not text.isprintable():
                raise ValueError(f"{field} {text!r} has characters that cannot be printed")
        found = list(contradictions(dict(iter(self)), dict(self.costs)))
        if found:
            raise SeveralError(found)
        for fit in self.calibration:
            unknown = [p for p in fit.parameters if not _has(self, p)]
            if unknown:
                raise ValueError(f"calibration names {unknown[0]!r}, which the machine has not")
        return self


def _has(model: BaseModel, dotted: str) -> bool:
    node: object = model
    for part in dotted.split("."):
        node = getattr(node, part, None)
    return node is not None


# The frozen schema wants tuples for lists.
def tuples(value: Any) -> Any:
    """Return plain data with tuples for lists."""
    if isinstance(value, Mapping):
        return {key: tuples(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(tuples(item) for item in value)
    return value
