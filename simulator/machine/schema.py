# SPDX-License-Identifier: MIT
"""
What a machine profile says
---------------------------

A profile describes a machine as far as a TLB shootdown can feel it: CPUs and
their distances, the interrupt controller, memory, idle states, spells in which
a CPU does not answer, and what every elementary step costs.  Each value has a
unit, a kind, a source and a plausible range.

Modelled: see the fields of :class:`Machine` and :class:`Costs`.

Not modelled: clock frequency changes, memory bandwidth shared by several CPUs,
TLB sizes (a refill is a cost per invalidated page).

Sources: each value of a profile names its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from simulator.geometry import LINE_BYTES
from simulator.machine.units import SizeUnit, TimeUnit, to_bytes, to_ns

__all__ = (
    "Calibration",
    "Cost",
    "CostByDistance",
    "Count",
    "Costs",
    "Fact",
    "FittedTime",
    "FittedValue",
    "IdleFrame",
    "IdleState",
    "Ipi",
    "IpiMode",
    "Kind",
    "Length",
    "Machine",
    "Memory",
    "Quantity",
    "Size",
    "SpellClass",
    "SpellClasses",
    "Spread",
    "Time",
    "Topology",
)

Kind = Literal["measured", "vendor", "derived", "assumed"]
Numbering = Literal["siblings-last", "siblings-adjacent"]
IpiMode = Literal["x2apic_cluster", "x2apic_physical", "kvm_hypercall"]
T = TypeVar("T")

# A draw is mean times quantile in 64 bits; 100 s leaves no room for a tail.
_LONGEST_NS = 10**10
# The start of a spell is drawn in 32 bits.
_LONGEST_FRAME_NS = 2**32 - 1
# How far the mean of explicit quantiles may be from the value that it restates.
_MEAN_TOLERANCE = 0.02


class Strict(BaseModel):
    """Frozen, strict, no unknown keys, no NaN."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Sourced(Strict):
    """Where a value comes from."""

    kind: Kind
    source: str
    note: str = ""
    machine: str = ""
    date: str = ""

    @field_validator("source")
    @classmethod
    def _source_says_something(cls, source: str) -> str:
        if not source.strip():
            raise ValueError("is empty: say where the value comes from")
        return source


def _check_range(value: float, limits: tuple[float, float]) -> None:
    low, high = limits
    if low < 0 or low > high:
        raise ValueError(f"range is [{low:g}, {high:g}], but must be [low, high] from 0 up")
    if not low <= value <= high:
        near = low if value < low else high
        raise ValueError(
            f"value {value:g} is outside its own range [{low:g}, {high:g}] (nearest: {near:g})"
        )


class Fact(Sourced, Generic[T]):
    """A structural value, without a unit: a count, a choice, a matrix."""

    value: T


class Count(Fact[int]):
    """A number of things, and its plausible range."""

    range: tuple[int, int]

    @model_validator(mode="after")
    def _value_in_range(self) -> Count:
        _check_range(self.value, self.range)
        return self


class Quantity(Sourced):
    """A number with a unit and a plausible range; subclasses name the units."""

    value: float
    range: tuple[float, float]

    @field_validator("value")
    @classmethod
    def _not_negative(cls, value: float) -> float:
        if value < 0:
            raise ValueError(f"is {value:g}, but cannot be below 0")
        return value

    @model_validator(mode="after")
    def _value_in_range(self) -> Quantity:
        _check_range(self.value, self.range)
        return self


class Time(Quantity):
    """A duration."""

    unit: TimeUnit

    @property
    def exact_ns(self) -> Fraction:
        """The value in nanoseconds, not rounded."""
        return to_ns(self.value, self.unit)

    @model_validator(mode="after")
    def _not_absurd(self) -> Time:
        if self.exact_ns > _LONGEST_NS:
            raise ValueError(f"value {self.value:g} {self.unit} is above the limit of 10 s")
        return self


class Size(Quantity):
    """An amount of memory."""

    unit: SizeUnit

    @property
    def exact_bytes(self) -> Fraction:
        """The value in bytes, not rounded."""
        return to_bytes(self.value, self.unit)


