# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from simulator.errors import InputError
from simulator.machine import load_machine
from simulator.published import published_figures
from simulator.published.benchmarks import read_figures
from simulator.validation import check_benchmarks
from simulator.validation.parallel_boot import boot_ns


@pytest.fixture(scope="module")
def checks():
    return check_benchmarks(ntimes=300, seed=1)


def test_every_figure_of_a_kernel_that_is_modelled_is_simulated_once(checks):
    wanted = [
        f
        for benchmark in (
            "ipi_benchmark",
            "madvise",
            "victim",
            "flush",
            "tlb_flush2",
            "isolated_cpus",
            "hvo_pause",
            "parallel_boot",
        )
        for f in published_figures(benchmark)
        if "before" not in f.case
    ]
    assert sorted(map(str, (c.figure for c in checks))) == sorted(map(str, wanted))
    assert len(wanted) == 16 + 3 + 4 + 3 + 36 + 8 + 2 + 6 + 4 + 19


def test_what_was_fitted_is_met_as_the_profiles_say(checks):
    # The broadcasts of the guest, and what one flush adds and takes in the small VM: a cost
    # each. The flushes by size: a line, 14 % off at most.
    for c in checks:
        # Of tlb_flush2 and hvo_pause, see below.
        elsewhere = ("tlb_flush2", "hvo_pause")
        if c.figure.role == "fitted" and c.figure.benchmark not in elsewhere:
            near = 0.145 if c.figure.benchmark == "flush" else 0.01
            assert abs(c.error) < near, c.figure


def test_a_profile_that_was_fitted_to_a_figure_records_it(checks):
    fitted = {c.machine.name for c in checks if c.figure.role == "fitted"}
    for name in fitted:
        assert load_machine(name).calibration
    # Of the Haswell no cost is fitted.
    assert "core-i5-4590" not in fitted
    named = " ".join(f for fit in load_machine("xeon-skx-vm80").calibration for f in fit.figures)
    broadcasts = [c.figure for c in checks if c.figure.benchmark == "ipi_benchmark"]
    for figure in broadcasts:
        if figure.figure == "Broadcast IPI":
            assert (f"{figure.ns / 1000:.1f} us" in named) == (figure.role == "fitted")


def test_a_call_alone_is_given_and_no_check(checks):
    # What its flush adds for other CPUs is the least that a check can be about: 0 for none.
    with_others = ("madvise", "tlb_flush2")
    alone = [c for c in checks if c.figure.benchmark in with_others and c.figure.figure == "1"]
    alone += [c for c in checks if c.figure.mechanism == "none"]
    boots = [c for c in checks if c.figure.benchmark == "parallel_boot"]
    alone += [c for c in boots if c.figure.figure == min((b.figure.figure for b in boots
              if (b.machine, b.figure.case) == (c.machine, c.figure.case)), key=int)]  # fmt: skip
    assert {c.figure.role for c in alone} == {"given"}
    assert {(c.simulated, c.error) for c in alone} == {(None, None)}
    others = [c for c in checks if c not in alone]
    assert {c.figure.role for c in others} == {"fitted", "predicted"}
    assert all(c.error is not None for c in others)


def test_one_seed_one_answer_and_steps_for_the_impatient(checks):
    steps = []
    again = check_benchmarks(ntimes=300, seed=1, step=lambda: steps.append(1))
    assert [c.simulated for c in again] == [c.simulated for c in checks]
    # Three modes of the guest on two and on all CPUs; 3 and 2 CPU counts; one line of sizes; two
    # mechanisms with one thread, which think not at all, and 7 and 1 with more; isolated CPUs with
    # and without deferral; two requests with HVO and without.
    # Boots.
    assert len(steps) == 3 * 2 + 3 + 2 + 1 + 2 + 7 + 1 + 2 + 2 + 19


def test_entries_on_isolated_cpus_are_met_to_the_unit(checks):
    """531 broadcasts on each of 26 CPUs, 13806 entries; none with the posted deferral."""
    mine = [c for c in checks if c.figure.benchmark == "isolated_cpus"]
    found = dict.fromkeys(("ipi", "deferred"), 0)
    for c in mine:
        found[c.figure.mechanism] += c.simulated
    assert found == {"ipi": 26 * 531, "deferred": 0}
    assert {c.error for c in mine} == {0}


def test_tlb_flush2_of_4_threads_is_met_by_its_one_parameter():
    figures = [f for f in published_figures("tlb_flush2") if f.figure in ("1", "4")]
    ipis = [f for f in figures if f.mechanism == "ipi"]
    _, four = check_benchmarks(2000, 1, figures=ipis)
    # The mean of five seeds, of 40 ms each, was met to 0.1 %; one of 8 ms differs by 1 % from that.
    assert abs(four.error) < 0.02


def test_tlb_flush2_is_predicted_within_15_percent_up_to_32_threads(checks):
    mine = {
        int(c.figure.figure): c
        for c in checks
        if c.figure.benchmark == "tlb_flush2" and c.figure.mechanism == "ipi"
    }
    assert [n for n, c in mine.items() if c.figure.role == "fitted"] == [4]
    for threads in (2, 8, 16, 32):
        assert mine[threads].figure.role == "predicted"
        assert abs(mine[threads].error) < 0.15


def _csv(tmp_path, *rows):
    path = tmp_path / "mine.csv"
    header = "machine,mechanism,what,case,number,value,unit"
    path.write_text("\n".join((header, *rows)) + "\n", encoding="ascii")
    return read_figures(path)


