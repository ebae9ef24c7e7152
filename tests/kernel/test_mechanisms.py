# SPDX-License-Identifier: MIT
"""What carries flushes of kernel addresses, by machine and version."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.errors import InputError
from simulator.machine import load_machine
from simulator.run import simulate
from simulator.scenario import Scenario
from tests.agreement.equality import differences

TURIN = "epyc-9755-2s"
SMALL = {"pages": 40, "cpus": 24}


def run(machine=TURIN, **fields):
    return simulate(Scenario(**{"machine": machine, **SMALL, **fields}))


def mechanisms(result):
    flushes = result.flushes
    return set(flushes["mechanism"][flushes["kind"] != "none"])


# Linux v6.15 merged 82378c6c2f43; tlbi=ipi came with v7.2.
@pytest.mark.parametrize(
    ("kernel", "tunables", "expected"),
    [
        ("v6.12", {}, "ipi"),
        ("v6.12.117", {}, "ipi"),
        ("v6.15", {}, "invlpgb"),
        ("v6.18", {}, "invlpgb"),
        ("v7.3", {}, "invlpgb"),
        ("v7.3", {"tlbi_ipi": 1}, "ipi"),
    ],
)
def test_a_version_flushes_as_its_tlb_c_does(kernel, tunables, expected):
    result = run(kernel=kernel, tunables=tunables)
    assert mechanisms(result) == {expected}
    targets = 23 if expected == "ipi" else 0
    assert result.summary["ipis"].tolist() == [2 * targets, targets]
    assert result.summary["violations"].sum() == 0


def test_a_machine_without_invlpgb_is_interrupted_by_every_version():
    assert mechanisms(run("epyc-7r13-2s", kernel="v7.3")) == {"ipi"}


def test_tlbi_is_a_boot_option_of_v7_3_alone():
    with pytest.raises(InputError, match=r"tunables: v6\.15 has no 'tlbi_ipi'"):
        Scenario(machine=TURIN, kernel="v6.15", pages=1, tunables={"tlbi_ipi": 1})


# invlpgb_kernel_range_flush(): chunks of invlpgb_count_max pages, then one TLBSYNC.
@pytest.mark.parametrize(("count_max", "chunks"), [(1, 8), (3, 3), (8, 1)])
def test_a_range_costs_its_chunks_and_one_tlbsync(count_max, chunks):
    machine = load_machine(TURIN).with_values(
        {
            "mechanisms.invlpgb.count_max": count_max,
            "mechanisms.invlpgb.invlpgb": "70 ns",
            "mechanisms.invlpgb.tlbsync": "1000 ns",
            "costs.flush_base": "10 ns",
        }
    )
    # Single folios flush their own 8 pages.
    flushes = run(machine, kernel="v7.3", path="surplus", pages=2, phases=("alloc",)).flushes
    ranges = flushes[flushes["kind"] == "range"]
    assert set(ranges["end_ns"] - ranges["start_ns"]) == {10 + 70 * chunks + 1000}
    whole = flushes[flushes["kind"] == "all"]
    assert set(whole["end_ns"] - whole["start_ns"]) == {10 + 70 + 1000}


def test_the_ceiling_comes_first():
    flushes = run(kernel="v7.3", path="surplus", tunables={"tlb_single_page_flush_ceiling": 6})
    assert set(flushes.flushes["kind"]) == {"all"}


# No interrupt is sent: nothing that keeps interrupts out can be met.
@pytest.mark.parametrize("noise", ["idle", "busy"])
def test_flushes_by_invlpgb_take_the_same_time_under_every_noise(noise):
    quiet, noisy = (run(kernel="v7.3", noise=name).summary for name in ("quiet", noise))
    assert noisy["flush_ns"].tolist() == quiet["flush_ns"].tolist()


def test_every_other_cpu_is_stalled_once_a_flush_and_no_handler_runs():
    result = run(kernel="v7.3")
    stall_ns = int(load_machine(TURIN).mechanisms.invlpgb.stall.exact_ns)
    for phase, nr in (("alloc", 2), ("free", 1)):
        cpus = result.cpus[result.cpus["phase"] == phase]
        others = cpus[cpus["role"] == "target"]
        assert set(others["stall_ns"]) == {nr * stall_ns}
        # A flush costs a CPU all of it, or nothing if it idles then.
        each_ns = stall_ns + others["refill_ns"] // nr
        assert set(others["lost_ns"] / each_ns) <= set(range(nr + 1))
        assert (others["lost_ns"] == nr * each_ns).any()
        assert (cpus["handler_ns"] == 0).all()
        assert (cpus[cpus["role"] == "initiator"]["stall_ns"] == 0).all()


def test_idle_cpus_lose_nothing():
    cpus = run(kernel="v7.3", noise="idle").cpus
    assert (cpus["idle_woken"] == 0).all()
    assert (cpus["lost_ns"] < cpus["stall_ns"] + cpus["refill_ns"]).any()


def test_flushes_at_once_wait_for_each_other_in_line():
    result = run(kernel="v7.3", path="boot", allocators=8, pages=64, phases=("alloc",))
    flushes = result.flushes.sort_values("end_ns")
    service_ns = 950  # 50 + 900
    ends = flushes["end_ns"].to_numpy()
    assert (np.diff(ends) >= service_ns).all()
    assert flushes["nr_ahead"].max() > 0
    # Who waits is begun in the moment in which the one before ends.
    behind = flushes[flushes["nr_ahead"] > 0]
    assert set(behind["send_end_ns"]) <= set(ends)


# pv_ops.mmu.flush_tlb_multi serves processes only: HVO's flushes do not go through it.
@pytest.mark.parametrize("machine", ["epyc-7j13-vm252", "xeon-skx-vm80"])
def test_a_hypervisors_flush_changes_nothing_for_kernel_addresses(machine):
    model = load_machine(machine)
    assert model.flushes == {"KVM PV": "user mms", "IPI": "both"}
    without = model.model_copy(update={"mechanisms": type(model.mechanisms)()})
    ours, theirs = (run(m, kernel="v7.3", noise="idle") for m in (model, without))
    assert ours.summary.equals(theirs.summary)
    assert ours.cpus.equals(theirs.cpus)


@pytest.mark.parametrize(
    "fields",
    [
        {"kernel": "v6.15", "noise": "busy"},
        {"kernel": "v6.15", "path": "surplus", "allocators": 5, "noise": "idle"},
        {"kernel": "v7.3", "path": "boot", "allocators": 7},
        {
            "kernel": "v7.3",
            "path": "surplus",
            "allocators": 3,
            "phases": ("alloc", "free", "alloc"),
        },
    ],
)
def test_both_engines_give_the_same_results(fields):
    assert differences({"machine": TURIN, **SMALL, **fields}) == []


def test_wrong_mechanisms_are_refused_by_their_field():
    data = load_machine("epyc-9755-2s").model_dump()
    with pytest.raises(InputError, match=r"mechanisms.invlpgb is only for bare metal"):
        type(load_machine("laptop-8")).of(data | {"virtual": True}, "mine")
    with pytest.raises(InputError, match=r"mechanisms.tlbi is missing"):
        type(load_machine("laptop-8")).of(data | {"isa": "arm64", "mechanisms": {}}, "mine")
