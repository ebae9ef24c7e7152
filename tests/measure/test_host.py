# SPDX-License-Identifier: MIT
"""/proc and /sys of machines that are written down here."""

from __future__ import annotations

import pytest

from simulator.measure.host import read_host
from simulator.measure.interrupts import read_interrupts


def write(root, path, text):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{text}\n")


def machine(root, places, nodes=1, flags="fpu", siblings="0"):
    """Write a machine with a (socket, core) for each CPU."""
    write(root, "proc/cpuinfo", f"model name\t: Some CPU @ 2 GHz\nflags\t\t: {flags}\n")
    write(root, "proc/sys/kernel/osrelease", "6.6.0-test")
    write(root, "sys/devices/system/cpu/online", f"0-{len(places) - 1}")
    for cpu, (socket, core) in enumerate(places):
        folder = f"sys/devices/system/cpu/cpu{cpu}/topology"
        write(root, f"{folder}/physical_package_id", socket)
        write(root, f"{folder}/core_id", core)
        write(root, f"{folder}/thread_siblings_list", siblings)
    for node in range(nodes):
        text = f"Node {node} MemTotal:       {(node + 1) << 20} kB"
        write(root, f"sys/devices/system/node/node{node}/meminfo", text)
    return read_host(root)


def test_two_sockets_of_two_cores_with_siblings_last(tmp_path):
    places = [(s, c) for _thread in range(2) for s in range(2) for c in range(2)]
    host = machine(tmp_path, places, nodes=2, siblings="0,4")
    assert (host.sockets, host.cores_per_socket, host.threads_per_core) == (2, 2, 2)
    assert (len(host.cpus), host.nodes, host.node_kib) == (8, 2, 1 << 20)
    assert host.regular
    assert not host.siblings_adjacent
    assert not host.virtual
    assert [host.distance(0, cpu) for cpu in (1, 2, 4, 5)] == ["socket", "hop1", "core", "socket"]


def test_a_guest_with_adjacent_siblings(tmp_path):
    places = [(0, cpu // 2) for cpu in range(4)]
    host = machine(tmp_path, places, flags="fpu hypervisor invlpgb", siblings="0-1")
    assert (host.virtual, host.has_invlpgb, host.siblings_adjacent) == (True, True, True)
    assert [host.distance(0, cpu) for cpu in (1, 2)] == ["core", "socket"]
    assert (host.cpu_model, host.release) == ("Some CPU @ 2 GHz", "6.6.0-test")


def test_what_is_no_product_is_one_socket_of_cores(tmp_path):
    host = machine(tmp_path, [(0, 0), (0, 1), (1, 0)])
    assert not host.regular
    assert (host.sockets, host.cores_per_socket, host.threads_per_core) == (1, 3, 1)


def test_a_machine_that_says_nothing_is_one_of_everything(tmp_path):
    host = read_host(tmp_path)
    assert (host.cpus, host.sockets, host.nodes, host.idle_states) == ((0,), 1, 1, ())
    assert host.cpu_model == "unknown"


def test_the_largest_cache_is_the_last_level(tmp_path):
    for nth, size in enumerate(("32K", "1024K", "32768K")):
        write(tmp_path, f"sys/devices/system/cpu/cpu0/cache/index{nth}/size", size)
    host = read_host(tmp_path)
    assert (host.cache_kib, host.cache_cpus) == (32 << 10, 0)
    for nth, cpus in enumerate(("0,8", "0,8", "0-7,8-15")):
        write(tmp_path, f"sys/devices/system/cpu/cpu0/cache/index{nth}/shared_cpu_list", cpus)
    assert read_host(tmp_path).cache_cpus == 16


def test_idle_states_come_by_residency_without_the_disabled(tmp_path):
    states = (("POLL", 0, 0, 0), ("C6", 133, 600, 0), ("C1", 2, 2, 0), ("C9", 900, 900, 1))
    for nth, (name, latency, residency, disable) in enumerate(states):
        for part, value in zip(
            ("name", "latency", "residency", "disable"),
            (name, latency, residency, disable),
            strict=True,
        ):
            write(tmp_path, f"sys/devices/system/cpu/cpu0/cpuidle/state{nth}/{part}", value)
    found = read_host(tmp_path).idle_states
    assert [(s.name, s.exit_us, s.residency_us) for s in found] == [
        ("POLL", 0, 0),
        ("C1", 2, 2),
        ("C6", 133, 600),
    ]


INTERRUPTS = """            CPU0       CPU2
  24:          1          0  IO-APIC   5-edge      ACPI:Ged
 CAL:     468424     274071   Function call interrupts
 TLB:     157170      71280   TLB shootdowns
 ERR:          0
"""


def test_interrupts_are_counted_by_cpu_even_if_some_are_offline(tmp_path):
    (tmp_path / "interrupts").write_text(INTERRUPTS)
    before = read_interrupts(tmp_path / "interrupts")
    assert before.counts["TLB"] == {0: 157170, 2: 71280}
    (tmp_path / "interrupts").write_text(INTERRUPTS.replace("71280", "71290"))
    after = read_interrupts(tmp_path / "interrupts")
    assert [after.since(before, "TLB", cpu) for cpu in (0, 1, 2)] == [0, 0, 10]
    assert after.since(before, "CAL", 2) == 0


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "nonsense\n",
        INTERRUPTS.replace("TLB", "IPI1"),
        INTERRUPTS.replace("71280", "many"),
    ],
)
def test_without_a_line_for_shootdowns_nothing_can_be_proven(tmp_path, text):
    if text is not None:
        (tmp_path / "interrupts").write_text(text)
    assert not read_interrupts(tmp_path / "interrupts").has_shootdowns