class Spread(Strict):
    """How a cost varies around its mean."""

    family: Literal["lognormal", "gamma"]
    sigma: float | None = None
    cv: float | None = None
    kind: Kind = "assumed"
    source: str = ""

    @property
    def size(self) -> float:
        """Return `sigma` or `cv`, whichever the family has."""
        return (self.sigma if self.family == "lognormal" else self.cv) or 0.0

    @model_validator(mode="after")
    def _one_parameter(self) -> Spread:
        wanted, other = ("sigma", "cv") if self.family == "lognormal" else ("cv", "sigma")
        value = self.sigma if wanted == "sigma" else self.cv
        if value is None:
            raise ValueError(f"a {self.family} spread needs {wanted!r}")
        if (self.cv if wanted == "sigma" else self.sigma) is not None:
            raise ValueError(f"a {self.family} spread has no {other!r}, only {wanted!r}")
        if not 0 < value <= 2:
            raise ValueError(f"{wanted} is {value:g}, but must be above 0 and at most 2")
        return self


Points = tuple[tuple[float, float], ...]


def _check_quantiles(points: Points, value: float) -> None:
    if len(points) < 2 or points[0][0] != 0 or points[-1][0] != 1:
        raise ValueError("quantiles must run from probability 0 to 1, in at least two points")
    mean = 0.0
    for (p0, v0), (p1, v1) in itertools.pairwise(points):
        if p1 <= p0:
            raise ValueError(f"quantiles: probability {p1:g} after {p0:g} must increase")
        if v1 < v0:
            raise ValueError(f"quantiles: {v1:g} after {v0:g} decreases")
        mean += (p1 - p0) * (v0 + v1) / 2
    if points[0][1] < 0:
        raise ValueError(f"quantiles: {points[0][1]:g} is below 0")
    if mean <= 0 or abs(value - mean) > _MEAN_TOLERANCE * mean:
        raise ValueError(f"value {value:g} is not the mean of its quantiles, {mean:.4g}")


class Cost(Time):
    """What one elementary step costs, and how it varies."""

    spread: Spread | None = None
    quantiles: Points | None = None

    @model_validator(mode="after")
    def _one_distribution(self) -> Cost:
        if self.quantiles is not None:
            if self.spread is not None:
                raise ValueError("give a spread or quantiles, not both")
            _check_quantiles(self.quantiles, self.value)
        return self


class Length(Time):
    """The length of a spell: `value` is the mean, in the unit of the quantiles."""

    quantiles: Points

    @model_validator(mode="after")
    def _consistent(self) -> Length:
        _check_quantiles(self.quantiles, self.value)
        return self

    @property
    def longest_ns(self) -> Fraction:
        """The longest spell in nanoseconds."""
        return to_ns(self.quantiles[-1][1], self.unit)


class CostByDistance(Strict):
    """A cost that depends on how far the other CPU is; one spread for all distances."""

    core: Time
    socket: Time
    hop1: Time | None = None
    hop2: Time | None = None
    spread: Spread | None = None

    def times(self) -> tuple[Time, ...]:
        """Return the costs that are given, by distance."""
        return tuple(t for t in (self.core, self.socket, self.hop1, self.hop2) if t is not None)

    @model_validator(mode="after")
    def _no_gap(self) -> CostByDistance:
        if self.hop2 is not None and self.hop1 is None:
            raise ValueError("has 'hop2' but no 'hop1'")
        return self


