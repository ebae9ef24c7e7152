# SPDX-License-Identifier: MIT
"""
What all kernel code shares
---------------------------

:class:`KernelBase` holds the state of one running kernel: its locks, its pool,
the free pages, which vmemmap PMDs are still leaves.  The modules beside this
one add what Linux does, one class per source file, and a version is a subclass
that replaces functions.  Functions call each other through ``k``, and
``k.current`` is the task that runs them.

Primitives (locks, flushes, page tables, pages, struct pages) meet, cost time and
count; the code above them does not.  Whoever wants to see what a kernel does
attaches to its functions by name (:meth:`KernelBase.attach`).
"""

from __future__ import annotations

import hashlib
import inspect
import linecache
from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from simulator.engine import Engine, Task
from simulator.engine.calls import Call
from simulator.engine.hardware import Hardware
from simulator.engine.locks import IrqSpinLock, Mutex, RwSemaphore, SpinLock
from simulator.errors import InputError, KernelError
from simulator.kernel.phases import ACTIONS
from simulator.kernel.placement import HugeMemory
from simulator.kernel.structs import Folio, Hstate, KernelConfig, StaticKey, WorkStruct

if TYPE_CHECKING:
    from simulator.engine.task import Lock
    from simulator.machine import LoweredCosts, Platform
    from simulator.trace.recorder import Recorder

__all__ = ("KernelBase",)

_DRAWS_PER_BLOCK = 1024


