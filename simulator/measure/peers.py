# SPDX-License-Identifier: MIT
"""
Threads that run meanwhile
--------------------------

A TLB shootdown interrupts the CPUs on which other threads of the same process
run, so each other CPU gets a thread that is bound to it and runs without the
interpreter lock: PBKDF2 from the standard library, which computes for as long
as it is told to and touches no memory.  The work is fixed, so what an interrupt
costs its target is what the work takes longer.

Real-time priority keeps other processes off for these few milliseconds, where
the user is allowed to ask for it.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from simulator.measure.calls import clock

__all__ = ("BURST_NS", "Peers", "bound")

BURST_NS = 30_000_000
_FIRST_WORK = 2000
_LONGEST_WAIT_S = 1.0


class Peers:
    """A thread for each CPU; :meth:`start` lets some of them run, :meth:`finish` awaits them."""

    def __init__(self, cpus: Sequence[int]) -> None:
        self.cpus = tuple(cpus)
        self._peers = [_Peer(cpu) for cpu in cpus]

    def __enter__(self) -> Self:
        for peer in self._peers:
            peer.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for peer in self._peers:
            peer.work = 0
            peer.go.set()
        for peer in self._peers:
            peer.thread.join()

    @property
    def prioritised(self) -> bool:
        """Whether the threads have real-time priority; known after the first burst."""
        return all(peer.prioritised for peer in self._peers)

    def tune(self) -> None:
        """Find the work that takes a burst, from the fastest of a few tries."""
        for _ in range(4):
            self.start(len(self._peers))
            took = self.finish()
            for peer, ns in zip(self._peers, took, strict=True):
                peer.per_ns = max(peer.per_ns, peer.work / ns)
        for peer in self._peers:
            peer.work = max(1, int(BURST_NS * peer.per_ns))

    def start(self, number: int) -> int:
        """Let the first ``number`` run; returns when all do, with the time by which to end."""
        running = self._peers[:number]
        begin = clock()
        for peer in running:
            peer.done.clear()
            peer.inside = False
            peer.go.set()
        give_up = time.monotonic() + _LONGEST_WAIT_S
        while not all(p.inside for p in running) and time.monotonic() < give_up:
            time.sleep(0.0002)
        # From the flag it is a few instructions into the function that drops the lock.
        time.sleep(0.0005)
        return begin + BURST_NS * 7 // 10

    def finish(self) -> list[int]:
        """Wait for those that run; returns how long the work of each of the first took."""
        for peer in self._peers:
            peer.done.wait()
        return [peer.took_ns for peer in self._peers]


class _Peer:
    def __init__(self, cpu: int) -> None:
        self.cpu = cpu
        self.work = _FIRST_WORK
        self.per_ns = 0.0
        self.go = threading.Event()
        self.done = threading.Event()
        self.done.set()
        self.inside = False
        self.took_ns = 1
        self.prioritised = False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self.prioritised = bound(self.cpu)
        while True:
            self.go.wait()
            self.go.clear()
            if not self.work:
                return
            self.inside = True
            begin = clock()
            hashlib.pbkdf2_hmac("sha256", b"tlbsim", b"tlbsim", self.work)
            self.took_ns = max(clock() - begin, 1)
            self.done.set()


def bound(cpu: int) -> bool:
    """Bind the calling thread to a CPU, with real-time priority; returns whether it got that."""
    os.sched_setaffinity(0, {cpu})
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        return False
    return True