class Costs(Strict):
    """Every elementary cost, in the order in which a shootdown meets them."""

    flush_base: Cost = Field(description="call of the flush, preempt_disable, mask set-up")
    enqueue: CostByDistance = Field(description="csd lock and fill, llist_add, per target")
    send: Cost = Field(description="one interrupt-controller write or hypercall")
    inject: Cost = Field(description="per destination inside the hypervisor, one after another")
    deliver: CostByDistance = Field(description="from the controller to the target, per target")
    handler_entry: Cost = Field(description="interrupt entry at the target")
    handler_exit: Cost = Field(description="interrupt exit at the target")
    poll_wake: Cost = Field(description="a polling idle CPU notices the flag, instead of an entry")
    invlpg: Cost = Field(description="invalidation of one page")
    flush_full: Cost = Field(description="invalidation of everything, global entries included")
    refill_page: Cost = Field(description="TLB miss afterwards, per invalidated page in use")
    refill_full: Cost = Field(description="TLB misses after a full flush")
    sync_core: Cost = Field(description="do_sync_core at a target of text patching")
    ack: CostByDistance = Field(description="read of one csd by the waiting initiator, per target")
    cache_line: CostByDistance = Field(description="transfer of one cache line; lock hand-off")
    atomic: Cost = Field(description="locked operation on a line that the CPU owns")
    irq_save: Cost = Field(description="local_irq_save and local_irq_restore")
    mutex_wakeup: Cost = Field(description="wake-up of a sleeping mutex or rwsem waiter")
    pte_page_fill: Cost = Field(description="512 PTEs written to a new page")
    memory_near: Cost = Field(description="one cache line from memory of the CPU's own node")
    memory_far: Cost = Field(description="one cache line from memory of another node, on average")
    page_copy_hot: Cost = Field(description="copy of 4 KiB, all of it cached")
    page_copy_near: Cost = Field(description="copy of 4 cached KiB to uncached memory of the node")
    page_copy_far: Cost = Field(description="copy of 4 cached KiB to uncached memory elsewhere")
    page_alloc: Cost = Field(description="allocation of an order-0 page")
    page_free: Cost = Field(description="release of an order-0 page")
    huge_alloc_2m: Cost = Field(description="2 MiB folio from the buddy allocator, HVO apart")
    huge_free_2m: Cost = Field(description="2 MiB folio to the buddy allocator, HVO apart")
    huge_alloc_1g: Cost = Field(description="1 GiB folio from the contiguous allocator, HVO apart")
    huge_free_1g: Cost = Field(description="1 GiB folio back, HVO apart")
    vmemmap_walk: Cost = Field(description="one descent of vmemmap_remap_range")
    pmd_check: Cost = Field(description="test whether a PMD is a leaf")
    pmd_split: Cost = Field(description="pmd_populate_kernel of a new page table")
    set_pte: Cost = Field(description="one vmemmap PTE rewritten, its list work included")
    smp_wmb: Cost = Field(description="write barrier")
    synchronize_rcu: Cost = Field(description="one grace period")
    text_poke_site: Cost = Field(description="patching of one static-key site, broadcasts apart")
    cond_resched: Cost = Field(description="cond_resched without a switch")
    pool_add: Cost = Field(description="account and enqueue one folio under hugetlb_lock")
    pool_remove: Cost = Field(description="detach one folio under hugetlb_lock")
    clear_hugetlb: Cost = Field(description="clear the destructor of one folio under hugetlb_lock")


class Topology(Strict):
    """CPUs, how they are numbered, and how far apart their sockets are."""

    sockets: Fact[int]
    nodes: Fact[int]
    cores_per_socket: Fact[int]
    threads_per_core: Fact[int]
    cpus: Fact[int]
    numbering: Fact[Numbering]
    socket_hops: Fact[tuple[tuple[int, ...], ...]]

    @model_validator(mode="after")
    def _adds_up(self) -> Topology:
        for name in ("sockets", "nodes", "cores_per_socket", "threads_per_core", "cpus"):
            value = getattr(self, name).value
            if not 1 <= value <= 4096:
                raise ValueError(f"{name} is {value}, but must be 1 to 4096")
        product = self.sockets.value * self.cores_per_socket.value * self.threads_per_core.value
        if self.cpus.value != product:
            raise ValueError(
                f"cpus is {self.cpus.value}, but sockets x cores_per_socket x threads_per_core"
                f" is {product}"
            )
        sockets, nodes = self.sockets.value, self.nodes.value
        if nodes % sockets and sockets % nodes:
            raise ValueError(f"nodes is {nodes}, which does not divide {sockets} sockets evenly")
        self._check_hops()
        return self

    def _check_hops(self) -> None:
        hops, sockets = self.socket_hops.value, self.sockets.value
        if len(hops) != sockets or any(len(row) != sockets for row in hops):
            raise ValueError(f"socket_hops must have {sockets} rows of {sockets} numbers")
        for i, row in enumerate(hops):
            for j, hop in enumerate(row):
                if hop != hops[j][i]:
                    raise ValueError(f"socket_hops[{i}][{j}] is {hop}, but [{j}][{i}] is not")
                if (hop == 0) != (i == j) or hop not in (0, 1, 2):
                    raise ValueError(
                        f"socket_hops[{i}][{j}] is {hop}, but must be"
                        f" {'0 on the diagonal' if i == j else '1 or 2'}"
                    )