class KernelBase:
    """
    The state of one running kernel.

    Each is of a class of its own, to which functions are attached; and its state has slots: of an
    object with a large dictionary Python finds functions slowly.
    """

    __slots__ = (
        "_attached", "_calls", "_draws", "_timeline", "config", "cost", "counts", "current",
        "engine", "flushes_by", "h", "h_of_phase", "hardware", "hstates", "hugetlb_lock",
        "hugetlb_optimize_vmemmap_key", "jump_label_mutex", "memory", "mmap_lock", "nr_allocs",
        "nr_filled", "nr_free_pages", "nr_held_pages", "nr_tasks", "one_memory",
        "page_table_lock", "phase", "platform", "recorder", "spinlocks", "split_pmds",
        "vmemmap_optimize_enabled", "worklists",
    )  # fmt: skip

    name: ClassVar[str]
    base: ClassVar[str]  # the release that it is, or is a patch on
    subject: ClassVar[str]  # of the commit that the version adds, or a title
    commit: ClassVar[str]
    summary: ClassVar[str]
    #: The mail that has it, of what was posted or proposed but not merged.
    proposed_in: ClassVar[str] = ""
    #: The invariant that it breaks, of what was made to show that a check finds it.
    breaks: ClassVar[str] = ""
    #: A machine of the package that it runs on, of what does not run, or not show, on all.
    example_machine: ClassVar[str] = ""
    own_file: ClassVar[str] = ""  # of a class from a user's file
    own_text: ClassVar[str] = ""  # what that file said when it was loaded
    #: The phases that it can go through, see :mod:`simulator.kernel.phases`.
    ACTIONS: ClassVar[tuple[str, ...]] = tuple(ACTIONS)
    #: What carries flushes of kernel addresses, by architecture: the first that a machine has.
    FLUSHES_BY: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "x86-64": ("ipi",),
        "arm64": ("tlbi",),
        "riscv64": ("sbi", "ipi"),
    }
    #: The architectures that it is for.
    RUNS_ON: ClassVar[tuple[str, ...]] = ("x86-64", "arm64", "riscv64")
    #: The architectures whose Kconfig selects HVO.
    HVO_ON: ClassVar[tuple[str, ...]] = ("x86-64",)
    #: Whether heads and pages to restore are taken of the folio's node only, __GFP_THISNODE.
    VMEMMAP_THISNODE: ClassVar[bool] = True
    #: Whether on_each_cpu() waits for the csds with preemption on.
    WAITS_PREEMPTIBLY: ClassVar[bool] = False
    #: Whether it calls functions on some CPUs only.
    MASKED: ClassVar[bool] = False
    #: Whether it is a what-if in which live entries may change what they map.
    ASSUMES_BBM: ClassVar[bool] = False
    #: Functions that have another name since a version, old to new.
    RENAMED: ClassVar[dict[str, str]] = {}
    #: By name: default, lowest and highest value, what it is.
    TUNABLES: ClassVar[dict[str, tuple[int, int, int, str]]] = {
        "tlb_single_page_flush_ceiling": (
            33,
            0,
            2**20,
            "pages; a flush of more is a full flush (debugfs x86/tlb_single_page_flush_ceiling)",
        ),
        "static_key_sites": (1107, 0, 10**6, "code sites patched when HVO's static key flips"),
        "min_free_kbytes": (
            67584,
            0,
            2**30,
            "KB that huge pages leave free, with the placement one-memory",
        ),
        "static_key_modules": (0, 0, 125, "loaded modules with sites of that key"),
    }

    @classmethod
    def file_of(cls) -> str:
        """Return the path of the file that defines the class, or the name of a notebook's cell."""
        if cls.__dict__.get("own_file"):
            return cls.own_file
        try:
            return inspect.getfile(cls)
        except (OSError, TypeError):  # typed in: only its functions know where
            codes = (getattr(value, "__code__", None) for value in vars(cls).values())
            return next((code.co_filename for code in codes if code is not None), "")

    @classmethod
    def source(cls) -> str:
        """
        Return the Python source of the class and of all the classes it builds on.

        Of what was loaded from a user's file, what that file said then.
        Raises InputError for a class that was typed in where nobody keeps the text.
        """
        files = {c.file_of(): c for c in cls.__mro__ if issubclass(c, KernelBase)}
        texts = (vars(c).get("own_text") or _text(file, c.__name__) for file, c in files.items())
        return "\n".join(texts)

    @classmethod
    def digest(cls) -> str:
        """Return the SHA-256 of the source; empty where a result does not have it."""
        return hashlib.sha256(cls.source().encode()).hexdigest()

    @classmethod
    def flush_mechanism(
        cls,
        isa: str,
        present: Collection[str],
        tunables: Mapping[str, int],  # noqa: ARG003 - versions have boot options
    ) -> str:
        """
        Return what carries flushes of kernel addresses on a machine; empty if nothing can.

        ``present`` are the machine's mechanisms that serve kernel addresses.
        """
        known = cls.FLUSHES_BY.get(isa, ())
        return next((name for name in known if name == "ipi" or name in present), "")

    def __new__(cls, *_: object) -> Self:
        """Make a kernel of a class of its own."""
        own: type[Self] = type(cls.__name__, (cls,), {})
        return super().__new__(own)

    def __init__(
        k, engine: Engine, platform: Platform, memory: HugeMemory, config: KernelConfig
    ) -> None:
        timeline = k._timeline = engine.timeline
        timeline.watchers.append(k.resumes)
        #: The task that runs.
        k.current: Task = timeline.current
        k.engine = engine
        k.recorder: Recorder = engine.recorder
        k.platform = platform
        # As attributes of a plain object: those of a pydantic model are found slowly.
        k.cost = cast("LoweredCosts", SimpleNamespace(**dict(platform.costs)))
        present = [name for name, found in platform.mechanisms.items() if found.kernel_ranges]
        #: What carries flushes of kernel addresses.
        k.flushes_by = k.flush_mechanism(platform.isa, present, config.tunables)
        k.hardware = Hardware(timeline, platform, engine.recorder)
        k.memory = memory
        k.config = config
        k.hugetlb_lock = IrqSpinLock(timeline, platform, "hugetlb_lock")
        k.page_table_lock = SpinLock(timeline, platform, "page_table_lock")  # of init_mm
        k.spinlocks = (k.hugetlb_lock, k.page_table_lock)
        k.mmap_lock = RwSemaphore(timeline, platform, "mmap_lock")  # of init_mm
        k.jump_label_mutex = Mutex(timeline, platform, "jump_label_mutex")
        #: The pools by page size, that of the scenario's pages, and that of the phase's.
        k.hstates: dict[str, Hstate] = {}
        k.h = k.hstate(config.page_size)
        k.h_of_phase = k.h
        k.vmemmap_optimize_enabled = config.hvo
        k.hugetlb_optimize_vmemmap_key = StaticKey()
        k.split_pmds: set[int] = set()  # vmemmap PMDs that are no longer leaves
        k.nr_free_pages = config.free_pages
        k.one_memory = False  # whether huge pages are made of the base pages that are free
        k.nr_held_pages = 0  # vmemmap pages unmapped but not yet given back
        k.nr_filled = 0  # folios taken since the pool was empty
        k.phase = -1
        k.worklists: dict[int, deque[WorkStruct]] = defaultdict(deque)  # by CPU
        k.nr_tasks = 0  # of the present phase
        k.nr_allocs: dict[str, int] = defaultdict(int)
        k.counts: dict[str, int] = k.recorder.counts  # of the present phase
        k._draws: dict[str, array[int]] = {}  # by name, then by folio
        k._calls: dict[tuple[str, int | None], Call] = {}
        k._attached: set[str] = set()
        k._rename()

    def housekeeping_first(k, cpus: Sequence[int]) -> list[int]:
        """CPUs for tasks, in the order in which they are taken."""
        return list(cpus)

    def smp_processor_id(k) -> int:
        """The CPU that the task is on; it stays there while preemption is off."""
        return k.current.cpu.number

    def BUG_ON(k, wrong: bool, condition: str) -> None:  # noqa: N802 - the kernel's name
        """Stop where a condition of the kernel's own is met."""
        if wrong:
            raise KernelError(f"kernel BUG: {condition}")

    def lock_not_held(k, lock: Lock, what: str) -> None:
        """A function is called without a lock that it needs; for the checker."""

    def sleeps_in_atomic(k, what: str) -> None:
        """A function that may sleep is called with a spinlock held; for the checker."""

    def orders_stores(k) -> None:
        """A barrier stands between the stores before it and those after; for the checker."""

    # --- from outside -----------------------------------------------------------------

    @property
    def version(k) -> type[KernelBase]:
        """The class that it was made of."""
        version: type[KernelBase] = type(k).__mro__[1]
        return version

    def attach(k, name: str, around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        """
        Put ``around(function)`` in the place of a function of this kernel object.

        Raises AttributeError if it has none of that name.
        """
        setattr(type(k), name, staticmethod(around(getattr(k, name))))
        k._attached.add(name)
        k._rename()

    def detach(k) -> None:
        """Put back all functions as they were, and let go of the engine: nothing runs any more."""
        for name in k._attached:
            delattr(type(k), name)
        k._attached.clear()
        if k.resumes in k._timeline.watchers:
            k._timeline.watchers.remove(k.resumes)

    def _rename(k) -> None:
        # What calls another function by its new name is that function: one call less.
        for old in k.RENAMED:
            new = getattr(getattr(k.version, old, None), "calls", None)
            if new is not None:
                setattr(type(k), old, inspect.getattr_static(type(k), new))
                k._attached.add(old)

    def resumes(k, task: Task) -> None:
        """Let a task go on."""
        k.current = task

    def folio_begins(k, folio: Folio) -> None:
        """
        A folio is taken, or looked at for the first time in a phase: its record begins.

        See :mod:`simulator.kernel.records`.
        """
        task = k.current
        if task.planned_ns < task.clear_ns:
            task.met_ns = task.planned_ns  # as Task.meet(), without a call
        else:
            task.meet()
        folio.phase = k.phase
        folio.start_ns = folio.end_ns = task.met_ns
        folio.split_ns = folio.remap_ns = folio.restore_ns = folio.flush_ns = 0

    def folio_ends(k, folio: Folio, ready_ns: int, status: str) -> None:
        """Write the record of a folio."""
        if folio.phase < 0:
            raise KernelError(
                f"the folio of PFN {folio.pfn} is {status} a second time (is it in a list twice?)"
            )
        folios = k.recorder.folios
        at = folios.begin_row()
        folios.pack_into(
            folios.last,
            at,
            folio.phase,
            folio.number,
            k.current.number,
            folio.pfn,
            folio.start_ns,
            folio.split_ns,
            folio.remap_ns,
            folio.restore_ns,
            folio.flush_ns,
            folio.end_ns,
            ready_ns,
            k.recorder.statuses[status],
        )
        # Let go of what is recorded: a pool holds many folios, and another task may take this.
        folio.phase = -1
        folio.start_ns = folio.end_ns = 0
        folio.split_ns = folio.remap_ns = folio.restore_ns = folio.flush_ns = 0

    def hstate(k, page_size: str) -> Hstate:
        """size_to_hstate(): the pool of a page size."""
        if page_size not in k.hstates:
            k.hstates[page_size] = k.new_hstate(page_size)
        return k.hstates[page_size]

    def new_hstate(k, page_size: str) -> Hstate:
        """Return an empty pool of a page size."""
        lock = Mutex(k._timeline, k.platform, "resize_lock")
        memory = k.memory.of_size(page_size)
        return Hstate(page_size, k.platform.nr_nodes, memory, lock)

    # --- the simulation's side --------------------------------------------------------

    def begin_phase(k, label: str, start_ns: int, initiators: Collection[int]) -> None:
        """Start to record a phase; ``initiators`` are the CPUs with a task."""
        k.phase += 1
        if not any(h.nr_huge_pages for h in k.hstates.values()):
            k.nr_filled = 0  # a folio that could not be given back keeps its number
        k._draws.clear()  # of every folio of the phase before
        k.nr_tasks = len(initiators)
        k.recorder.begin_phase(label, start_ns, initiators)
        k.counts = k.recorder.counts
        k.recorder.phase.free_pages_min = k.nr_free_pages
        for lock in k.spinlocks:
            lock.forget()

    def end_phase(k, end_ns: int) -> None:
        """Record the state at the end of a phase."""
        k.hardware.report()
        k.recorder.end_phase(end_ns)
        phase = k.recorder.phase
        phase.ptl_held_max_ns = k.page_table_lock.held_max_ns
        phase.preempt_off_max_ns = max(lock.preempt_off_max_ns for lock in k.spinlocks)
        k.counts["pages_got"] = k.h_of_phase.nr_huge_pages

    def folio_status(k, folio: Folio) -> str:
        """Return what is recorded of a folio that goes into the pool."""
        if folio.hugetlb_vmemmap_optimized:
            return "optimized"
        return "split_failed" if k.vmemmap_optimize_enabled else "plain"

    def draw(k, name: str, number: int) -> int:
        """Return the cost of some work on a folio of a number, in nanoseconds."""
        try:
            return k._draws[name][number]
        except (KeyError, IndexError):
            return k._draw_up_to(name, number)

    def _draw_up_to(k, name: str, number: int) -> int:
        # Folios are numbered without gaps: whole blocks, up to the one with this number.
        draws = k._draws.setdefault(name, array("q"))
        while len(draws) <= number:
            draws.frombytes(k.platform.work_draws(name, len(draws), _DRAWS_PER_BLOCK).tobytes())
        return draws[number]

    def hold(k, nr_pages: int) -> None:
        """Count vmemmap pages that wait to be given back."""
        k.nr_held_pages += nr_pages
        phase = k.recorder.phase
        if k.nr_held_pages > phase.peak_held_pages:  # noqa: PLR1730 - max() is slower
            phase.peak_held_pages = k.nr_held_pages


def _text(file: str, class_name: str) -> str:
    if Path(file).is_file():
        return Path(file).read_text(encoding="utf-8")
    # A cell of a notebook is no file, but Python knows its text.
    if lines := linecache.getlines(file):
        return "".join(lines)
    raise InputError(
        f"kernel: the source of {class_name} is not to be found; put the class into a file and give"
        " its path"
    )
