# SPDX-License-Identifier: MIT
"""
A simulation as a whole: determinism, and what chance does to it
----------------------------------------------------------------

Oracles: equality of repeated runs; and for every mechanism of chance that a
shipped machine has, the direction in which a result must move when it is
switched off:

``idle_share``
    idle CPUs have nothing to lose, but answer only after they woke: without it
    the other CPUs lose more, and flushes are shorter;
``irqs_off_share``
    an interrupt waits until they are on: without it nothing is added to any
    acknowledgement, and flushes are shorter;
``preempted_share``
    a vCPU answers when the host runs it again, milliseconds later: without it the
    longest flush is shorter by as much; machines without vCPUs ignore it;
spread of ``deliver``
    a flush waits for the slowest of many answers: without it that one comes sooner;
other spreads
    the mean stays, so what they are spent on varies; without one it does not.
"""

from __future__ import annotations

import gc
import json
import math
import weakref
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from simulator.experiment import compare
from simulator.kernel import load_kernel
from simulator.machine import Machine, load_machine, load_noise, machines, noises
from simulator.report import comparison_text, run_report
from simulator.run import simulate
from simulator.saved import load_result
from simulator.scenario import Scenario

FRAMES = (
    "summary",
    "counts",
    "folios",
    "flushes",
    "cpus",
    "time_by",
    "throughput",
    "latency",
)
STILL = {"idle_share": 0.0, "irqs_off_share": 0.0, "preempted_share": 0.0}


LAPTOP = load_machine("laptop-8")


def small(**fields):
    defaults = {"machine": LAPTOP, "kernel": "v6.6", "pages": 20, "noise": "busy"}
    return Scenario(**{**defaults, **fields})


def same(one, other):
    return all(getattr(one, name).equals(getattr(other, name)) for name in FRAMES)


def assert_same(one, other):
    for name in FRAMES:
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))


# --- determinism --------------------------------------------------------------------------

VARIED = [
    {},
    {"path": "surplus", "allocators": 4},
    {"path": "boot", "allocators": 3, "kernel": "v6.7"},
    {"machine": "epyc-7j13-vm252", "noise": "overcommitted", "pages": 5},
    {"placement": "random", "kernel": "v6.6+6"},
]


@pytest.mark.parametrize("fields", VARIED)
@pytest.mark.parametrize("engine", ["events", "auto"])
def test_the_same_scenario_gives_the_same_frames(fields, engine):
    one, other = (simulate(small(engine=engine, **fields)) for _ in range(2))
    assert_same(one, other)