class Memory(Strict):
    """Memory that huge pages may come from, and what a CPU keeps of it."""

    node_memory: Size
    last_level_cache: Size
    outstanding_lines: Count

    @field_validator("last_level_cache")
    @classmethod
    def _whole_lines(cls, size: Size) -> Size:
        if size.exact_bytes < LINE_BYTES:
            raise ValueError(f"is {size.value:g} {size.unit}, but a line has {LINE_BYTES} bytes")
        return size

    @field_validator("outstanding_lines")
    @classmethod
    def _at_least_one(cls, lines: Count) -> Count:
        if not 1 <= lines.value <= 1024:
            raise ValueError(f"is {lines.value}, but must be 1 to 1024")
        return lines


class Ipi(Strict):
    """How interrupts are sent to many CPUs."""

    mode: Fact[IpiMode]
    shorthand: Fact[bool]


class IdleState(Strict):
    """One idle state of a CPU."""

    name: str
    exit_latency: Time
    residency: Time
    polling: bool = False


class SpellClass(Strict):
    """Spells of one class: at most one in each frame, clipped to it."""

    frame: Time
    length: Length

    @model_validator(mode="after")
    def _fits(self) -> SpellClass:
        if self.length.longest_ns > self.frame.exact_ns:
            raise ValueError(
                f"frame is {float(self.frame.exact_ns):g} ns, shorter than the longest spell"
                f" of {float(self.length.longest_ns):g} ns"
            )
        return self


class IdleFrame(Strict):
    """Idle spells: whole frames."""

    frame: Time


class SpellClasses(Strict):
    """Spells in which a CPU answers late; how frequent they are is up to the noise."""

    irqs_off: SpellClass
    idle: IdleFrame
    preempted: SpellClass | None = None

    @model_validator(mode="after")
    def _frames(self) -> SpellClasses:
        for name in ("irqs_off", "idle", "preempted"):
            spells = getattr(self, name)
            if spells is not None and not 1000 <= spells.frame.exact_ns <= _LONGEST_FRAME_NS:
                raise ValueError(f"{name}.frame must be from 1 us to 4 s")
        return self


class FittedTime(Strict):
    """
    A time of writing to ``nr_hugepages`` that values were fitted to.

    `kernel` is its name here, `release` what the source calls it if that is something else;
    `machine` is the name of the machine in the source.
    """

    machine: str
    kernel: str
    release: str = ""
    hvo: bool
    phase: str = Field(pattern=r"^(alloc|free)([2-9]|[1-9][0-9]{1,3})?$")
    pages: int = Field(gt=0)
    page_size: Literal["2M", "1G"]
    real_s: float = Field(gt=0)

    @property
    def cell(self) -> tuple[str, str, bool, str, int, str]:
        """What was measured, as :attr:`simulator.analysis.timings.Timing.cell` has it."""
        return (self.machine, self.kernel, self.hvo, self.phase, self.pages, self.page_size)

    @property
    def elapsed_ns(self) -> int:
        """The time in nanoseconds."""
        return round(self.real_s * 10**9)


class FittedValue(Strict):
    """
    What a fit found for one parameter.

    A parameter is a cost in nanoseconds, or a factor on several.  Without a standard error the
    data left none over to judge by, or did not decide the value; `note` says which.
    """

    name: str
    unit: Literal["ns", "factor"]
    start: float
    value: float
    standard_error: float | None = None
    interval: tuple[float, float] | None = None
    note: str = ""


