# SPDX-License-Identifier: MIT
"""
Where the CPUs are
------------------

Numbers the CPUs of a machine and says for each its socket, NUMA node, APIC id
and last-level cache, how far any two are apart, and which interrupt-controller writes
reach a set of them.

Modelled: Linux' two usual CPU numberings; APIC ids as bit fields of socket,
core and thread, each wide enough for its count; shorthand, x2APIC cluster and
physical mode, and the KVM hypercall, which takes a bitmap of 128 APIC ids from
the lowest one in it.

Not modelled: xAPIC, logical mode with flat clusters, holes in the CPU numbers.

Sources: arch/x86/kernel/apic/ipi.c, x2apic_cluster.c and x2apic_phys.c;
__send_ipi_mask() in arch/x86/kernel/kvm.c (v6.6).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from simulator.machine.distances import Distance
from simulator.machine.schema import IpiMode, Topology

__all__ = ("Place", "distances", "icr_writes", "places")

_CLUSTER_BITS = 4
_KVM_IPI_CLUSTER_SIZE = 128  # 2 * BITS_PER_LONG

Writes = tuple[tuple[int, ...], ...]


class Place(NamedTuple):
    """Where one CPU is; `core` and `cache`, the last level, count through the whole machine."""

    socket: int
    core: int
    node: int
    apic_id: int
    cache: int


def places(topology: Topology, nr_cpus: int) -> tuple[Place, ...]:
    """Return the places of the first `nr_cpus` CPUs."""
    threads = topology.threads_per_core.value
    cores = topology.cores_per_socket.value
    all_cores = topology.sockets.value * cores
    cache_cores = cores if topology.cache_cores is None else min(cores, topology.cache_cores.value)
    caches = -(-cores // cache_cores)  # of a socket; the last may have fewer cores
    thread_bits, core_bits = (threads - 1).bit_length(), (cores - 1).bit_length()
    found = []
    for cpu in range(nr_cpus):
        if topology.numbering.value == "siblings-last":
            thread, core = divmod(cpu, all_cores)
        else:
            core, thread = divmod(cpu, threads)
        socket, core_in_socket = divmod(core, cores)
        apic_id = (socket << core_bits | core_in_socket) << thread_bits | thread
        node = core * topology.nodes.value // all_cores
        cache = socket * caches + core_in_socket // cache_cores
        found.append(Place(socket, core, node, apic_id, cache))
    return tuple(found)


def distances(topology: Topology, at: Sequence[Place]) -> npt.NDArray[np.int8]:
    """Return the distance of every pair of CPUs, as a :class:`Distance`."""
    socket = np.array([place.socket for place in at])
    core = np.array([place.core for place in at])
    hops = np.array(topology.socket_hops.value, dtype=np.int8)
    found: npt.NDArray[np.int8] = hops[np.ix_(socket, socket)] + np.int8(Distance.SOCKET)
    found[core[:, None] == core[None, :]] = Distance.CORE
    found.setflags(write=False)
    return found


def icr_writes(mode: IpiMode, apic_id: Sequence[int], cpus: Sequence[int]) -> Writes:
    """Return the destinations of each write that interrupts `cpus`, in the order of the writes."""
    ascending = sorted(cpus)
    if mode == "x2apic_cluster":
        return _cluster(apic_id, ascending)
    if mode == "kvm_hypercall":
        return _hypercall(apic_id, ascending)
    return tuple((cpu,) for cpu in ascending)


def _cluster(apic_id: Sequence[int], cpus: Sequence[int]) -> Writes:
    # A cluster is written when the walk meets its first CPU.
    clusters: dict[int, list[int]] = {}
    for cpu in cpus:
        clusters.setdefault(apic_id[cpu] >> _CLUSTER_BITS, []).append(cpu)
    return tuple(tuple(members) for members in clusters.values())


def _hypercall(apic_id: Sequence[int], cpus: Sequence[int]) -> Writes:
    # The walk is in CPU order; an id that does not fit the bitmap sends it off.
    writes: list[tuple[int, ...]] = []
    bitmap: list[int] = []
    low = high = 0
    for cpu in cpus:
        this = apic_id[cpu]
        if not bitmap:
            low = high = this
        elif this < low and high - this < _KVM_IPI_CLUSTER_SIZE:
            low = this
        elif low < this < low + _KVM_IPI_CLUSTER_SIZE:
            high = max(this, high)
        else:
            writes.append(tuple(bitmap))
            bitmap = []
            low = high = this
        bitmap.append(cpu)
    return (*writes, tuple(bitmap)) if bitmap else tuple(writes)
