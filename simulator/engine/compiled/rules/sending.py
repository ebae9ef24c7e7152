# SPDX-License-Identifier: MIT
"""
Sending, compiled
-----------------

What interrupts cost, drawn by initiator, broadcast and target, and in which
order the writes to the interrupt controller (or the hypercalls) reach their
destinations.
"""

from __future__ import annotations

import numpy as np

from simulator.engine.compiled.flat.machine import COST, MODE, M
from simulator.engine.compiled.flat.places import index, part
from simulator.engine.compiled.flat.state import S
from simulator.engine.compiled.flat.words import Int8s, Int64s
from simulator.engine.compiled.jit import compiled, inlined
from simulator.engine.compiled.rules.bits import lowest_bit
from simulator.engine.compiled.rules.draws import cost_ns, in_bin, is_split, mix64

__all__ = ("draw_all", "drawn", "flush_key", "write_order")


_BITS = 32


@inlined
def flush_key(m: Int64s, row: int, initiator: int, nth: int) -> np.uint64:
    """Return the key of a cost's draws for all targets of an initiator's broadcast."""
    key = np.uint64(m[M.cost_keys + row])
    return mix64(mix64(key + np.uint64(initiator)) + np.uint64(nth))


@inlined
def drawn(m: Int64s, distance: Int8s, row: int, near: int, key: np.uint64, cpu: int) -> int:
    """Return a drawn cost between the CPU whose distances begin at ``near`` and another one."""
    base = M.costs + row * COST.words
    return cost_ns(m, m[base], m[base + 1 + distance[near + cpu]], key, cpu)


@inlined
def _by_distance(distance: int, ns: tuple[int, int, int, int]) -> int:
    # Selected, not looked up: that LLVM vectorises.
    chosen = ns[1] if distance == 1 else ns[0]
    chosen = ns[2] if distance == 2 else chosen
    return ns[3] if distance == 3 else chosen


@compiled
def _draw(
    coarse: Int64s, far: Int8s, mean_fp: tuple[int, int, int, int], key: np.uint64, into: Int64s
) -> int:
    # Draw for all CPUs as if the last bin were not split; return, as the bits of a number, which
    # are in it, modulo _BITS.
    rare = 0
    for cpu in range(len(into)):
        x = mix64(key + np.uint64(cpu))
        rare |= int(is_split(x)) << (cpu % _BITS)
        into[cpu] = (_by_distance(far[cpu], mean_fp) * in_bin(coarse, x) + (1 << 25)) >> 26
    return rare


@compiled
def draw_all(
    m: Int64s, s: Int64s, distance: Int8s, row: int, me: int, nth: int, place: int
) -> None:
    """
    Write the drawn() costs between an initiator and every CPU to a place in the state.

    One by one, draws take three times as long.
    """
    n = m[M.nr_cpus]
    base = M.costs + row * COST.words
    mean_fp = m[base + 1], m[base + 2], m[base + 3], m[base + 4]
    drawn_ns = s[place : place + n]
    far = distance[me * n : me * n + n]
    if m[base] < 0:
        for cpu in range(n):
            drawn_ns[cpu] = (_by_distance(far[cpu], mean_fp) + 512) >> 10
        return
    key = flush_key(m, row, me, nth)
    coarse = index(m[base + COST.coarse])
    rare = _draw(m[coarse : coarse + 1024], far, mean_fp, key, drawn_ns)
    while rare != 0:
        for cpu in range(lowest_bit(rare), n, _BITS):
            drawn_ns[cpu] = drawn(m, distance, row, me * n, key, cpu)
        rare &= rare - 1


@inlined
def _put(s: Int64s, nr: int, cpu: int, begins: bool) -> None:
    # The next destination, and whether a write begins with it.
    s[part(s, S.order) + nr] = cpu
    s[part(s, S.begins) + nr] = begins


@compiled
def _order_all(m: Int64s, s: Int64s, me: int) -> None:
    # The shorthand: one write to all others.
    nr = 0
    for cpu in range(m[M.nr_cpus]):
        if cpu != me:
            _put(s, nr, cpu, nr == 0)
            nr += 1


@compiled
def _order_by_cluster(m: Int64s, s: Int64s, sent: int) -> None:
    # A cluster is written when the walk meets its first CPU.
    nr = 0
    for cpu in range(m[M.nr_cpus]):
        if s[sent + cpu] == 1:
            begins = True
            other = cpu
            while other >= 0:
                if s[sent + other] == 1:
                    _put(s, nr, other, begins)
                    begins = False
                    nr += 1
                    s[sent + other] = 2  # written
                other = m[m[M.next_in_cluster] + other]
    for cpu in range(m[M.nr_cpus]):
        if s[sent + cpu] == 2:
            s[sent + cpu] = 1


@compiled
def _order_by_span(m: Int64s, s: Int64s, sent: int) -> None:
    # Hypercalls: APIC ids that fit a bitmap of 128, as the walk meets them.
    nr = 0
    low = -1
    high = -1
    for cpu in range(m[M.nr_cpus]):
        if s[sent + cpu]:
            this = m[m[M.apic] + cpu]
            begins = False
            if nr > 0 and this < low and high - this < 128:
                low = this
            elif nr > 0 and low < this < low + 128:
                high = max(high, this)
            else:
                low = this
                high = this
                begins = True
            _put(s, nr, cpu, begins)
            nr += 1


@compiled
def write_order(m: Int64s, s: Int64s, row: int, me: int) -> int:
    """Order the destinations that a row of ``SENT`` names; return how many there are."""
    n, sent = m[M.nr_cpus], s[S.sent] + row
    nr = 0
    for cpu in range(n):
        nr += s[sent + cpu]
    if m[M.shorthand] and nr == n - 1:
        _order_all(m, s, me)
    elif m[M.mode] == MODE.x2apic_cluster:
        _order_by_cluster(m, s, sent)
    elif m[M.mode] == MODE.kvm_hypercall:
        _order_by_span(m, s, sent)
    else:
        at_cpu = 0
        for cpu in range(n):
            if s[sent + cpu]:
                _put(s, at_cpu, cpu, True)
                at_cpu += 1
    return nr