class Calibration(Strict):
    """
    Which figures were used to fit which values.

    `times` are times of ``nr_hugepages``, `figures` whatever else was used, in words.
    `residuals` are simulated over measured, less 1, by time.  `covariance` has a row and a column
    for each of `fitted` that has a standard error, in their units.  `patched` says that times of
    a patched kernel were used, so that the patched kernel is no longer predicted.
    """

    parameters: tuple[str, ...]
    times: tuple[FittedTime, ...] = ()
    figures: tuple[str, ...] = ()
    source: str
    date: str = ""
    note: str = ""
    patched: bool = False
    degrees_of_freedom: int | None = None
    residuals: tuple[float, ...] = ()
    covariance: tuple[tuple[float, ...], ...] = ()
    fitted: tuple[FittedValue, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Calibration:
        if not self.times and not self.figures:
            raise ValueError("missing 'times' or 'figures': what was fitted to")
        if self.residuals and len(self.residuals) != len(self.times):
            raise ValueError(f"residuals must be {len(self.times)}, one for each of times")
        known = sum(value.standard_error is not None for value in self.fitted)
        if self.covariance and any(
            len(part) != known for part in (self.covariance, *self.covariance)
        ):
            raise ValueError(
                f"covariance must have {known} rows of {known} numbers, one for each standard error"
            )
        return self


class Machine(Strict):
    """
    A machine, as a profile describes it.

    `hindsight` says what of it was chosen again after a prediction had been compared with a
    published figure: such a figure is not fitted, but no blind test either.
    """

    name: str
    title: str
    description: str = ""
    isa: Literal["x86-64", "arm64"]
    virtual: bool
    inherits: str | None = None
    topology: Topology
    memory: Memory
    ipi: Ipi
    costs: Costs
    idle_states: tuple[IdleState, ...]
    spells: SpellClasses
    calibration: tuple[Calibration, ...] = ()
    hindsight: str = ""

    @property
    def nr_cpus(self) -> int:
        """CPUs of the whole machine."""
        return self.topology.cpus.value

    @property
    def nr_nodes(self) -> int:
        """NUMA nodes of the whole machine."""
        return self.topology.nodes.value

    @property
    def measured_as(self) -> tuple[str, ...]:
        """Under which other names there may be times of it: what it was fitted to, its parent."""
        fitted = [time.machine for fit in reversed(self.calibration) for time in fit.times]
        parent = [self.inherits] if self.inherits else []
        return tuple(dict.fromkeys([*fitted, *parent]))

    def keys(self) -> tuple[str, ...]:
        """Return the dotted names of the values that :meth:`with_values` can change."""
        from simulator.machine.override import keys

        return keys(self)

    def with_values(self, values: Mapping[str, bool | float | str]) -> Machine:
        """
        Return a machine that differs in some values.

        A bare number is in nanoseconds or bytes; a text may name its unit, as in
        ``"0.9 us"``.  What is changed becomes kind ``assumed``, source ``set by
        the user``.
        """
        from simulator.machine.override import with_values

        return with_values(self, values)

    def changed(self) -> dict[str, str]:
        """
        Return what :meth:`with_values` changed: texts with units, by dotted name.

        A value that was set to what it had been counts.
        """
        from simulator.machine.override import changed

        return changed(self)

    def fitted(self, *, patched: bool) -> tuple[str, ...]:
        """
        Return the dotted names of the values that were fitted, and not changed since.

        To cells of a patched kernel, or to unmodified ones.
        """
        from simulator.machine.override import fitted

        return fitted(self, patched=patched)

    # pickle cannot name the classes that pydantic makes of Fact[int] and its like.
    def __reduce__(self) -> tuple[Callable[[str], Machine], tuple[str]]:
        return (Machine.model_validate_json, (self.model_dump_json(),))

    @model_validator(mode="after")
    def _whole(self) -> Machine:
        if not self.name.strip():
            raise ValueError("name is empty")
        self._check_distances()
        self._check_idle()
        if self.virtual and self.spells.preempted is None:
            raise ValueError("spells.preempted is missing, which a virtual machine needs")
        if not self.virtual and self.spells.preempted is not None:
            raise ValueError("spells.preempted is only for virtual machines (virtual = true)")
        if not self.virtual and self.costs.inject.value != 0:
            raise ValueError("costs.inject must be 0 without a hypervisor (virtual = false)")
        for fit in self.calibration:
            unknown = [p for p in fit.parameters if not _has(self, p)]
            if unknown:
                raise ValueError(f"calibration names {unknown[0]!r}, which the machine has not")
        return self

    def _check_distances(self) -> None:
        farthest = max(max(row) for row in self.topology.socket_hops.value)
        for name in ("enqueue", "deliver", "ack", "cache_line"):
            for hop in range(1, farthest + 1):
                if getattr(getattr(self.costs, name), f"hop{hop}") is None:
                    raise ValueError(
                        f"costs.{name}.hop{hop} is missing: sockets are that far apart"
                    )

    def _check_idle(self) -> None:
        if not self.idle_states:
            raise ValueError("idle_states is empty: a CPU needs at least one")
        names = [state.name for state in self.idle_states]
        if len(set(names)) != len(names):
            raise ValueError("idle_states: two states have the same name")
        residencies = [state.residency.exact_ns for state in self.idle_states]
        if residencies != sorted(residencies):
            raise ValueError("idle_states must be in order of residency")
        if residencies[-1] > self.spells.idle.frame.exact_ns:
            raise ValueError(
                "spells.idle.frame is shorter than the residency of"
                f" {names[-1]}, which would never be entered"
            )


def _has(model: BaseModel, dotted: str) -> bool:
    node: object = model
    for part in dotted.split("."):
        node = getattr(node, part, None)
    return node is not None
