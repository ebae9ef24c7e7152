# SPDX-License-Identifier: MIT
"""
v6.15 with Remote Action Requests
---------------------------------

Intel's RAR as posted: the initiator writes what to do into one of 64 payloads, marks it
pending in a line of each target, and the targets' microcode does it, whatever they run.
Never merged; that TLBs are really flushed was not settled in the thread.

Modelled: kernel addresses are flushed as a whole, whatever the range; a spinlock to each
payload, the initiator's CPU number decides which; a line to each target out, one request
through the interrupt controller, the microcode, and the line back, one target after
another.  Targets that have interrupts off, idle or are preempted answer as all others.

Not modelled: a local flush by RAR; which payloads are in use; C-states that microcode has to
be woken from.

Sources: 20250619200442.1694583-1-riel@surriel.com (RFC v4).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from simulator.engine import Engine
from simulator.engine.calls import Call
from simulator.engine.locks import SpinLock
from simulator.kernel.placement import HugeMemory
from simulator.kernel.structs import KernelConfig
from simulator.kernel.tlb import TLB_FLUSH_ALL
from simulator.kernel.versions.v6_15 import V6_15
from simulator.machine import Platform

__all__ = ("Rar",)


class Rar(V6_15):
    """Flushes of kernel addresses by microcode of the targets."""

    name = "v6.15+rar@v4"
    base = "v6.15"
    subject = "RFC v4: Intel RAR TLB invalidation"
    commit = ""
    summary = "v6.15, kernel addresses flushed by microcode of the targets, always all"
    proposed_in = "20250619200442.1694583-1-riel@surriel.com"
    example_machine = "xeon-8480-2s"
    RUNS_ON: ClassVar[tuple[str, ...]] = ("x86-64",)
    FLUSHES_BY: ClassVar[Mapping[str, tuple[str, ...]]] = {"x86-64": ("rar",)}

    def __init__(
        k, engine: Engine, platform: Platform, memory: HugeMemory, config: KernelConfig
    ) -> None:
        super().__init__(engine, platform, memory, config)
        max_payloads = platform.mechanisms["rar"].numbers["slots"]
        k.rar_lock = [SpinLock(engine.timeline, platform, "rar_lock") for _ in range(max_payloads)]

    def kernel_tlb_flush_range(k, call: Call, start: int, end: int) -> None:
        """Flush a range: with PCID 0, addresses exclude globals, and so all of it."""
        whole = k.do_flush_tlb_all(call.reason, call.pages)
        k.kernel_tlb_flush_all(whole, 0, TLB_FLUSH_ALL)

    def kernel_tlb_flush_all(k, call: Call, start: int, end: int) -> None:
        """Flush everything."""
        k.hardware.begin("rar", call)
        k.smp_call_rar_many(call)
        action_ns = k.platform.mechanisms["rar"].costs["action"].each_ns
        k.hardware.end(action_ns)

    def smp_call_rar_many(k, call: Call) -> None:
        """Write a payload, ask every other CPU, flush here, and wait for each of them."""
        task = k.current
        costs = k.platform.mechanisms["rar"].costs
        task.work("flush_enqueue", k.cost.flush_base.each_ns)
        lock = k.rar_lock[task.cpu.number % len(k.rar_lock)]
        lock.lock()
        task.work("flush_enqueue", costs["payload"].each_ns)
        others = np.arange(k.platform.nr_cpus) != task.cpu.number
        k._rar_request(0, TLB_FLUSH_ALL, int(k.hardware.draws("enqueue")[others].sum()))
        task.work("flush_send", k.cost.send.each_ns)
        answered_ns = k.hardware.draws("deliver")[others] + costs["action"].each_ns
        read_ns = k.hardware.draws("ack")[others]
        task.work("flush_local", call.run_ns)
        # Bytes are read in turn: one when it is answered, or when the last has been read.
        left_ns = np.cumsum(read_ns[::-1])[::-1]
        spent_ns = call.run_ns
        waited_ns = max(int((answered_ns + left_ns).max(initial=0)) - spent_ns, int(read_ns.sum()))
        k._rar_wait(task.cpu.number, waited_ns)
        lock.unlock()

    def _rar_request(k, start: int, end: int, marked_ns: int) -> None:
        """Mark the request pending for each target; their lines move here."""
        k.current.meet()
        k.current.work("flush_enqueue", marked_ns)

    def _rar_wait(k, cpu: int, waited_ns: int) -> None:
        """Read each target's byte until it is no longer pending."""
        k.current.work("flush_wait", waited_ns)
        k.current.meet()