def test_simulations_in_threads_do_not_meet():
    scenarios = [small(**fields) for fields in VARIED]
    alone = [simulate(scenario) for scenario in scenarios]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(simulate, scenarios + scenarios[::-1]))
    for one, other in zip(alone + alone[::-1], together, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("fields", VARIED)
@pytest.mark.parametrize("change", [{"replication": 1}, {"seed": 2}])
def test_another_seed_or_replication_gives_other_times_and_the_same_counts(fields, change):
    # Without races and a random placement, chance decides about times alone.
    one, other = simulate(small(**fields)), simulate(small(**fields).replace(**change))
    assert one.summary["elapsed_ns"].tolist() != other.summary["elapsed_ns"].tolist()
    assert not same(one, other)
    if "placement" not in fields and "path" not in fields:
        assert one.counts.equals(other.counts)
    assert one.scenario.key != other.scenario.key


def test_seed_and_replication_are_not_interchangeable():
    assert not same(simulate(small(seed=1, replication=2)), simulate(small(seed=2, replication=1)))


def test_provenance_names_the_scenario_by_its_key():
    scenario = small(seed=7, replication=3)
    provenance = simulate(scenario).provenance
    assert provenance["key"] == scenario.key
    assert (provenance["seed"], provenance["replication"]) == (7, 3)
    json.dumps(provenance, allow_nan=False)


@pytest.mark.parametrize("kernel", ["v6.1", "v6.6+4", "v6.7"])
def test_kernels_under_one_seed_meet_the_same_huge_page_costs(kernel):
    # Work is keyed by folio: with HVO off nothing else differs between the kernels' folios.
    def costs(name):
        time_by = simulate(small(kernel=name, hvo=False, noise=STILL, cpus=1)).time_by
        rows = time_by[time_by["category"].isin(["huge_page_alloc", "huge_page_free"])]
        return rows["ns"].tolist()

    assert costs(kernel) == costs("v6.6")


# --- noise: spells ------------------------------------------------------------------------


def flushed(machine, noise, cpus, pages=24, **fields):
    cpus = min(cpus, load_machine(machine).nr_cpus)
    return simulate(small(machine=machine, cpus=cpus, pages=pages, noise=noise, **fields))


def without(preset, mechanism):
    return {"preset": preset, mechanism: 0.0}


def total(result, column):
    return int(result.summary[column].sum())


def lost(result):
    return int(result.cpus.loc[result.cpus["role"] == "target", "lost_ns"].sum())


def flush_ns(result):
    flushes = result.flushes
    return flushes["end_ns"] - flushes["start_ns"]


# Two or four CPUs seldom meet a spell in so short a run.
#: Those whose flushes are interrupts.
INTERRUPTED = [name for name in machines() if load_machine(name).isa == "x86-64"]
CROWDED = [name for name in INTERRUPTED if load_machine(name).nr_cpus >= 8]


def test_no_preset_lacks_a_mechanism():
    for name in noises():
        noise = load_noise(name)
        assert min(noise.idle_share, noise.irqs_off_share, noise.preempted_share) > 0


@pytest.mark.parametrize("machine", CROWDED)
@pytest.mark.parametrize("preset", ["quiet", "idle"])
def test_without_idle_cpus_more_is_lost_and_flushes_are_shorter(machine, preset):
    on = flushed(machine, preset, 64)
    off = flushed(machine, without(preset, "idle_share"), 64)
    assert on.cpus["idle_woken"].sum() > 0
    assert off.cpus["idle_woken"].sum() == 0
    assert lost(on) < lost(off)
    exits_us = [s.exit_latency.exact_ns / 1000 for s in load_machine(machine).idle_states
                if not s.polling]  # fmt: skip
    # Who wakes within a microsecond is awake before the other CPUs have answered.
    if min(exits_us) >= 1:
        assert total(on, "flush_ns") > total(off, "flush_ns")


@pytest.mark.parametrize("machine", CROWDED)
def test_more_idle_cpus_lose_less(machine):
    results = [flushed(machine, {**STILL, "idle_share": share}, 64) for share in (0, 0.3, 0.6, 1)]
    losses = [lost(result) for result in results]
    assert losses == sorted(losses, reverse=True)
    assert len(set(losses)) == 4
    assert losses[-1] == 0


@pytest.mark.parametrize("machine", CROWDED)
@pytest.mark.parametrize("preset", ["busy", "overcommitted"])
def test_without_interrupts_off_nothing_is_added_to_acknowledgements(machine, preset):
    def but(irqs_off_share):
        # The other spells, which cost more, would hide it.
        return {**STILL, "irqs_off_share": irqs_off_share}

    on = flushed(machine, but(load_noise(preset).irqs_off_share), 64)
    off = flushed(machine, but(0.0), 64)
    assert on.cpus["irqs_off_delay_ns"].sum() > 0
    assert off.cpus["irqs_off_delay_ns"].sum() == 0
    # Flush by flush: the costs of a flush do not depend on when it begins.
    assert (flush_ns(on) >= flush_ns(off)).all()
    assert total(on, "flush_ns") > total(off, "flush_ns")
    acks = [r.latency[r.latency["what"] == "ack"] for r in (on, off)]
    waited_ns = [(ack["high_ns"] * ack["count"]).sum() for ack in acks]
    assert waited_ns[0] > waited_ns[1]


def test_interrupts_off_delay_the_share_of_interrupts_that_their_share_of_time_is():
    # 64 CPUs, and for each of hundreds of flushes: a binomial count within five deviations.
    share = 0.015
    result = flushed("xeon-e7-8895-8s", {**STILL, "irqs_off_share": share}, 64, pages=100)
    ipis = result.ipis(range(0, len(result.flushes), 3))
    found = (ipis["state"] == "irqs_off").mean()
    # Flushes lie closer together than spells last: count CPUs and frames, not IPIs.
    independent = 63 * result.summary["elapsed_ns"].sum() / 100_000
    assert abs(found - share) < 5 * math.sqrt(share * (1 - share) / independent)


GUESTS = [name for name in INTERRUPTED if load_machine(name).virtual]


@pytest.mark.parametrize("machine", [name for name in GUESTS if name in CROWDED])
def test_without_preemption_the_longest_flush_is_shorter_by_milliseconds(machine):
    on = flushed(machine, "overcommitted", 64)
    off = flushed(machine, without("overcommitted", "preempted_share"), 64)
    shortest = load_machine(machine).spells.preempted.length.quantiles[0][1]
    assert shortest > 0
    assert flush_ns(on).max() - flush_ns(off).max() > 1_000_000
    assert "preempted" in set(on.ipis([int(flush_ns(on).argmax())])["state"])


@pytest.mark.parametrize("machine", [name for name in INTERRUPTED if name not in GUESTS])
def test_bare_metal_has_no_preemption_to_switch_off(machine):
    on = flushed(machine, "overcommitted", 16)
    off = flushed(machine, without("overcommitted", "preempted_share"), 16)
    assert load_machine(machine).spells.preempted is None
    assert_same(on, off)


# --- noise: spreads -----------------------------------------------------------------------


def steady(machine, keep=()):
    """Return a machine on which only the costs in ``keep`` vary."""
    data = json.loads(load_machine(machine).model_dump_json())
    for name, cost in data["costs"].items():
        if name not in keep:
            cost["spread"] = cost["quantiles"] = None
            if "value" not in cost:
                del cost["quantiles"]
    # Nor does it matter how long ago a folio was last worked on: nothing stays cached.
    data["memory"]["last_level_cache"].update(value=64, unit="bytes", range=[64, 64])
    return Machine.model_validate_json(json.dumps(data))


def spread_costs(machine):
    costs = load_machine(machine).costs
    return {
        name
        for name in type(costs).model_fields
        if getattr(costs, name).spread or getattr(getattr(costs, name), "quantiles", None)
    }


BROADCAST = {"enqueue", "ack", "deliver", "inject"}
# Which phase of which pages a cost of work is spent in.
WORK = {
    "page_copy_near": ("2M", "alloc2"),
    "page_copy_far": ("2M", "alloc2"),
    "huge_alloc_2m": ("2M", "alloc2"),
    "huge_free_2m": ("2M", "free2"),
    "huge_alloc_1g": ("1G", "alloc2"),
    "huge_free_1g": ("1G", "free2"),
    "gigantic_prep": ("1G", "alloc2"),
    "gigantic_free": ("1G", "free2"),
}
# No kernel up to v6.7 waits for RCU here.
UNUSED = {"synchronize_rcu"}


@pytest.mark.parametrize("machine", INTERRUPTED)
def test_every_spread_of_a_machine_is_tested_below(machine):
    assert spread_costs(machine) <= BROADCAST | set(WORK) | UNUSED
    assert {"enqueue", "ack", "deliver"} <= spread_costs(machine)


@pytest.mark.parametrize("machine", INTERRUPTED)
def test_without_the_spread_of_delivery_the_slowest_answer_comes_sooner(machine):
    cpus = min(64, load_machine(machine).nr_cpus)
    on, off = (
        simulate(small(machine=steady(machine, keep), cpus=cpus, pages=40, noise=STILL))
        for keep in (("deliver",), ())
    )
    slowest_ns = [(r.flushes["last_ack_ns"] - r.flushes["send_end_ns"]).mean() for r in (on, off)]
    assert slowest_ns[0] > slowest_ns[1]
    # In the guest the hypervisor takes so long to send that the answers wait to be read.
    assert total(on, "flush_ns") >= total(off, "flush_ns")


def durations(machine, keep, begin, end):
    """Return how many different durations a step of the flushes of 8 pages takes."""
    result = simulate(
        small(
            machine=steady(machine, keep),
            cpus=min(24, load_machine(machine).nr_cpus),
            pages=20,
            noise=STILL,
        )
    )
    flushes = result.flushes
    flushes = flushes[flushes["reason"] == "remap"]
    return (flushes[end] - flushes[begin]).nunique()


BROADCAST_SPREADS = [
    (machine, cost) for machine in INTERRUPTED for cost in sorted(spread_costs(machine) & BROADCAST)
]
# The step that a cost is part of, and nothing else that varies.
STEP = {
    "enqueue": ("start_ns", "send_end_ns"),
    "inject": ("start_ns", "send_end_ns"),
    "deliver": ("send_end_ns", "last_ack_ns"),
    "ack": ("send_end_ns", "end_ns"),
}


@pytest.mark.parametrize(("machine", "cost"), BROADCAST_SPREADS)
def test_without_its_spread_a_step_of_a_broadcast_always_takes_as_long(machine, cost):
    assert durations(machine, (cost,), *STEP[cost]) > 10
    assert durations(machine, (), *STEP[cost]) == 1


WORK_SPREADS = [
    (machine, cost) for machine in INTERRUPTED for cost in sorted(spread_costs(machine) & set(WORK))
]


@pytest.mark.parametrize(("machine", "cost"), WORK_SPREADS)
def test_without_its_spread_the_work_on_a_folio_always_takes_as_long(machine, cost):
    page_size, phase = WORK[cost]
    nodes = load_machine(machine).nr_nodes
    if cost == "page_copy_far" and nodes == 1:
        pytest.skip("one node: nothing is copied between nodes")

    def varies(keep):
        result = simulate(
            small(
                machine=steady(machine, keep),
                page_size=page_size,
                cpus=1,
                pages=4 * nodes,
                noise=STILL,
                phases=("alloc", "free", "alloc", "free"),
                tunables={"static_key_sites": 0},
            )
        )
        # The first folio and the last one take jump_label_mutex, too.
        folios = result.folios[result.folios["phase"] == phase].sort_values("start_ns")[1:-1]
        node_pfns = int(load_machine(machine).memory.node_memory.exact_bytes) // 4096
        took = folios["ready_ns"] - folios["start_ns"]
        # Pages of another node take longer to copy, always by as much.
        return took.groupby(folios["pfn"] // node_pfns).nunique().max()

    assert varies((cost,)) > 1
    assert varies(()) == 1


@pytest.mark.parametrize("engine", ["events", "auto"])
def test_faults_beyond_the_last_allocation_are_noted_with_its_number(engine, tmp_path):
    # 64 aligned pages lie in one PMD of vmemmap, which is split once; each has a head page.
    faults = {"pte_page": (1, 3), "head_page": (64, 70, 80), "restore_page": (2,)}
    fields = {"pages": 64, "phases": ("alloc",), "kernel": "v6.7", "engine": engine}
    without = simulate(small(**fields, faults={"pte_page": (1,), "head_page": (1,)}))
    assert without.provenance["notes"] == []
    result = simulate(small(**fields, faults={"pte_page": (3, 7)}))
    note = "faults that v6.7 never reached: pte_page 3,7 (1 allocation)"
    assert result.provenance["notes"] == [note]
    assert f"note       {note}\n" in run_report(result)
    result.save(tmp_path / "saved")
    assert load_result(tmp_path / "saved").provenance["notes"] == [note]
    (several,) = simulate(small(**fields, faults=faults)).provenance["notes"]
    assert several.endswith(
        ": head_page 70,80 (64 allocations); pte_page 3 (2 allocations);"
        " restore_page 2 (0 allocations)"
    )


def test_comparison_names_the_kernel_that_never_reached_a_fault():
    kernels = ("v6.6", "v6.7")
    scenarios = [small(kernel=k, pages=2, cpus=2, faults={"pte_page": (9,)}) for k in kernels]
    text = comparison_text(compare(scenarios, replications=1))
    for kernel in kernels:
        assert f"faults that {kernel} never reached: pte_page 9" in " ".join(text.split())


@pytest.mark.parametrize(
    ("machine", "noise", "noted"),
    [
        (LAPTOP, "overcommitted", True),
        (LAPTOP, {"preset": "quiet", "preempted_share": 0.001}, True),
        (LAPTOP, {"preset": "overcommitted", "preempted_share": 0.0}, False),
        (LAPTOP, "busy", False),
        ("epyc-7j13-vm252", "overcommitted", False),
    ],
)
def test_noise_of_preempted_vcpus_is_noted_on_bare_metal_that_has_none(machine, noise, noted):
    notes = simulate(small(machine=machine, noise=noise, pages=1, cpus=2)).provenance["notes"]
    assert [("is bare metal, no CPU is preempted" in note) for note in notes] == [True] * noted


@pytest.mark.parametrize(("kernel", "noted"), [("v6.6", 1), ("v6.7", 1), ("v6.12", 0)])
def test_parallel_boot_is_an_extrapolation_before_v6_9(kernel, noted):
    result = simulate(small(kernel=kernel, path="boot", allocators=2))
    assert len(result.provenance["notes"]) == noted


@pytest.mark.parametrize("fields", [{}, {"path": "surplus"}], ids=["pool", "surplus"])
def test_a_run_is_freed_with_its_result_without_waiting_for_the_collector(fields, monkeypatch):
    # Half a gigabyte, of the published size, which a run after it would need besides.
    seen = []
    kernel = load_kernel("v6.12")
    begin_phase = kernel.begin_phase

    def watched(k, *args):
        seen.append(weakref.ref(k.recorder))
        begin_phase(k, *args)

    monkeypatch.setattr(kernel, "begin_phase", watched)
    gc.disable()
    try:
        result = simulate(small(kernel="v6.12", **fields))
        assert seen[0]() is not None
        del result
        assert seen[0]() is None
    finally:
        gc.enable()