def test_of_the_pause_the_demotion_is_met_and_the_allocation_2_percent_too_slow():
    """The ratios to the time before that the posting gives: 3.640/1.575 and 3.649/3.526."""
    mine = {
        c.figure.case: c
        for c in check_benchmarks(2000, 1, figures=published_figures("hvo_pause"))
        if c.figure.role == "fitted"
    }
    ratios = {
        case: c.simulated / before.ns
        for case, c in mine.items()
        for before in published_figures("hvo_pause")
        if before.case == case and before.mechanism == "none"
    }
    assert ratios["demote 1G"] == pytest.approx(3.640 / 1.575, rel=0.01)
    # A gap, written down: the work of a page is at the lower end of its range, and still too slow.
    assert 1.015 < ratios["alloc 1G"] / (3.649 / 3.526) < 1.025


def test_more_tasks_at_boot_are_faster_than_published_and_how_far_is_written_down():
    """With twice the published number of tasks of v6.9 within a fifth; then farther off."""
    checks = check_benchmarks(2000, 1, figures=published_figures("parallel_boot"))
    found = {(c.figure.case, int(c.figure.figure)): c.error for c in checks if c.error is not None}
    assert {c.figure.role for c in checks} == {"given", "predicted"}
    as_in_v6_9 = [
        found["131072 pages of 2 MB", 4],
        found["25600 pages of 2 MB", 4],
        found["1048576 pages of 2 MB", 8],
    ]
    assert all(-0.2 < error < 0 for error in as_in_v6_9)
    # Gaps: memory bandwidth and zone locks are not modelled, and so the more tasks, the farther.
    assert all(-0.53 < error < 0 for error in found.values())
    for case, tasks in (("131072", (4, 6, 8, 10)), ("1048576", (8, 12, 16, 20))):
        errors = [found[f"{case} pages of 2 MB", n] for n in tasks]
        assert errors == sorted(errors, reverse=True)


def test_a_boot_of_more_pages_is_what_each_further_page_takes():
    machine = load_machine("server-2024-2n")
    whole, fewer = (boot_ns(machine, 32768, 4, ntimes, 1) for ntimes in (10_000, 2000))
    assert fewer == pytest.approx(whole, rel=0.01)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (["131072 pages,4,215,ms,predicted"], "no row of '131072 pages' has the role given"),
        (["two pages,2,358,ms,given"], "line 2: case: 'two pages' has no number of pages"),
        (["8192 pages,200,1,ms,given"], "line 2: number: 200 is more than the 128 CPUs of"),
        (["9000000 pages,2,1,ms,given"], "line 2: "),
        (["8192 pages,2,1,s,given"], "line 2: unit: "),
    ],
)
def test_boots_that_cannot_be_held_name_their_line(tmp_path, rows, problem):
    path = tmp_path / "mine.csv"
    lines = [f"server-2024-2n,padata,parallel_boot,{row}" for row in rows]
    path.write_text("\n".join(("machine,mechanism,what,case,number,value,unit,role", *lines)))
    with pytest.raises(InputError) as caught:
        check_benchmarks(200, 1, figures=read_figures(path))
    assert problem in str(caught.value)


def test_v1_adds_one_more_transfer_of_a_line_per_cpu_and_pause_by_hand(tmp_path):
    rows = [
        f"arm64-hvo-2024,pause@{v},hvo_pause,demote 1G,600,3,s" for v in ("v1", "v2")
    ]  # the time before is that of the published file
    v1, v2 = check_benchmarks(500, 1, figures=_csv(tmp_path, *rows))
    tlbi = load_machine("arm64-hvo-2024").mechanisms.tlbi
    more_ns = tlbi.mask_bit.value - tlbi.count.value
    # 512 + 8 pauses for each page of 1 GB; 79 other CPUs say that they stop, and that they go on.
    by_hand_ns = 600 * (512 + 8) * 2 * 79 * more_ns
    assert v1.simulated - v2.simulated == pytest.approx(by_hand_ns, rel=0.05)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("arm64-hvo-2024,pause@v1,hvo_pause,free 1G,600,1,s", "no row of 'free 1G' with 600 pages"),
        ("arm64-hvo-2024,pause@v1,hvo_pause,promote 1G,600,1,s", "did you mean 'demote 1G'"),
        ("epyc-milan-36c,pause@v1,hvo_pause,alloc 1G,600,1,s", "no row of 'alloc 1G'"),
    ],
)
def test_cells_of_the_pause_that_cannot_be_held_name_their_line(tmp_path, row, problem):
    with pytest.raises(InputError, match="line 2: ") as caught:
        check_benchmarks(200, 1, figures=_csv(tmp_path, row))
    assert problem in str(caught.value)


def test_a_machine_without_tlbi_cannot_run_the_pause(tmp_path):
    rows = [f"epyc-milan-36c,{m},hvo_pause,alloc 1G,6,1,s" for m in ("none", "pause@v2")]
    with pytest.raises(InputError, match=r"line 3: .*(arm64|x86)"):
        check_benchmarks(200, 1, figures=_csv(tmp_path, *rows))


def test_a_time_without_hvo_is_always_given(tmp_path):
    (figure,) = _csv(tmp_path, "arm64-hvo-2024,none,hvo_pause,free 1G,600,1,s")
    assert (figure.role, figure.ns) == ("given", 1e9)
