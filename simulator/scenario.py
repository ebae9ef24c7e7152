# SPDX-License-Identifier: MIT
"""
Scenario: everything that decides the outcome of a simulation
-------------------------------------------------------------

A scenario is a machine, a kernel, a request for huge pages, noise and a seed.
It is frozen, checked as a whole when it is made, and can be pickled.  What is
wrong with it comes as one line that names the field and the nearest valid
value (:class:`simulator.errors.InputError`).

Modelled: the sizes of :mod:`simulator.geometry`.

Sources: gigantic pages have no surplus: alloc_surplus_hugetlb_folio() in
mm/hugetlb.c of v6.6.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from simulator.errors import InputError, nearest
from simulator.explain import explain
from simulator.fields import (
    Allocators,
    Cpus,
    Faults,
    FreePages,
    KernelField,
    MachineField,
    NoiseField,
    Pages,
    Phases,
    PlacementField,
    Replication,
    Seed,
    Tunables,
)
from simulator.geometry import (
    BASE_PAGE_BYTES,
    PMD_SPAN_BYTES,
    PageSize,
    least_pmds,
    page_bytes,
    pmds_of_folio,
    pmds_of_placement,
    splits_of_placement,
)
from simulator.kernel import Kernel, built_for, load_kernel, what_ifs
from simulator.kernel.one_memory import ONE_MEMORY, memmap_pfns
from simulator.kernel.phases import Phase, plan
from simulator.kernel.placement import aligned
from simulator.kernel.source import said_by
from simulator.machine import MECHANISM_TEXT, Machine, Noise, check_noise, load_machine, load_noise
from simulator.shown import own_names

__all__ = ("Scenario",)


class Scenario(BaseModel):
    """
    One simulation, fully described.

    ``machine``, ``kernel`` and ``noise`` are names, files or objects and stay
    as they were given; :attr:`machine_model`, :attr:`kernel_class` and
    :attr:`noise_model` are what they stand for.

    ``pages`` huge pages of ``page_size`` are asked for in every ``alloc`` of
    ``phases`` and given back in every ``free``, through ``path``, by
    ``allocators`` tasks, on the first ``cpus`` CPUs of the machine (None: all).
    Other phases, such as ``write 100`` or ``demote 1``, say how many pages they are
    about: see :mod:`simulator.kernel.phases`.
    ``placement`` says where the pages lie: ``aligned``, ``random``, ``pmds=S``
    (or ``pmds=S,T``: in T new PMDs the second time), a PFN for each, or
    ``splits=S,T``: so that the phases split S and T PMDs.  With ``one-memory`` they lie as
    ``aligned``, and base pages are of the same memory: ``free_pages`` are then all that are
    free at first, huge or not.
    ``free_pages`` base pages are free for everything else (None: more than
    needed); ``faults`` names allocations that fail, counted from 1.
    ``tunables`` are parameters of the kernel.

    >>> Scenario(machine="laptop-8", pages=64).replace(cpus=9)
    Traceback (most recent call last):
      ...
    simulator.errors.InputError: cpus: 9 is more than the 8 CPUs of laptop-8
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", validate_default=True)

    machine: MachineField = "epyc-7j13-vm252"
    kernel: KernelField = "v6.6"
    pages: Pages = 524288
    page_size: PageSize = "2M"
    hvo: bool = True
    phases: Phases = ("alloc", "free")
    path: Literal["pool", "boot", "surplus"] = "pool"
    allocators: Allocators = 1
    cpus: Cpus = None
    placement: PlacementField = "aligned"
    free_pages: FreePages = None
    faults: Faults = {}
    noise: NoiseField = "quiet"
    tunables: Tunables = {}
    seed: Seed = 1
    replication: Replication = 0
    engine: Literal["auto", "compiled", "events"] = "auto"

    # Type checkers derive a signature from the fields; this one would hide it.
    if not TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None:
            _fill(self, fields, None)

    def replace(self, **changes: Any) -> Scenario:
        """
        Return a scenario that differs in some fields, checked again.

        A kernel from a file stays what it was when it was loaded; give it anew to read the file.
        """
        copy = Scenario.__new__(Scenario)
        _fill(
            copy,
            {**{name: getattr(self, name) for name in _FIELDS}, **changes},
            None if "kernel" in changes else self.kernel_class,
        )
        return copy

    @cached_property
    def machine_model(self) -> Machine:
        """The machine that ``machine`` stands for."""
        return self.machine if isinstance(self.machine, Machine) else load_machine(self.machine)

    @cached_property
    def kernel_class(self) -> type[Kernel]:
        """The kernel that ``kernel`` stands for."""
        return load_kernel(self.kernel)

    @cached_property
    def built_kernel(self) -> type[Kernel]:
        """The kernel as it is compiled for the machine's architecture."""
        return built_for(self.kernel_class, self.machine_model.isa)

    @cached_property
    def noise_model(self) -> Noise:
        """The noise that ``noise`` stands for."""
        return self.noise if isinstance(self.noise, Noise) else load_noise(self.noise)

    @property
    def nr_cpus(self) -> int:
        """How many CPUs take part."""
        return self.machine_model.nr_cpus if self.cpus is None else self.cpus

    @property
    def page_bytes(self) -> int:
        """The size of a huge page."""
        return page_bytes(self.page_size)

    @property
    def nr_pfns(self) -> int:
        """The base pages of a huge page."""
        return self.page_bytes // BASE_PAGE_BYTES

    @property
    def phase_labels(self) -> tuple[str, ...]:
        """
        Return the phases by the names under which results list them.

        >>> Scenario(pages=1, phases=("alloc", "free", "alloc")).phase_labels
        ('alloc', 'free', 'alloc2')
        """
        return tuple(phase.label for phase in self.plan if phase.label)

    @cached_property
    def plan(self) -> tuple[Phase, ...]:
        """The phases as they were meant, see :mod:`simulator.kernel.phases`."""
        try:
            return plan(self.phases, self.page_size, self.pages, self.machine_model.nr_nodes)
        except InputError as error:
            raise InputError(f"phases: {error}") from None

    @property
    def tunable_values(self) -> dict[str, int]:
        """Every tunable of the kernel, set or default."""
        known = self.built_kernel.TUNABLES
        return {name: self.tunables.get(name, known[name][0]) for name in sorted(known)}

    def resolved(self) -> dict[str, Any]:
        """Return the whole scenario as plain data: names and files by their content."""
        return self._resolved_fields() | {
            "machine": _plain_machine(self.machine_model),
            "kernel": _plain_kernel(self.kernel_class, self.built_kernel),
        }

    def _resolved_fields(self) -> dict[str, Any]:
        # All of them, in their order; machine and kernel as they were given.
        plain: dict[str, Any] = {name: getattr(self, name) for name in _FIELDS}
        return plain | {
            "phases": list(self.phases),
            "cpus": self.nr_cpus,
            "placement": self.placement
            if isinstance(self.placement, str)
            else list(self.placement),
            "faults": {kind: list(nth) for kind, nth in self.faults.items()},
            "noise": self.noise_model.model_dump(mode="json"),
            "tunables": self.tunable_values,
        }

    @cached_property
    def key(self) -> str:
        """The SHA-256 of what decides the outcome; engines give the same answers."""
        texts = {
            name: _canonical(value)
            for name, value in self._resolved_fields().items()
            if name not in ("engine", "machine", "kernel")
        }
        texts["machine"] = _machine_text(self.machine_model)
        kernel, built = self.kernel_class, self.built_kernel
        texts["kernel"] = _kernel_text(kernel, built, said_by(kernel))  # type: ignore[arg-type]
        text = ",".join(f'"{name}":{texts[name]}' for name in sorted(texts))
        return hashlib.sha256(f"{{{text}}}".encode()).hexdigest()

    # In a notebook, what is not as it is by itself.
    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        fields = type(self).model_fields
        return [
            (name, getattr(self, name))
            for name in _FIELDS
            if name in ("machine", "kernel", "pages") or getattr(self, name) != fields[name].default
        ]

    def _repr_html_(self) -> str:
        rows = {name: str(getattr(self, name)) for name in _FIELDS}
        rows["machine"] = f"{self.machine_model.name}: {self.machine_model.title}"
        rows["kernel"] = f"{self.kernel_class.name} {self.kernel_class.subject}"
        cells = (f"<tr><td>{name}</td><td>{escape(text)}</td></tr>" for name, text in rows.items())
        return f"<table><tr><th>Scenario</th><th></th></tr>{''.join(cells)}</table>"

    # Completion shows these; what pydantic has besides is still there.
    def __dir__(self) -> list[str]:
        return own_names(type(self))

    def __hash__(self) -> int:
        return hash(self.key)

    # What the fields stand for is loaded anew in a copy: a kernel from a file is no
    # importable class.
    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        return state | {"__dict__": {name: state["__dict__"][name] for name in _FIELDS}}

    @field_validator("phases")
    @classmethod
    def _in_order(cls, phases: tuple[str, ...]) -> tuple[str, ...]:
        plan(phases, "1G", 1)  # whatever the size and number of the pages
        return phases

    @model_validator(mode="after")
    def _possible(self, info: ValidationInfo[type[Kernel] | None]) -> Scenario:
        if info.context is not None:
            vars(self)["kernel_class"] = info.context
        self._load()
        check_noise(self.machine_model, self.noise_model)
        self._check_cpus()
        self._check_memory()
        self._check_phases()
        self._check_placement()
        self._check_tunables()
        self._check_architecture()
        if self.path == "surplus" and self.page_size == "1G":
            raise InputError("path: 1G pages have no 'surplus' in Linux; use 'pool' or 'boot'")
        return self

    # Names and files that lead nowhere come out here, whatever else is wrong.
    def _load(self) -> tuple[object, ...]:
        return self.machine_model, self.kernel_class, self.noise_model

    def _check_cpus(self) -> None:
        machine = self.machine_model
        if self.nr_cpus > machine.nr_cpus:
            raise InputError(
                f"cpus: {self.cpus} is more than the {machine.nr_cpus} CPUs of {machine.name}"
            )
        if self.allocators > self.nr_cpus:
            raise InputError(f"allocators: {self.allocators} is more than the {self.nr_cpus} CPUs")
        if self.allocators > self.pages:
            raise InputError(f"allocators: {self.allocators} is more than the {self.pages} pages")

    def _check_memory(self) -> None:
        fit = self._fit(self.nr_pfns)
        if self.pages > fit:
            raise InputError(
                f"pages: {self.pages} pages of {self.page_size} do not fit the memory of"
                f" {self.machine_model.name}; {fit} fit"
            )

    def _check_phases(self) -> None:
        kernel = self.kernel_class
        for phase, text in zip(self.plan, self.phases, strict=True):
            if phase.action not in kernel.ACTIONS:
                known = ", ".join(kernel.ACTIONS)
                raise InputError(f"phases: {kernel.name} has no {text!r}; it has {known}")
            if phase.action not in ("alloc", "free", "hvo") and self.path != "pool":
                raise InputError(f"path: {text!r} has its own; use 'pool', not {self.path!r}")
            if phase.threads is not None and phase.threads > self.nr_cpus:
                raise InputError(
                    f"phases: {text!r}: {phase.threads} threads are more than the"
                    f" {self.nr_cpus} CPUs"
                )

    def _check_placement(self) -> None:
        if isinstance(self.placement, tuple):
            self._check_pfns(self.placement)
            return
        if self.placement == ONE_MEMORY:
            self._check_one_memory()
        splits = splits_of_placement(self.placement)
        if splits is not None and len(splits) != len(self.phase_labels):
            raise InputError(
                f"placement: splits of {len(splits)} phases for {len(self.phase_labels)}; give"
                " one number for each"
            )
        nr_pmds = pmds_of_placement(self.placement)
        if nr_pmds is not None:
            self._check_pmds(nr_pmds)

    def _check_one_memory(self) -> None:
        node_pfns = self._node_bytes // BASE_PAGE_BYTES
        most = self.machine_model.nr_nodes * (node_pfns - memmap_pfns(node_pfns))
        if self.free_pages is not None and self.free_pages > most:
            raise InputError(
                f"free_pages: {self.free_pages} is more than the {most} pages of"
                f" {self.machine_model.name} that are not struct pages"
            )

    def _check_pmds(self, nr_pmds: Sequence[int]) -> None:
        nr_fills = self.phases.count("alloc")
        if len(nr_pmds) > nr_fills:
            raise InputError(
                f"placement: {len(nr_pmds)} numbers of PMDs for {nr_fills} fills; give at most"
                " one for each"
            )
        asked = f"placement: {self.pages} pages of {self.page_size}"
        name = self.machine_model.name
        fit = self._fit(PMD_SPAN_BYTES // BASE_PAGE_BYTES)
        step = pmds_of_folio(self.page_size)
        low = least_pmds(self.pages, self.page_size)
        high = min(step * self.pages, fit)
        if not low <= nr_pmds[0] <= high:
            wanted = f"{low}" if low == high else f"{low} to {high}"
            raise InputError(f"{asked} cannot lie in {nr_pmds[0]} PMDs of {name}, only in {wanted}")
        left = fit - nr_pmds[0]
        for nr in nr_pmds[1:]:
            most = min(step * self.pages, left)
            if not 0 <= nr <= most:
                raise InputError(
                    f"{asked} cannot lie in {nr} new PMDs of {name}, only in 0 to {most}"
                )
            if nr % step:
                near = min(most, round(nr / step) * step)
                raise InputError(
                    f"{asked} cannot lie in {nr} new PMDs, only in a multiple of {step}"
                    f" (nearest: {near})"
                )
            left -= nr

    def _check_pfns(self, pfns: tuple[int, ...]) -> None:
        if len(pfns) != self.pages:
            raise InputError(f"placement: {len(pfns)} PFNs for {self.pages} pages; give one each")
        if len(set(pfns)) != len(pfns):
            ((twice, times),) = Counter(pfns).most_common(1)
            raise InputError(f"placement: PFN {twice} is there {times} times; give each once")
        gigantic = self.page_size == "2M" and any(phase.page_size == "1G" for phase in self.plan)
        if gigantic and list(pfns) != sorted(pfns):
            raise InputError("placement: PFNs ascend where pages of 1G are taken above them, too")
        step = self.page_bytes // BASE_PAGE_BYTES
        node = self._node_bytes // BASE_PAGE_BYTES
        end = node * self.machine_model.nr_nodes
        for pfn in pfns:
            if pfn % step:
                near = max(0, round(pfn / step)) * step
                raise InputError(
                    f"placement: PFN {pfn} is no multiple of {step}, as {self.page_size} needs"
                    f" (nearest: {near})"
                )
            if not 0 <= pfn <= end - step:
                raise InputError(
                    f"placement: PFN {pfn} is outside the memory of {self.machine_model.name},"
                    f" PFN 0 to {end - 1}"
                )
            if pfn % node + step > node:
                raise InputError(f"placement: the page at PFN {pfn} is of two nodes")

    def _check_tunables(self) -> None:
        known = self.built_kernel.TUNABLES
        for name, value in self.tunables.items():
            if name not in known:
                hint = nearest(name, known) or f"; known: {', '.join(sorted(known))}"
                raise InputError(f"tunables: {self.kernel_class.name} has no {name!r}{hint}")
            _default, low, high, _text = known[name]
            if not low <= value <= high:
                raise InputError(f"tunables: {name} must be {low} to {high}, not {value}")

    def _check_architecture(self) -> None:
        kernel, machine = self.kernel_class, self.machine_model
        if machine.isa not in kernel.RUNS_ON:
            raise InputError(
                f"kernel: {kernel.name} is for {', '.join(kernel.RUNS_ON)}, and {machine.name}"
                f" is {machine.isa}"
            )
        if not self.flush_mechanism:
            wanted = ", ".join(MECHANISM_TEXT[name] for name in kernel.FLUSHES_BY[machine.isa])
            raise InputError(
                f"kernel: {kernel.name} flushes by {wanted}, which {machine.name} has not; it has"
                f" {', '.join(machine.flushes)}"
            )
        if self.hvo and machine.isa not in kernel.HVO_ON:
            raise InputError(
                f"hvo: {kernel.name} has none on {machine.isa} ({machine.name}); use --hvo off, or"
                f" take a what-if: {', '.join(what_ifs(machine.isa)) or 'there is none'}"
            )

    @property
    def flush_mechanism(self) -> str:
        """What carries the kernel's flushes of kernel addresses on the machine."""
        present = [
            name
            for name, found in self.machine_model.mechanisms.present.items()
            if found.seat.value != "user mms"
        ]
        return self.built_kernel.flush_mechanism(
            self.machine_model.isa, present, self.tunable_values
        )

    def _fit(self, nr_pfns: int) -> int:
        # How many runs of base pages fit, each at a multiple of its length and within a node.
        node_pfns = self._node_bytes // BASE_PAGE_BYTES
        firsts = [nid * node_pfns for nid in range(self.machine_model.nr_nodes)]
        return sum(len(aligned(first, first + node_pfns, nr_pfns)) for first in firsts)

    @property
    def _node_bytes(self) -> int:
        return int(self.machine_model.memory.node_memory.exact_bytes)


# `loaded` is the kernel's class, where the field is not to be looked up.
def _fill(scenario: Scenario, fields: Mapping[str, Any], loaded: type[Kernel] | None) -> None:
    validator = scenario.__pydantic_validator__
    try:
        validator.validate_python(fields, self_instance=scenario, context=loaded)
    except ValidationError as error:
        raise InputError(explain(error, Scenario)) from None


def _canonical(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _plain_machine(machine: Machine) -> dict[str, Any]:
    return machine.model_dump(mode="json")


def _plain_kernel(kernel: type[Kernel], built: type[Kernel]) -> dict[str, str]:
    source = _source_of(built, said_by(kernel))  # type: ignore[arg-type]  # a class is hashable
    return {"name": kernel.name, "base": kernel.base, "source": source}


# Once: what is loaded stays as it is, whatever becomes of its files.
@lru_cache(maxsize=64)
def _source_of(kernel: type[Kernel], said: tuple[object, ...]) -> str:  # noqa: ARG001 - of a key
    return kernel.source()


# Replications have the same machine and kernel, which are nearly all of the text.
@lru_cache(maxsize=16)
def _machine_text(machine: Machine) -> str:
    return _canonical(_plain_machine(machine))


@lru_cache(maxsize=16)
def _kernel_text(kernel: type[Kernel], built: type[Kernel], said: tuple[object, ...]) -> str:  # noqa: ARG001 - of a key
    return _canonical(_plain_kernel(kernel, built))


_FIELDS = tuple(Scenario.model_fields)
