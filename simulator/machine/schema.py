# SPDX-License-Identifier: MIT
"""
What a machine profile says
---------------------------

The tables of a profile, which describes a machine as far as a TLB shootdown can
feel it: CPUs and their distances, the interrupt controller, memory, idle states,
spells in which a CPU does not answer, and what every elementary step costs.

Modelled: see the fields of each table.

Not modelled: clock frequency changes, memory bandwidth shared by several CPUs,
TLB sizes (a refill is a cost per invalidated page).

Sources: each value of a profile names its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Literal, TypeVar

from pydantic import Field, field_validator, model_validator

from simulator.explain import SeveralError
from simulator.geometry import LINE_BYTES
from simulator.machine.values import (
    Cost,
    CostByDistance,
    Count,
    Fact,
    Length,
    Size,
    Strict,
    Time,
)

__all__ = (
    "BY_DISTANCE",
    "Costs",
    "EveryCost",
    "IdleFrame",
    "IdleState",
    "Ipi",
    "IpiMode",
    "Memory",
    "SpellClass",
    "SpellClasses",
    "Topology",
)

Numbering = Literal["siblings-last", "siblings-adjacent"]
IpiMode = Literal["x2apic_cluster", "x2apic_physical", "kvm_hypercall", "per_cpu"]
C = TypeVar("C")
D = TypeVar("D")

# The start of a spell is drawn in 32 bits.
_LONGEST_FRAME_NS = 2**32 - 1


class EveryCost(Strict, Generic[C, D]):
    """
    Every elementary cost, in the order in which a shootdown meets them.

    The one list of them: what a profile states (:class:`Costs`) and what engines see
    (:class:`simulator.machine.lowered.LoweredCosts`) have these fields and no others. D is the
    type of a cost that depends on how far the other CPU is, C that of all others.
    """

    flush_base: C = Field(description="call of the flush, preempt_disable, mask set-up")
    enqueue: D = Field(description="csd lock and fill, llist_add, per target")
    send: C = Field(description="one interrupt-controller write or hypercall")
    send_return: C = Field(
        description="the sender's way back from each of these, while its interrupts arrive"
    )
    inject: C = Field(description="per destination inside the hypervisor, one after another")
    deliver: D = Field(description="from the controller to the target, per target")
    handler_entry: C = Field(description="interrupt entry at the target")
    handler_exit: C = Field(description="interrupt exit at the target")
    poll_wake: C = Field(description="a polling idle CPU notices the flag, instead of an entry")
    contention: C = Field(
        description="on top of each call behind the first of a list: lines that several CPUs want"
    )
    invlpg: C = Field(description="invalidation of one page")
    flush_full: C = Field(description="invalidation of everything, global entries included")
    refill_page: C = Field(description="TLB miss afterwards, per invalidated page in use")
    refill_full: C = Field(description="TLB misses after a full flush")
    sync_core: C = Field(description="do_sync_core at a target of text patching")
    ack: D = Field(description="read of one csd by the waiting initiator, per target")
    cache_line: D = Field(description="transfer of one cache line; lock hand-off")
    atomic: C = Field(description="locked operation on a line that the CPU owns")
    irq_save: C = Field(description="local_irq_save and local_irq_restore")
    mutex_wakeup: C = Field(description="wake-up of a sleeping mutex or rwsem waiter")
    pte_page_fill: C = Field(description="512 PTEs written to a new page")
    memory_near: C = Field(description="one cache line from memory of the CPU's own node")
    memory_far: C = Field(description="one cache line from memory of another node, on average")
    page_copy_hot: C = Field(description="copy of 4 KiB, all of it cached")
    page_copy_near: C = Field(description="copy of 4 cached KiB to uncached memory of the node")
    page_copy_far: C = Field(description="copy of 4 cached KiB to uncached memory elsewhere")
    page_alloc: C = Field(description="allocation of an order-0 page")
    page_free: C = Field(description="release of an order-0 page")
    huge_alloc_2m: C = Field(description="2 MiB folio from the buddy allocator, HVO apart")
    huge_free_2m: C = Field(description="2 MiB folio to the buddy allocator, HVO apart")
    huge_alloc_1g: C = Field(description="1 GiB folio from the contiguous allocator, HVO apart")
    huge_free_1g: C = Field(description="1 GiB folio back, HVO apart")
    gigantic_prep: C = Field(description="before v6.12: 262,144 pages made a 1 GiB folio")
    gigantic_free: C = Field(description="before v6.12: a 1 GiB folio given back page by page")
    lru_drain: C = Field(description="what a 1 GiB folio's allocation takes of every other CPU")
    vmemmap_walk: C = Field(description="one descent of vmemmap_remap_range")
    pmd_check: C = Field(description="test whether a PMD is a leaf")
    pmd_split: C = Field(description="pmd_populate_kernel of a new page table")
    set_pte: C = Field(description="one vmemmap PTE rewritten, its list work included")
    smp_wmb: C = Field(description="write barrier")
    synchronize_rcu: C = Field(description="one grace period")
    text_poke_site: C = Field(description="patching of one static-key site, broadcasts apart")
    cond_resched: C = Field(description="cond_resched without a switch")
    pool_add: C = Field(description="account and enqueue one folio under hugetlb_lock")
    pool_remove: C = Field(description="detach one folio under hugetlb_lock")
    clear_hugetlb: C = Field(description="clear the destructor of one folio under hugetlb_lock")


class Costs(EveryCost[Cost, CostByDistance]):
    """Every cost of a profile."""


#: The costs that depend on distance.
BY_DISTANCE = tuple(
    name for name, field in Costs.model_fields.items() if field.annotation is CostByDistance
)


class Topology(Strict):
    """CPUs, how they are numbered, and how far apart their sockets are."""

    sockets: Fact[int] = Field(description="packages, or what a guest takes for packages")
    nodes: Fact[int] = Field(description="NUMA nodes, a multiple or a divisor of the sockets")
    cores_per_socket: Fact[int] = Field(description="cores of one socket")
    threads_per_core: Fact[int] = Field(description="CPUs of one core: 1, or 2 with SMT")
    cpus: Fact[int] = Field(description="sockets x cores_per_socket x threads_per_core")
    cache_cores: Fact[int] | None = Field(
        default=None,
        description="cores below one last-level cache, which no two sockets share; not stated:"
        " those of a socket",
    )
    numbering: Fact[Numbering] = Field(
        description="whether a core's second CPU comes after all first ones, or beside its first"
    )
    socket_hops: Fact[tuple[tuple[int, ...], ...]] = Field(
        description="links from each socket to each: 0 to itself, 1 or 2 to others"
    )

    @model_validator(mode="after")
    def _adds_up(self) -> Topology:
        found = list(self._out_of_bounds()) or [*self._sums(), *self._hops()]
        if found:
            raise SeveralError(found)
        return self

    def _out_of_bounds(self) -> Iterator[str]:
        names = ("sockets", "nodes", "cores_per_socket", "threads_per_core", "cpus")
        for name in (*names, "cache_cores"):
            fact = getattr(self, name)
            if fact is not None and not 1 <= fact.value <= 4096:
                yield f"{name} is {fact.value}, but must be 1 to 4096"

    def _sums(self) -> Iterator[str]:
        product = self.sockets.value * self.cores_per_socket.value * self.threads_per_core.value
        if self.cpus.value != product:
            yield (
                f"cpus is {self.cpus.value}, but sockets x cores_per_socket x threads_per_core"
                f" is {product}"
            )
        sockets, nodes = self.sockets.value, self.nodes.value
        if nodes % sockets and sockets % nodes:
            yield f"nodes is {nodes}, which does not divide {sockets} sockets evenly"

    def _hops(self) -> Iterator[str]:
        hops, sockets = self.socket_hops.value, self.sockets.value
        if len(hops) != sockets or any(len(row) != sockets for row in hops):
            yield f"socket_hops must have {sockets} rows of {sockets} numbers"
            return
        for i, row in enumerate(hops):
            for j, hop in enumerate(row):
                if hop != hops[j][i]:
                    yield f"socket_hops[{i}][{j}] is {hop}, but [{j}][{i}] is not"
                    return
                if (hop == 0) != (i == j) or hop not in (0, 1, 2):
                    yield (
                        f"socket_hops[{i}][{j}] is {hop}, but must be"
                        f" {'0 on the diagonal' if i == j else '1 or 2'}"
                    )
                    return


class Memory(Strict):
    """Memory that huge pages may come from, and what a CPU keeps of it."""

    node_memory: Size = Field(description="memory of one node; huge pages come from it")
    last_level_cache: Size = Field(description="what one last-level cache holds")
    outstanding_lines: Count = Field(
        description="cache lines that a core fetches at once when it goes through memory in order"
    )

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

    mode: Fact[IpiMode] = Field(
        description="one write for a cluster of 16 CPUs, one for each CPU, or a hypercall"
    )
    shorthand: Fact[bool] = Field(
        description="whether one write interrupts all others, where all others are meant"
    )


class IdleState(Strict):
    """One idle state of a CPU."""

    name: str = Field(description="as in /sys/devices/system/cpu/cpu0/cpuidle/state*/name")
    exit_latency: Time = Field(description="from the interrupt to the first instruction")
    residency: Time = Field(
        description="how long ago the CPU was last busy before it goes to this state"
    )
    polling: bool = Field(
        default=False, description="the CPU polls a flag: it needs no interrupt to wake up"
    )


class SpellClass(Strict):
    """Spells of one class: at most one in each frame, clipped to it."""

    frame: Time = Field(description="time is cut into these; a frame has one spell at most")
    length: Length = Field(description="how long a spell lasts")

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

    frame: Time = Field(description="time is cut into these; a CPU is idle for whole ones")


class SpellClasses(Strict):
    """Spells in which a CPU answers late; how frequent they are is up to the noise."""

    irqs_off: SpellClass = Field(description="the kernel runs with interrupts off")
    idle: IdleFrame = Field(description="the CPU has nothing to do, and sleeps")
    preempted: SpellClass | None = Field(
        default=None, description="the host runs something else; virtual machines only"
    )

    @model_validator(mode="after")
    def _frames(self) -> SpellClasses:
        for name in ("irqs_off", "idle", "preempted"):
            spells = getattr(self, name)
            if spells is not None and not 1000 <= spells.frame.exact_ns <= _LONGEST_FRAME_NS:
                raise ValueError(f"{name}.frame must be from 1 us to 4 s")
        return self
