# SPDX-License-Identifier: MIT
"""What carries flushes of kernel addresses, by machine and version."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.errors import InputError
from simulator.machine import load_machine, load_noise
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
    none = type(model.mechanisms)
    without = model.model_copy(update={"mechanisms": none()})
    hyperv = model.model_copy(update={"mechanisms": none(hyperv=model.mechanisms.kvm_pv)})
    ours, *others = (run(m, kernel="v7.3", noise="idle") for m in (model, without, hyperv))
    for theirs in others:
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


# --- other architectures --------------------------------------------------------------------

ALTRA, SG2042, SPR = "altra-q80", "sg2042-64c", "xeon-8480-2s"


def costs(machine, name, **values):
    """Return a machine whose mechanism has some costs in ns, without a spread."""
    keys = {f"mechanisms.{name}.{key}": f"{ns} ns" for key, ns in values.items()}
    model = load_machine(machine) if isinstance(machine, str) else machine
    return model.with_values(keys)


def test_arm64_sends_a_tlbi_for_each_page_up_to_512_and_one_for_more():
    # arch/arm64/include/asm/tlbflush.h: dsb ishst; n times tlbi; dsb ish.
    machine = costs(ALTRA, "tlbi", tlbi=100, dsb=400, dsb_ishst=7)
    flushes = run(machine, kernel="v6.12+arm64-bbm2", path="surplus", phases=("alloc",)).flushes
    flushes = flushes[flushes["mechanism"] == "tlbi"]
    took = (flushes["end_ns"] - flushes["start_ns"]).groupby(flushes["pages"]).unique()
    assert {pages: set(ns) for pages, ns in took.items()} == {
        8: {7 + 8 * 100 + 400},
        512: {7 + 512 * 100 + 400},
    }
    gigantic = run(machine, kernel="v6.1", page_size="1G", pages=1, phases=("alloc",)).flushes
    whole = gigantic[gigantic["pages"] == 4095]
    assert set(whole["end_ns"] - whole["start_ns"]) == {7 + 100 + 400}


def test_arm64_interrupts_nobody_for_a_flush_and_stalls_all_for_each_tlbi():
    machine = costs(ALTRA, "tlbi", stall=10)
    result = run(machine, kernel="v6.12+arm64-bbm2", path="surplus", pages=3, phases=("alloc",))
    flushes = result.flushes[result.flushes["mechanism"] == "tlbi"]
    assert (flushes["ipis"] == 0).all()
    others = result.cpus[result.cpus["role"] == "target"]
    assert set(others["stall_ns"]) == {10 * int(flushes["pages"].sum())}


@pytest.mark.parametrize(
    ("machine", "kernel", "what"),
    [
        (ALTRA, "v6.12", r"hvo: v6\.12 has none on arm64"),
        (SG2042, "v6.1", r"hvo: v6\.1 has none on riscv64"),
        ("laptop-8", "v6.12+arm64-pause@v2", r"kernel: v6\.12\+arm64-pause@v2 is for arm64"),
        (TURIN, "v6.15+rar@v4", r"kernel: v6\.15\+rar@v4 flushes by RAR, which epyc-9755-2s"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(machine, kernel, what):
    with pytest.raises(InputError, match=what) as error:
        Scenario(machine=machine, kernel=kernel, pages=1)
    assert "\n" not in str(error.value)


def test_without_hvo_every_kernel_runs_on_every_architecture():
    for machine in (ALTRA, SG2042):
        for kernel in ("v5.14", "v6.6", "v6.12", "v7.3"):
            assert run(machine, kernel=kernel, hvo=False, pages=2).summary["pages"].sum() == 4


# v1 sets bits in a mask, v2 counts; each CPU has the line in turn, twice for each pause.
def test_a_pause_of_arm64_takes_its_two_rounds_of_all_other_cpus():
    quiet = {"deliver.core": 0, "deliver.socket": 0, "send": 0, "cache_line.socket": 0}
    machine = costs(ALTRA, "tlbi", tlbi=0, dsb=0, dsb_ishst=0, stall=0)
    machine = costs(machine, "tlbi", nmi=500, count=60, mask_bit=150)
    machine = machine.with_values({f"costs.{key}": f"{ns} ns" for key, ns in quiet.items()})
    idle = load_noise("quiet").with_values({"idle_share": 0})
    for version, each_ns in (("v1", 150), ("v2", 60)):
        result = run(machine, kernel=f"v6.12+arm64-pause@{version}", noise=idle, phases=("alloc",))
        pauses = result.flushes[result.flushes["mechanism"] == "pause"]
        assert len(pauses) == 40 + result.summary["pmd_splits"].sum()
        assert (pauses["ipis"] == 23).all()
        inside = pauses["end_ns"] - pauses["start_ns"] - 500 - 2 * 23 * each_ns
        # What is left is the store itself, of 8 PTEs or of a PMD.
        assert set(inside) <= {(8 * 20), 50}
        others = result.cpus[result.cpus["role"] == "target"]
        stood = int((pauses["end_ns"] - pauses["start_ns"]).sum())
        assert (others["stall_ns"] == stood).all()


def test_a_pause_stops_the_other_tasks_for_as_long_as_it_takes():
    result = run(ALTRA, kernel="v6.12+arm64-pause@v2", path="surplus", allocators=2, pages=8)
    pauses = result.flushes[result.flushes["mechanism"] == "pause"].sort_values("start_ns")
    # One at a time, and no flush of another task in the middle of one.
    assert (pauses["start_ns"].to_numpy()[1:] >= pauses["end_ns"].to_numpy()[:-1]).all()
    inner = result.flushes[result.flushes["mechanism"] == "tlbi"]
    for row in pauses.itertuples():
        within = inner[(inner["start_ns"] >= row.start_ns) & (inner["end_ns"] <= row.end_ns)]
        assert within["cpu"].tolist() == [row.cpu]


def test_the_firmware_of_riscv_asks_hart_by_hart_and_waits_for_the_last():
    machine = costs(SG2042, "sbi", ecall=300, request=100, trap=700)
    machine = machine.with_values(
        {
            "costs.deliver.core": "50 ns",
            "costs.deliver.socket": "50 ns",
            "costs.flush_base": "10 ns",
            "costs.flush_full": "400 ns",
            "costs.invlpg": "30 ns",
        }
    )
    idle = load_noise("quiet").with_values({"idle_share": 0})
    flushes = run(machine, kernel="v6.6", noise=idle, phases=("alloc",)).flushes
    flushes = flushes[flushes["mechanism"] == "sbi"]
    took = (flushes["end_ns"] - flushes["start_ns"]).groupby(flushes["pages"]).unique()
    # The last of 23 harts: asked after 23 requests. More than 64 pages are a full flush.
    rest_ns = 10 + 300 + 23 * 100 + 50 + 700
    deliver = {round(ns) for ns in took[8] - rest_ns - 8 * 30}
    assert all(-23 <= ns <= 60 for ns in deliver)  # deliver has a spread
    assert set(flushes["kind"][flushes["pages"] == 512]) == {"all"}
    assert set(flushes["kind"][flushes["pages"] == 8]) == {"range"}


# What a request spends is linear in the targets for RAR too; what it loses is the tail.
def test_rar_waits_for_no_idle_and_no_interrupts_off_cpu():
    quiet, busy = (
        run(SPR, kernel="v6.15+rar@v4", noise=noise, cpus=112, phases=("alloc",)).flushes
        for noise in ("quiet", "busy")
    )
    took = [f[f["mechanism"] == "rar"].eval("end_ns - start_ns").tolist() for f in (quiet, busy)]
    assert took[0] == took[1]
    half = run(SPR, kernel="v6.15+rar@v4", cpus=56, phases=("alloc",)).flushes
    half = half[half["mechanism"] == "rar"].eval("end_ns - start_ns")
    assert 1.6 < np.mean(took[0]) / half.mean() < 3


def test_rar_flushes_all_of_the_kernel_whatever_the_range():
    flushes = run(SPR, kernel="v6.15+rar@v4", path="surplus").flushes
    assert set(flushes["kind"][flushes["mechanism"] == "rar"]) == {"all"}


@pytest.mark.parametrize("noise", ["quiet", "busy", "idle"])
@pytest.mark.parametrize(
    ("machine", "kernel"),
    [
        (ALTRA, "v6.12+arm64-bbm2"),
        (ALTRA, "v6.12+arm64-pause@v1"),
        (ALTRA, "v6.12+arm64-pause@v2"),
        (SG2042, "v6.6"),
        (SG2042, "v7.3"),
        (SPR, "v6.15+rar@v4"),
    ],
)
def test_both_engines_agree_on_other_mechanisms(machine, kernel, noise):
    fields = {"machine": machine, "kernel": kernel, "noise": noise, "pages": 24, "cpus": 12}
    assert differences({**fields, "path": "surplus", "allocators": 4}) == []
    assert differences({**fields, "path": "boot", "allocators": 5, "phases": ("alloc",)}) == []


# smp_wmb(): one to a split, one to a head page, one to a restored PTE.
@pytest.mark.parametrize(("machine", "kernel"), [(SG2042, "v6.12"), (ALTRA, "v6.12+arm64-bbm2")])
def test_barriers_cost_what_their_number_says(machine, kernel):
    model = load_machine(machine)
    wmb_ns = int(model.costs.smp_wmb.exact_ns)
    result = run(model, kernel=kernel)
    splits = int(result.summary["pmd_splits"].sum())
    barrier = result.time_by.query("category == 'barrier'").set_index("phase")["ns"]
    alloc, free = (splits + 40) * wmb_ns, 40 * 7 * wmb_ns
    if model.isa == "arm64":
        dsb_ns = int(model.mechanisms.tlbi.dsb_ishst.exact_ns)
        # After each set_pte() and set_pmd(), and before the TLBIs of each flush.
        alloc += (splits * (512 + 1) + 40 * 8 + 2) * dsb_ns
        free += (40 * 7 + 1) * dsb_ns
    assert barrier.tolist() == [alloc, free]
