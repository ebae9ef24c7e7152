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

__all__ = ("DONE", "IN_SPIN", "IN_WORK", "acks", "acks_of_released", "last_release")

# What acks() returns first.
DONE, IN_WORK, IN_SPIN = 0, 1, 2


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
    Follow an initiator that waits for its csds until a handler starts on its CPU.

    What reading them costs is drawn.  At ``t_ns`` it is done with all CPUs before
    ``cpu``, and spins on that one already if ``spins``.  Returns what it is at, the CPU and
    the time: DONE, IN_WORK (the time is then what remains of reading a csd) or IN_SPIN.
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
        if not spins and handler_ns <= t_ns:
            return IN_WORK, cpu, t_ns - handler_ns
        if cpu == me:
            cpu += 1
        if cpu >= n:
            return DONE, cpu, t_ns
        released_ns = s[release + cpu]
        if released_ns < 0:
            return IN_SPIN, cpu, t_ns
        if released_ns > t_ns or spins:
            t_ns = max(t_ns, released_ns)
            if handler_ns <= t_ns:
                return IN_SPIN, cpu, t_ns
        t_ns += s[read + cpu]
        s[acked + cpu] = t_ns
        spins = False
        cpu += 1


@compiled
def acks_of_released(released: Int64s, read_ns: Int64s, acked: Int64s, now_ns: int) -> int:
    """
    Return when an initiator has read its csds, all released, if no handler comes.

    Its own is one of them, released at 0 and read in no time.
    """
    # The sum of what reading them takes, and of what all waiting so far comes to: two chains.
    all_ns = 0
    waited_ns = now_ns
    for cpu in range(len(released)):
        waited_ns = max(waited_ns, released[cpu] - all_ns)
        all_ns += read_ns[cpu]
        acked[cpu] = all_ns + waited_ns
    return all_ns + waited_ns


@compiled
def last_release(released: Int64s) -> tuple[int, int]:
    """Return when the last csd was released, and on which CPU: the first of these, or -1."""
    n = len(released)
    last_ns = 0
    for cpu in range(n):
        last_ns = max(last_ns, released[cpu])
    slowest = n
    for cpu in range(n):
        slowest = min(slowest, cpu if released[cpu] == last_ns else n)
    return last_ns, slowest if last_ns > 0 else -1
