# SPDX-License-Identifier: MIT
"""The table of per-folio against batched split-and-remap."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from simulator.kernel import load_kernel
from simulator.published import Timing
from simulator.report.text import MAIL_WIDTH
from simulator.studies.batch_pmd_split.text import batching_report

KERNELS = ("v6.6", "v6.6+5", "v6.6+6", "v6.6+7", "v6.6+8")
COMMAND = "python scenarios/batch_pmd_split.py"

# The longest simulated time, and 2 ** 24 pages with 4 flushes each on 4096 CPUs.
SIX_DAYS_NS = 518_400 * 10**9
MOST_IPIS = 2**38


@pytest.fixture
def results(result, vm, xeon):
    return [
        result(machine=machine, hvo=hvo, kernel=kernel, pages=64)
        for kernel in KERNELS
        for machine in (xeon, vm)
        for hvo in (True, False)
    ]


def section(text, start, end="\n\n"):
    return text.split(start)[1].split(end)[0].splitlines()


def test_report_fits_a_mail_and_is_plain_ascii(results):
    text = batching_report(results, command=COMMAND)
    assert max(map(len, text.splitlines())) <= MAIL_WIDTH
    assert text.isascii()


def test_rows_are_kernels_under_phase_and_hvo_off_before_on(results):
    text = batching_report(results, command=COMMAND)
    vm = text.split("(epyc-7j13-vm252)")[1]
    table = section(vm, "  share\n")
    groups = [row for row in table if not row.startswith(" ")]
    assert groups == ["alloc, HVO off", "alloc, HVO on", "free, HVO off", "free, HVO on"]
    assert [row.split()[0] for row in table if row.startswith(" ")] == list(KERNELS) * 4


def test_speed_up_is_the_reference_time_over_this_one(results):
    text = batching_report(results, command=COMMAND)
    by = {(r.scenario.machine.name, r.scenario.hvo, r.scenario.kernel): r for r in results}
    vm = text.split("(epyc-7j13-vm252)")[1]
    row = next(row for row in section(vm, "alloc, HVO on", "free,") if "v6.6+8" in row).split()
    before, after = (
        by["epyc-7j13-vm252", True, kernel].summary["elapsed_ns"][0]
        for kernel in ("v6.6", "v6.6+8")
    )
    assert row[3] == f"{before / after:.1f}x"
    assert row[4:6] == ["2", "502"]


def test_without_the_reference_kernel_there_is_no_speed_up(result):
    text = batching_report([result(kernel="v6.7")], command=COMMAND)
    row = section(text, "alloc, HVO on\n")[0].split()
    assert row[3] == "-"


def test_price_of_batching_shows_what_is_held_with_hvo_on_alone(results):
    text = batching_report(results, command=COMMAND)
    rows = section(text, "What the others pay, HVO on\n")
    assert [row for row in rows if not row.startswith(" ") and "[4]" not in row] == [
        "alloc",
        "free",
    ]
    assert any(row.split()[5:8] == ["448", "1.8", "MB"] for row in rows if "v6.6+8" in row)
    assert "others pay" not in batching_report(
        [r for r in results if not r.scenario.hvo], command=COMMAND
    )


def test_report_stands_alone(results):
    text = batching_report(results, command=COMMAND)
    assert f"command    {COMMAND}" in text
    assert text.count("seed 1\n") == 2
    assert "version    tlbsim 1.0.0" in text
    for machine in ("8-socket Intel Xeon E7-8895", "VM with 252 vCPUs"):
        block = text.split(machine)[1]
        assert "simulated" in block
        assert "-----" in block.splitlines()[1] + block.splitlines()[2]
    assert all(f"[{n}]" in text.split("lock held")[-1] for n in (1, 2, 3, 4))


def test_extreme_values_fit_and_no_number_is_cut(result):
    r = result(kernel="v6.6+6@v2", pages=64)
    for name in r.summary.select_dtypes("number"):
        largest = SIX_DAYS_NS if name.endswith("_ns") else MOST_IPIS
        r.summary[name] = largest if r.summary[name].dtype == np.int64 else 1.0
    text = batching_report([r], command=COMMAND + " --out " + "x" * 40)
    assert max(map(len, text.splitlines())) <= MAIL_WIDTH
    row = section(text, "alloc, HVO on\n")[0]
    assert row.split() == ["v6.6+6@v2", "518400", "s", "-", "274.88G", "274.88G", "100.0%"]
    row = section(text, "pay, HVO on\n", "[1] ")[3]
    want = "v6.6+6@v2 518400 s 518400 s 274.88G 1024.0 TB 518400 s 518400 s"
    assert row.split() == want.split()


@pytest.fixture
def published():
    """Times of the guest alone: 64 pages, half a second, and for the patched kernel 0.1 s."""
    return [
        Timing(
            machine="epyc-7j13-vm252",
            kernel=kernel,
            release=f"release of {kernel}",
            hvo=hvo,
            phase="alloc",
            pages=64,
            page_size="2M",
            elapsed_ns=ns,
            source="20991231@example.org",
        )
        for hvo in (False, True)
        for kernel, ns in (("v6.6", 500_000_000), ("v6.6+8", 100_000_000))
    ]


def test_published_times_stand_beside_the_simulated_ones_of_the_same(results, published):
    fitted = SimpleNamespace(times=[t for t in published if t.kernel == "v6.6"])
    for r in results:
        r.summary["elapsed_ns"] = 125_000_000
        machine = replace(r.scenario.machine, calibration=(fitted,))
        r.scenario = replace(r.scenario, machine=machine)
    text = batching_report(results, command=COMMAND, published=published)
    assert max(map(len, text.splitlines())) <= MAIL_WIDTH
    assert text.isascii()
    xeon, vm = text.split("(xeon-e7-8895-8s)")[1].split("(epyc-7j13-vm252)")
    seen = {
        (hvo, row.split()[0]): row.split()[3:6]
        for hvo in ("off", "on")
        for row in section(vm, f"alloc, HVO {hvo}\n", "\nfree" if hvo == "on" else "\nalloc")
    }
    for hvo in ("off", "on"):
        # Fitted in brackets, predicted without.
        assert seen[hvo, "v6.6"] == ["500.0", "ms", "(-75.0%)"]
        assert seen[hvo, "v6.6+8"] == ["100.0", "ms", "+25.0%"]
        assert seen[hvo, "v6.6+6"] == ["1.000x", *seen[hvo, "v6.6+6"][1:]]
    assert "published" not in section(vm, "free, HVO on\n")[0]
    assert "published" not in xeon
    note = " ".join(text.split("\n[1] ")[1].split("\n[2] ")[0].split())
    assert "20991231@example.org" in note
    assert "In brackets: the profile was fitted to it, as to all of v6.6 (release of v6.6);" in note
    assert "Without: a prediction, as for all of v6.6+8 (release of v6.6+8)." in note


@pytest.mark.parametrize("other", [{"pages": 63}, {"cpus": 251}, {"path": "boot"}])
def test_published_times_of_something_else_are_not_shown(result, published, other):
    results = [result(**{"pages": 64} | other, kernel=k) for k in ("v6.6", "v6.6+8")]
    text = batching_report(results, command=COMMAND, published=published)
    assert "published  not shown: it is of 64 pages" in text
    assert "error" not in text
    assert text.replace("published  not shown: it is of 64 pages on all CPUs\n", "") == (
        batching_report(results, command=COMMAND)
    )


def test_notes_of_any_run_are_shown_once_per_machine(result):
    runs = [result(kernel=k) for k in ("v6.6", "v6.7")]
    for r in runs:
        r.provenance["notes"] = ["what if: no such kernel"]
    assert batching_report(runs, command=COMMAND).count("what if: no such kernel") == 1


def test_nothing_to_report_is_refused():
    with pytest.raises(ValueError, match="no results"):
        batching_report([], command=COMMAND)


def test_kernels_are_cited_by_commit_and_subject(results):
    assert "kernels" not in batching_report(results, command=COMMAND)
    for r in results:
        object.__setattr__(r.scenario, "kernel_class", load_kernel(r.scenario.kernel))
    head = batching_report(results, command=COMMAND).split("\n\n\n")[0]
    for kernel in KERNELS:
        cited = f'{load_kernel(kernel).commit} ("{load_kernel(kernel).subject}")'
        assert f"{kernel} {cited}" in " ".join(head.split())


def test_the_footnote_says_what_is_no_flush_and_what_flushes_without_hvo(results):
    def footnote():
        return " ".join(batching_report(results, command=COMMAND).split("\n[2] ")[1].split())

    assert "With HVO off" not in footnote()
    batched = [r for r in results if not r.scenario.hvo and r.scenario.kernel == "v6.6+8"]
    for r in batched:
        r.summary["flushes"] = 2
    assert "With HVO off, v6.6+8 flush too" in footnote()
    patched = results[0].time_by["category"] == "static_key"
    results[0].time_by["category"] = results[0].time_by["category"].astype(str)
    results[0].time_by.loc[patched.idxmax(), ["category", "ns"]] = "static_key", 3_720_000
    assert "Static-key patching is not counted: up to 3.72 ms per phase" in footnote()
