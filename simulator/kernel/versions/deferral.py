# SPDX-License-Identifier: MIT
"""
v6.18 with deferral for isolated CPUs
-------------------------------------

A CPU isolated by ``nohz_full=`` that is in user mode is left alone: flushes of vmalloc and
the synchronisation of patched code skip it, and it flushes everything each time it enters the
kernel.  Never merged.

Modelled: the last ``nr_isolated`` CPUs are isolated; each is in user mode for
``isolated_user_percent`` of all milliseconds, by a keyed draw, and enters the kernel
``isolated_entries_per_s`` times a second, both whatever the kernel does; a CPU with a task of
the run is in the kernel.  v8 of the series flushes at every entry, deferred work or not.
:class:`DeferralHvo` asks what would be if HVO's flushes were deferred too.

Not modelled: refills after the flush at an entry (getpid() took 770 ns on an E5-2699, and 1340
with it, refills and all); an entry that comes while a flush is under way (the order of flag and
flush is explored by ``tlbsim litmus``); what a CPU in user mode speculates on kernel addresses, so
that the checker takes a deferred flush for done.

Sources: V. Schneider, "context_tracking,x86: Defer some IPIs until a user->kernel
transition", RFC v1 (July 2023) to v8 (24 Mar 2026): flush_tlb_kernel_range_deferrable() and
flush_tlb_kernel_cond().
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from simulator.draws import fold, purpose_of, stream
from simulator.engine.calls import Call
from simulator.kernel.structs import PAGE_SIZE
from simulator.kernel.versions.v6_18 import V6_18

__all__ = ("Deferral", "DeferralHvo")

_USER: Final = purpose_of("user mode")
_FRAME_NS: Final = 1_000_000


class Deferral(V6_18):
    """Isolated CPUs in user mode are not interrupted for vmalloc and patched code."""

    name = "v6.18+defer@v8"
    base = "v6.18"
    subject = "RFC v8: defer IPIs to isolated CPUs until they enter the kernel"
    commit = ""
    summary = "v6.18, isolated CPUs in user mode left alone; they flush at each kernel entry"
    proposed_in = "RFC v8, V. Schneider, 24 Mar 2026"
    example_machine = "xeon-e5-2699-2s"
    RUNS_ON: ClassVar[tuple[str, ...]] = ("x86-64",)
    FLUSHES_BY: ClassVar[Mapping[str, tuple[str, ...]]] = {"x86-64": ("ipi",)}
    MASKED: ClassVar[bool] = True
    TUNABLES: ClassVar[dict[str, tuple[int, int, int, str]]] = V6_18.TUNABLES | {
        "nr_isolated": (0, 0, 4095, "isolated CPUs (nohz_full=), the last ones"),
        "isolated_user_percent": (100, 0, 100, "of its time that an isolated CPU is in user mode"),
        "isolated_entries_per_s": (0, 0, 10**6, "kernel entries of an isolated CPU"),
    }

    # --- who is left alone ----------------------------------------------------------------

    def isolated_cpus(k) -> range:
        """The isolated CPUs."""
        nr_cpus = k.platform.nr_cpus
        return range(max(1, nr_cpus - k.config.tunables["nr_isolated"]), nr_cpus)

    def housekeeping_first(k, cpus: Sequence[int]) -> list[int]:
        """CPUs for tasks, those that are not isolated first."""
        isolated = k.isolated_cpus()
        return sorted(cpus, key=lambda cpu: cpu in isolated)

    def kernel_cr3_loaded(k, cpus: range) -> list[int]:
        """Of isolated CPUs, those in the kernel."""
        draws = stream(
            fold(k.platform.key, _USER, k.current.met_ns // _FRAME_NS), 0, k.platform.nr_cpus
        )
        users = k.config.tunables["isolated_user_percent"]
        busy = {task.cpu.number for task in k.engine.timeline.tasks}
        return [cpu for cpu in cpus if cpu in busy or int(draws[cpu] >> 32) * 100 >= users << 32]

    def on_each_cpu_cond(k, call: Call) -> None:
        """Call a function where flush_tlb_kernel_cond() says so."""
        k.current.meet()
        isolated = k.isolated_cpus()
        mask = [*range(isolated.start), *k.kernel_cr3_loaded(isolated)]
        k.counts["calls_deferred"] += k.platform.nr_cpus - len(mask)
        k.engine.on_each_cpu(call, [cpu for cpu in mask if cpu != k.current.cpu.number])

    # --- what is deferred -----------------------------------------------------------------

    def purge_vmap_area_lazy(k, start: int, end: int) -> None:
        """Flush the addresses of areas that were freed."""
        k.flush_tlb_kernel_range_deferrable(start, end, reason="vmalloc")

    def flush_tlb_kernel_range_deferrable(k, start: int, end: int, reason: str) -> None:
        """Flush a range on every CPU that is not left alone."""
        k.counts["flush_tlb_kernel_range_calls"] += 1
        k.on_each_cpu_cond(k.flush_call(reason, (end - start) // PAGE_SIZE))

    def text_poke_sync(k, call: Call) -> None:
        """Have every CPU that is not left alone see patched code."""
        k.on_each_cpu_cond(call)

    # --- and made up for ------------------------------------------------------------------

    def end_phase(k, end_ns: int) -> None:
        """Charge the flushes at kernel entries of a phase."""
        elapsed_ns = end_ns - k.recorder.phase.start_ns
        entries = elapsed_ns * k.config.tunables["isolated_entries_per_s"] // 10**9
        each_ns = k.cost.flush_full.ns()
        for cpu in k.isolated_cpus():
            k.counts["kernel_entry_flushes"] += entries
            k.hardware.stall(cpu, entries * each_ns)
        super().end_phase(end_ns)


class DeferralHvo(Deferral):
    """What if the flushes of HVO were deferred as well?"""

    name = "v6.18+defer@v8+hvo"
    subject = "what if: HVO's flushes are deferred for isolated CPUs too"
    summary = "v6.18+defer@v8, and flush_tlb_all() leaves isolated CPUs alone"
    proposed_in = "no mail: a what-if on RFC v8 of V. Schneider"

    def on_each_cpu(k, call: Call, start: int, end: int) -> None:
        """Run a flush on every CPU that is not left alone, and wait."""
        k.on_each_cpu_cond(call)
