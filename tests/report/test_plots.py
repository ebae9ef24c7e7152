# SPDX-License-Identifier: MIT
"""What is drawn is what the frames say; every figure says that it is simulated."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from simulator.analysis import Histogram
from simulator.published import Timing
from simulator.report.plots import (
    plot_elapsed,
    plot_flush_timeline,
    plot_latency,
    plot_scaling,
    plot_throughput,
    plot_time_by,
    save,
)
from simulator.report.plots.time_by import CATEGORY_COLORS

KERNELS = ("v6.6", "v6.6+6", "v6.7")
UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}

# As reference for the colours: the categories that the time_by frame may hold.
CATEGORIES = [
    "huge_page_alloc",
    "huge_page_free",
    "pte_page_alloc",
    "pte_page_fill",
    "split",
    "remap",
    "restore",
    "page_copy",
    "page_alloc",
    "page_free",
    "barrier",
    "hugetlb_lock",
    "page_table_lock",
    "mmap_lock",
    "flush_enqueue",
    "flush_send",
    "flush_local",
    "flush_wait",
    "interrupted",
    "static_key",
    "rcu",
    "bookkeeping",
    "sleep",
]


def unit_of(label: str) -> int:
    """Nanoseconds of the unit that an axis names in brackets."""
    return UNITS[label.rsplit("(", 1)[1].rstrip(")")]


@pytest.fixture
def runs(result):
    return [result(kernel=kernel, pages=96) for kernel in KERNELS]


def all_text(figure: Figure) -> str:
    return f"{figure.get_suptitle()} {figure.get_supxlabel()}"


def heights_of(ax):
    """The points or, on a linear axis, the bars of each kernel, by its name."""
    if ax.get_yscale() == "log":
        assert not ax.containers
        return {line.get_label(): line.get_ydata() for line in ax.lines if len(line.get_xdata())}
    return {bars.get_label(): [bar.get_height() for bar in bars] for bars in ax.containers}


def test_elapsed_times_are_as_high_as_the_summary_says(result, runs):
    runs += [result(kernel=kernel, pages=96, hvo=False) for kernel in KERNELS]
    figure = plot_elapsed(runs)
    off, on = figure.axes
    assert (off.get_title(), on.get_title()) == ("HVO off", "HVO on")
    scale = unit_of(off.get_ylabel())
    for ax, hvo in ((off, False), (on, True)):
        assert tuple(heights_of(ax)) == KERNELS
        for kernel, found in heights_of(ax).items():
            run = next(r for r in runs if r.scenario.kernel == kernel and r.scenario.hvo is hvo)
            heights = [height * scale for height in found]
            assert heights == pytest.approx(run.summary["elapsed_ns"].tolist())
    assert off.get_ylim() == on.get_ylim()


def test_elapsed_time_leaves_a_gap_where_a_run_is_missing(result):
    runs = [result(kernel="v6.6"), result(kernel="v6.7"), result(kernel="v6.6", hvo=False)]
    off, on = plot_elapsed(runs).axes
    assert all(map(np.isnan, heights_of(off)["v6.7"]))
    assert not any(np.isnan(height) for of in heights_of(on).values() for height in of)


def test_measured_times_are_lines_across_the_bars_of_the_same(result):
    runs = [result(kernel=k, pages=96, hvo=hvo) for k in KERNELS for hvo in (False, True)]
    measured = Timing(
        machine="epyc-7j13-vm252",
        kernel="v6.6",
        release="next",
        hvo=True,
        phase="free",
        pages=96,
        page_size="2M",
        elapsed_ns=7_000_000,
        source="20991231@example.org",
    )
    figure = plot_elapsed(runs, [measured])
    off, on = figure.axes
    assert not off.collections
    (lines,) = on.collections
    ((left, y), (right, _)) = lines.get_segments()[0]
    drawn = next(line for line in on.lines if line.get_label() == "v6.6").get_xdata()[1]
    assert left < drawn < right
    assert y * unit_of(off.get_ylabel()) == pytest.approx(7_000_000)
    assert "7.00 ms" in [text.get_text() for text in on.texts]
    assert "20991231@example.org" in " ".join(figure.get_supxlabel().split())
    assert not any(ax.collections for ax in plot_elapsed(runs).axes)


def test_stacked_time_sums_to_elapsed_and_shares_to_one_hundred(runs):
    times, shares = plot_time_by(runs).axes
    scale = unit_of(times.get_xlabel())
    elapsed = [ns for phase in (0, 1) for ns in (r.summary["elapsed_ns"].iloc[phase] for r in runs)]
    sums = np.sum([[bar.get_width() for bar in bars] for bars in times.containers], axis=0)
    assert sums * scale == pytest.approx(elapsed)
    full = np.sum([[bar.get_width() for bar in bars] for bars in shares.containers], axis=0)
    assert full == pytest.approx(100)
    # Each part begins where the one before it ended.
    ends = [[bar.get_x() + bar.get_width() for bar in bars] for bars in times.containers]
    starts = [[bar.get_x() for bar in bars] for bars in times.containers]
    assert np.ravel(starts[1:]) == pytest.approx(np.ravel(ends[:-1]))


def test_stacked_time_of_several_tasks_is_their_mean(result):
    r = result(phases=("alloc",), pages=64)
    r.time_by = pd.concat([r.time_by.assign(task=task) for task in range(3)], ignore_index=True)
    times, _ = plot_time_by([r]).axes
    total = sum(bar.get_width() for bars in times.containers for bar in bars)
    assert total * unit_of(times.get_xlabel()) == pytest.approx(r.summary["elapsed_ns"][0])


def test_every_category_has_a_colour_of_its_own():
    assert set(CATEGORY_COLORS) == set(CATEGORIES)
    assert len(set(CATEGORY_COLORS.values())) == len(CATEGORIES)


def test_small_categories_are_the_rest_and_a_kernels_own_come_before_it(result):
    r = result(phases=("alloc",), pages=64)
    r.time_by["category"] = r.time_by["category"].replace(
        {"flush_wait": "zz_mine", "flush_send": "aa_mine"}
    )
    times, _ = plot_time_by([r]).axes
    labels = [bars.get_label() for bars in times.containers]
    assert labels[-3:] == ["aa_mine", "zz_mine", "other"]
    assert "pte_page_fill" not in labels
    own = r.time_by.set_index("category")["ns"]["zz_mine"]
    bar = times.containers[-2][0]
    assert bar.get_width() * unit_of(times.get_xlabel()) == pytest.approx(own)
    assert bar.get_hatch()


@pytest.mark.parametrize("what", ["folio", "flush", "ack", "handler"])
def test_latency_lines_are_the_cumulative_fractions(runs, what):
    figure = plot_latency(runs, what)
    article = "an acknowledgement" if what == "ack" else f"a {what}"
    assert figure.get_suptitle() == f"Latency of {article} (simulated)"
    for ax, phase in zip(figure.axes, ("alloc", "free"), strict=True):
        scale = unit_of(ax.get_xlabel())
        for run, line in zip(runs, ax.lines, strict=False):
            edges, fraction = Histogram.of_frame(run.latency, phase, what).cumulative()
            assert line.get_label() == run.scenario.kernel
            assert line.get_xdata()[1:] * scale == pytest.approx(edges)
            assert line.get_ydata()[1:] == pytest.approx(fraction)
            assert (line.get_ydata()[0], line.get_ydata()[-1]) == (0, 1)
    # LISA labels such an axis "(%)".
    assert figure.axes[0].get_ylabel().startswith("fraction of")
    assert "%" not in figure.axes[0].get_ylabel()


def test_latency_of_flushes_without_any_flush_draws_empty_panels(result):
    figure = plot_latency([result(hvo=False)], "flush")
    assert [len(ax.lines) for ax in figure.axes] == [1, 1]


def test_throughput_rates_add_up_to_the_folios(runs):
    figure = plot_throughput(runs)
    for ax, phase in zip(figure.axes[2:], ("alloc", "free"), strict=True):
        scale = unit_of(ax.get_xlabel())
        for run, line in zip(runs, ax.lines, strict=True):
            rows = run.throughput[run.throughput["phase"] == phase]
            seconds = np.diff(line.get_xdata()[1:]) * scale / 1e9
            rates = line.get_ydata()[1:-1]
            shown = np.where(rows["folios"] > 0, rates, 0)
            assert line.get_xdata()[0] == 0
            assert np.sum(shown * seconds) == pytest.approx(rows["folios"].sum())


def test_throughput_totals_rise_from_nothing_to_all_pages(runs):
    for ax in plot_throughput(runs).axes[:2]:
        for line in ax.lines:
            assert (line.get_xdata()[0], line.get_ydata()[0]) == (0, 0)
            assert line.get_ydata()[-1] == 96
            assert (np.diff(line.get_ydata()) >= 0).all()


def test_scaling_points_are_the_elapsed_times(result):
    counts = (1, 2, 8, 64, 252)
    runs = [result(kernel=k, cpus=n, pages=64) for k in KERNELS for n in reversed(counts)]
    figure = plot_scaling(runs)
    for index, ax in enumerate(figure.axes):
        scale = unit_of(figure.axes[0].get_ylabel())
        for kernel, line in zip(KERNELS, ax.lines, strict=True):
            want = {
                r.scenario.cpus: r.summary["elapsed_ns"][index]
                for r in runs
                if r.scenario.kernel == kernel
            }
            assert line.get_xdata().tolist() == list(counts)
            assert line.get_ydata() * scale == pytest.approx([want[n] for n in counts])
        assert ax.get_xticklabels()[0].get_text() == "252"


def test_scaling_counts_the_cpus_of_a_whole_machine(result, laptop):
    figure = plot_scaling([result(machine=laptop, cpus=n, pages=64) for n in (2, None)])
    assert figure.axes[0].lines[0].get_xdata().tolist() == [2, 8]


def bars_of_targets(ax):
    """Left and right ends of all bars, in the units of the axis."""
    return [
        (path.vertices[:, 0].min(), path.vertices[:, 0].max())
        for bars in ax.collections
        if isinstance(bars, PolyCollection)
        for path in bars.get_paths()
    ]


@pytest.mark.parametrize("cpus", [2, 8, 252])
def test_timeline_bars_are_the_ipis(result, ipis, cpus):
    r = result(cpus=cpus, pages=64)
    frame = ipis(r, 5)
    figure = plot_flush_timeline(r, 5, frame)
    (ax,) = figure.axes
    scale = unit_of(ax.get_xlabel())
    start = r.flushes.set_index("flush")["start_ns"][5]
    drawn = {(round(left * scale), round(right * scale)) for left, right in bars_of_targets(ax)}
    for first, last in (
        ("enqueue_ns", "ack_ns"),
        ("arrive_ns", "start_ns"),
        ("start_ns", "end_ns"),
    ):
        assert set(zip(frame[first] - start, frame[last] - start, strict=True)) <= drawn
    labels = [tick.get_text() for tick in ax.get_yticklabels()]
    assert labels[0] == f"initiator {3 % cpus}"
    assert len(labels) == cpus if cpus <= 8 else 6 <= len(labels) <= 20
    # The initiator is drawn above every target.
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


def test_timeline_marks_targets_that_needed_no_ipi(result, ipis):
    r = result(cpus=8, pages=64)
    frame = ipis(r, 5)
    # As the frame has it: no send of their own, and taken with what came earlier.
    frame["sent"] = frame["cpu"] != 2
    frame.loc[~frame["sent"], ["send_ns", "arrive_ns"]] = -1, 0
    figure = plot_flush_timeline(r, 5, frame)
    (ax,) = figure.axes
    (crosses,) = [line for line in ax.lines if line.get_marker() == "x"]
    assert len(crosses.get_xdata()) == 1
    assert min(left for left, _ in bars_of_targets(ax)) >= 0
    assert "no IPI" in " ".join(text.get_text() for text in figure.legends[0].get_texts())


def test_timeline_where_no_target_needed_an_ipi(result, ipis):
    r = result(cpus=4, pages=64)
    frame = ipis(r, 5).assign(sent=False, send_ns=-1)
    assert isinstance(plot_flush_timeline(r, 5, frame), Figure)


def test_timeline_refuses_flushes_that_are_not_there(result, ipis):
    r = result(cpus=4, pages=64)
    with pytest.raises(ValueError, match="no flush 999"):
        plot_flush_timeline(r, 999, ipis(r, 5))
    with pytest.raises(ValueError, match="no IPIs of flush 6"):
        plot_flush_timeline(r, 6, ipis(r, 5))


def test_every_caption_says_simulated_machine_kernel_and_seed(ipis, runs):
    figures = [
        plot_elapsed(runs),
        plot_time_by(runs),
        plot_latency(runs),
        plot_throughput(runs),
        plot_scaling(runs),
        plot_flush_timeline(runs[0], 5, ipis(runs[0], 5)),
    ]
    for figure in figures:
        text = " ".join(all_text(figure).split())
        assert text.count("simulated") == 2
        assert "epyc-7j13-vm252" in text
        assert "kernel v6.6" in text
        assert "seed 1" in text
        assert "tlbsim 1.0.0, commit 0123456789ab" in text


@pytest.mark.parametrize(
    "plot", [plot_elapsed, plot_time_by, plot_latency, plot_throughput, plot_scaling]
)
def test_plots_refuse_nothing_and_several_machines(result, vm, laptop, plot):
    with pytest.raises(ValueError, match="no results"):
        plot([])
    with pytest.raises(ValueError, match="one machine"):
        plot([result(machine=vm, pages=8), result(machine=laptop, pages=8)])


def test_figures_are_written_as_png_without_pyplot(tmp_path):
    code = """
import sys
from simulator.report.plots import save
from simulator.report.plots.style import new_figure
path = save(new_figure(3, 2, "Nothing"), sys.argv[1])
assert path.read_bytes().startswith(bytes([0x89]) + b"PNG")
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")], check=True)


def test_a_figure_is_the_same_file_each_time(tmp_path, runs):
    first = save(plot_elapsed(runs), tmp_path / "1.png").read_bytes()
    assert save(plot_elapsed(runs), tmp_path / "2.png").read_bytes() == first
