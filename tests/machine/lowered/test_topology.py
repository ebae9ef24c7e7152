# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest

from simulator.machine import Distance, load_machine, load_noise, lower, machines
from simulator.machine.lowered.topology import icr_writes

QUIET = load_noise("quiet")


def platform(name, nr_cpus=None, **values):
    machine = load_machine(name).with_values(values) if values else load_machine(name)
    return lower(machine, nr_cpus or machine.nr_cpus, QUIET, 1, 0)


@pytest.mark.parametrize("name", machines())
def test_distance_is_symmetric_and_zero_on_the_diagonal(name):
    distance = platform(name).distance
    assert np.array_equal(distance, distance.T)
    assert not distance.diagonal().any()


def test_xeon_has_as_many_cpus_at_each_distance_as_its_topology():
    # 1 sibling and oneself; 17 other cores; 3 and 4 sockets of 36 CPUs.
    for row in platform("xeon-e7-8895-8s").distance:
        assert np.bincount(row, minlength=4).tolist() == [2, 34, 108, 144]


def test_siblings_last_numbering_puts_second_threads_after_all_cores():
    p = platform("xeon-e7-8895-8s")
    assert p.distance[0, 144] == Distance.CORE
    assert p.socket_of[17] == 0
    assert p.socket_of[18] == 1
    assert p.socket_of[144 + 18] == 1


def test_siblings_adjacent_numbering_pairs_neighbours():
    p = platform("epyc-7j13-vm252")
    assert p.distance[0, 1] == Distance.CORE
    assert p.distance[1, 2] == Distance.SOCKET
    assert p.socket_of[125] == 0
    assert p.socket_of[126] == 1
    assert p.distance[0, 126] == Distance.HOP1


def test_a_last_level_cache_is_above_cache_cores_cores_of_a_socket_and_their_siblings():
    milan = platform("epyc-7r13-2s").cache_of  # siblings last: 96 cores, 6 CCX to a socket
    assert [milan[cpu] for cpu in (0, 7, 8, 47, 48, 95)] == [0, 0, 1, 5, 6, 11]
    assert milan[96:] == milan[:96]
    guest = platform("epyc-7j13-vm252").cache_of  # siblings adjacent: 63 cores, 7 CCX of 8 and 7
    assert [guest[cpu] for cpu in (0, 15, 16, 125, 126)] == [0, 0, 1, 7, 8]
    assert [guest.count(n) for n in range(8)] == [16] * 7 + [14]
    # More cores than a socket has, and none stated: those of the socket.
    for name, cores in (("epyc-7r13-2s", 64), ("laptop-8", 4)):
        p = platform(name, **{"topology.cache_cores": cores})
        assert p.cache_of == p.socket_of


def test_apic_ids_are_bit_fields_of_socket_core_and_thread():
    # 18 cores need 5 bits, 2 threads one: CPU 18 + 144 is socket 1, core 0, thread 1.
    p = platform("xeon-e7-8895-8s")
    assert p.apic_id[0] == 0
    assert p.apic_id[17] == 34
    assert p.apic_id[18] == 64
    assert p.apic_id[18 + 144] == 65
    assert len(set(p.apic_id)) == 288


def test_first_cpus_of_a_machine_keep_their_places():
    few, all_of_them = platform("xeon-e7-8895-8s", 20), platform("xeon-e7-8895-8s")
    assert few.apic_id == all_of_them.apic_id[:20]
    assert np.array_equal(few.distance, all_of_them.distance[:20, :20])
    assert few.nr_nodes == 8


def test_nodes_follow_sockets():
    p = platform("xeon-e7-8895-8s")
    assert p.node_of == p.socket_of


def test_one_cpu_is_a_valid_machine():
    p = platform("laptop-8", 1)
    assert p.distance.tolist() == [[0]]
    assert p.icr_writes(0, []) == ()


def test_shorthand_is_one_write_only_for_all_others():
    p = platform("xeon-e7-8895-8s")
    others = [cpu for cpu in range(288) if cpu != 5]
    assert p.icr_writes(5, others) == (tuple(others),)
    assert len(p.icr_writes(5, others[1:])) > 1


def test_cluster_mode_writes_once_per_16_apic_ids():
    # Per socket the ids 0 to 35 of 64 are in use: 3 clusters, of 16, 16 and 4 CPUs.
    p = platform("xeon-e7-8895-8s", **{"ipi.shorthand": False})
    writes = p.icr_writes(0, range(1, 288))
    assert len(writes) == 8 * 3
    assert sorted(len(w) for w in writes) == sorted([15, 16, 4] + 7 * [16, 16, 4])
    assert {p.apic_id[cpu] >> 4 for cpu in writes[0]} == {0}
    assert all(list(w) == sorted(w) for w in writes)
    assert sorted(cpu for w in writes for cpu in w) == list(range(1, 288))


def test_physical_mode_writes_once_per_cpu():
    p = platform("laptop-8", **{"ipi.mode": "x2apic_physical", "ipi.shorthand": False})
    assert p.icr_writes(3, [0, 6, 1]) == ((0,), (1,), (6,))


def test_hypercall_mode_covers_128_apic_ids_at_a_time():
    # 126 ids in each span of 128. Without id 0 the first bitmap begins at 1 and ends at 128,
    # which is the first CPU of the other socket.
    p = platform("epyc-7j13-vm252", **{"ipi.shorthand": False})
    writes = p.icr_writes(0, range(1, 252))
    assert [len(w) for w in writes] == [126, 125]
    assert p.apic_id[writes[0][-1]] == 128
    # 80 dense ids fit one bitmap.
    assert len(icr_writes("kvm_hypercall", range(80), range(1, 80))) == 1
    # A bitmap reaches to 127 above its lowest id, wherever that is.
    assert icr_writes("kvm_hypercall", [5, 132, 133], [0, 1, 2]) == ((0, 1), (2,))


def test_hypercall_bitmap_may_grow_downwards_as_in_the_kernel():
    assert icr_writes("kvm_hypercall", [200, 100, 72], [0, 1, 2]) == ((0, 1), (2,))
    assert icr_writes("kvm_hypercall", [199, 100, 72], [0, 1, 2]) == ((0, 1, 2),)
