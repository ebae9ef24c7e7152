# SPDX-License-Identifier: MIT
"""
Waiting for acknowledgements, compiled
--------------------------------------

An initiator reads its csds in ascending CPU number, spinning on each until it is
released, with interrupts on.
"""

from __future__ import annotations

from simulator.engine.compiled.flat.machine import M
from simulator.engine.compiled.flat.places import index, part
from simulator.engine.compiled.flat.state import S
from simulator.engine.compiled.flat.words import Int64s
from simulator.engine.compiled.jit import compiled

__all__ = ("BLOCKED", "DONE", "IN_SPIN", "IN_WORK", "acks")

# What acks() returns first.
DONE, BLOCKED, IN_WORK, IN_SPIN = 0, 1, 2, 3


@compiled
def acks(
    m: Int64s,
    s: Int64s,
    slot: int,
    me: int,
    cpu: int,
    t_ns: int,
    spins: bool,
    handler_ns: int,
) -> tuple[int, int, int]:
    """
    Follow an initiator that waits for its csds; what reading them costs is drawn.

    At ``t_ns`` it is done with all CPUs before ``cpu``, and spins on that one
    already if ``spins``.  Returns what stops it, the CPU and the time: DONE,
    BLOCKED (not released yet), or, for a handler that starts at ``handler_ns``,
    IN_WORK (the time is then what remains of reading a csd) or IN_SPIN.
    """
    n = m[M.nr_cpus]
    row = index(slot * n)
    release, acked, read = (
        part(s, S.released) + row,
        part(s, S.acked) + row,
        part(s, S.read_ns) + row,
    )
    while True:
        # An interrupt at the very end of the work before is taken before the spin.
        if handler_ns >= 0 and not spins and handler_ns <= t_ns:
            return IN_WORK, cpu, t_ns - handler_ns
        if cpu == me:
            cpu += 1
        if cpu >= n:
            return DONE, cpu, t_ns
        released_ns = s[release + cpu]
        if released_ns < 0:
            if handler_ns >= 0:
                return IN_SPIN, cpu, t_ns
            return BLOCKED, cpu, t_ns
        if released_ns > t_ns or spins:
            t_ns = max(t_ns, released_ns)
            if handler_ns >= 0 and handler_ns <= t_ns:
                return IN_SPIN, cpu, t_ns
        t_ns += s[read + cpu]
        s[acked + cpu] = t_ns
        spins = False
        cpu += 1
