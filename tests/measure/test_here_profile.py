# SPDX-License-Identifier: MIT
"""What a profile makes of findings, worked by hand."""

from __future__ import annotations

import dataclasses

import pytest

from simulator.machine import load_machine
from simulator.measure import Finding, Here, Median, here_profile, measured_costs, values_ns
from simulator.measure.host import Host, IdleStateOf
from simulator.report.machine_text import describe
from simulator.run import simulate
from simulator.scenario import Scenario

GUEST = Host(
    release="6.6.0",
    arch="x86_64",
    cpu_model="Some CPU",
    clocksource="tsc",
    virtual=True,
    has_invlpgb=False,
    cpus=(0, 1),
    sockets=1,
    cores_per_socket=2,
    threads_per_core=1,
    siblings_adjacent=False,
    nodes=1,
    node_kib=8 << 20,
    cache_kib=32 << 10,
    cache_cpus=0,
    idle_states=(),
    regular=True,
)
METAL = dataclasses.replace(
    GUEST,
    virtual=False,
    cpus=tuple(range(8)),
    sockets=2,
    cores_per_socket=4,
    nodes=2,
    idle_states=(IdleStateOf("POLL", 0, 0), IdleStateOf("C1", 2, 2)),
)


def here(host, **found_ns):
    findings = [
        Finding(key, key, Median(ns, 0.9 * ns, 1.1 * ns, 9)) for key, ns in found_ns.items()
    ]
    return Here(host, 0, host.cpus[1:], findings)


def load(measured, tmp_path):
    costs = measured_costs(measured, "2026-01-02")
    (tmp_path / "here.toml").write_text(here_profile(measured, costs, "2026-01-02"))
    return load_machine(tmp_path / "here.toml")


def test_medians_become_costs_with_their_interval(tmp_path):
    machine = load(here(GUEST, invlpg=50, page_copy_near=500, synchronize_rcu=8e6), tmp_path)
    costs = machine.costs
    assert [costs.invlpg.exact_ns, costs.page_copy_near.exact_ns] == [50, 500]
    assert costs.synchronize_rcu.exact_ns == 8_000_000
    assert costs.invlpg.kind == "measured"
    assert costs.invlpg.machine == "Some CPU"
    assert "median of 9 rounds, 95 % interval 45 to 55 ns" in costs.invlpg.source
    # On one node there is no far memory.
    assert costs.page_copy_far.exact_ns == 500
    assert machine.memory.node_memory.exact_bytes == 8 << 30
    assert "measured on 2026-01-02" in describe(machine)


def test_what_was_not_measured_is_assumed_or_common(tmp_path):
    machine = load(here(GUEST), tmp_path)
    epyc = load_machine("epyc-7j13-vm252")
    for name in ("inject", "send", "huge_alloc_2m", "page_copy_near"):
        cost, there = getattr(machine.costs, name), getattr(epyc.costs, name)
        assert cost.exact_ns == there.exact_ns
        assert cost.kind == "assumed"
        assert cost.source.startswith("assumed: as on epyc-7j13-vm252: ")
    assert machine.costs.cond_resched == epyc.costs.cond_resched  # of x86-64
    assert machine.calibration == ()
    assert machine.spells.preempted.length.kind == "assumed"


def test_what_a_target_loses_is_entry_invalidation_refill_and_exit(tmp_path):
    costs = load(here(GUEST, invlpg=50, lost=5000), tmp_path).costs
    # The refill is that of the guest taken over: 30 ns.
    assert costs.handler_entry.exact_ns == costs.handler_exit.exact_ns == (5000 - 50 - 30) / 2
    assert costs.handler_entry.kind == "derived"


def test_the_first_target_pays_sending_delivery_and_entry(tmp_path):
    costs = load(here(GUEST, invlpg=50, lost=5000, shootdown_1=9000), tmp_path).costs
    epyc = load_machine("epyc-7j13-vm252").costs
    # Entry is 2460; sending is as on the guest taken over, whose inject is fitted.
    sent = (epyc.enqueue.socket, epyc.ack.socket, epyc.send, epyc.inject)
    deliver = 9000 - 2460 - float(sum(cost.exact_ns for cost in sent))
    assert float(costs.deliver.socket.exact_ns) == pytest.approx(deliver, rel=1e-3)
    assert costs.deliver.socket.kind == "derived"


def test_a_further_target_pays_the_hypervisor_in_a_guest(tmp_path):
    machine = load(here(GUEST, target=1200, shootdown_1=9000), tmp_path)
    assert machine.costs.inject.exact_ns == 1200 - 49 - 49
    # Entry as assumed there: 500.
    assert machine.costs.deliver.socket.exact_ns == 9000 - 1200 - 300 - 500


def test_a_further_target_pays_cache_lines_on_bare_metal(tmp_path):
    machine = load(here(METAL, target=200), tmp_path)
    xeon = load_machine("xeon-e7-8895-8s").costs
    # CPU 0 has three in its socket and four one hop away.
    usual = (3 * 2 * xeon.enqueue.socket.exact_ns + 4 * 2 * xeon.enqueue.hop1.exact_ns) / 7
    factor = 200 / float(usual)
    for cost in (machine.costs.enqueue, machine.costs.ack):
        for name in ("core", "socket", "hop1", "hop2"):
            was = float(getattr(xeon.enqueue, name).exact_ns)
            assert float(getattr(cost, name).exact_ns) == pytest.approx(was * factor, rel=1e-3)
    assert machine.costs.inject.exact_ns == 0
    assert [state.name for state in machine.idle_states] == ["POLL", "C1"]
    assert machine.idle_states[0].polling
    assert machine.topology.socket_hops.value == ((0, 1), (1, 0))


@pytest.mark.parametrize("found", [{"lost": 40.0}, {"shootdown_1": 100.0}, {"target": 10.0}])
def test_findings_that_leave_nothing_over_are_not_entered(found):
    # Less than the steps that are known: the rest would be below 0.
    assert values_ns(measured_costs(here(GUEST, **found), "")) == {}


def test_the_profile_can_be_simulated(tmp_path):
    machine = load(here(GUEST, invlpg=50, lost=5000, shootdown_1=9000), tmp_path)
    assert simulate(Scenario(machine=machine, pages=2)).summary["elapsed_ns"].min() > 0


def test_the_cores_below_a_cache_are_stated_where_the_kernel_says_who_shares_it(tmp_path):
    smt = dataclasses.replace(METAL, cpus=tuple(range(16)), threads_per_core=2, cache_cpus=4)
    assert load(here(smt), tmp_path).topology.cache_cores.value == 2
    unknown = load(here(METAL), tmp_path)
    assert unknown.topology.cache_cores is None
    assert "cache_cores" not in describe(unknown)
