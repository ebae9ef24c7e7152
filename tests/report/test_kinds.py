# SPDX-License-Identifier: MIT
"""
Kinds of plots of any results
-----------------------------
"""

from __future__ import annotations

import itertools
import re

import pytest

import simulator as sim
from simulator.analysis import compare_results
from simulator.errors import InputError
from simulator.report.plot_text import TEXT_KINDS, plot_text
from simulator.report.plots.kinds import KINDS, draw
from simulator.report.plots.style import label_lines, marks, new_figure, save, svg_text
from tests.made import LAPTOP, make, make_ipis


def made(kernel, replication=0, **fields):
    run = make(kernel=kernel, machine=LAPTOP, pages=64, replication=replication, **fields)
    run.violations = run.summary.iloc[:0]
    run.ipis = lambda flushes: make_ipis(run, *flushes)
    run.summary["elapsed_s"] *= 1 + 0.01 * replication * len(kernel)
    return run


@pytest.fixture(scope="module")
def comparison():
    """Two kernels, one of them a user's, on 4 and 8 CPUs, twice each."""
    points = [(kernel, cpus) for cpus in (4, 8) for kernel in ("v6.6", "my patch")]
    return compare_results(
        [[made(kernel, i, cpus=cpus) for i in range(2)] for kernel, cpus in points],
        baselines=[0, 0, 2, 2],
    )


@pytest.fixture(scope="module")
def figures(comparison):
    return {kind: draw(kind, comparison) for kind in KINDS}


def texts(figure):
    return " ".join(str(t.get_text()) for t in figure.findobj(lambda a: hasattr(a, "get_text")))


def test_every_kind_draws_results_of_a_users_kernel(figures):
    assert [kind for kind, found in figures.items() if not found] == []
    for found in figures.values():
        for name, figure in found:
            assert re.fullmatch(r"[A-Za-z0-9.+@=_-]+", name)
            shown = " ".join(texts(figure).split())
            assert "my patch" in shown or name.startswith("flush")
            assert "simulated: " in shown
            assert "n=" in shown or name.startswith(("time", "difference", "flush", "throughput"))


def test_svg_is_the_same_bytes_each_time(comparison, tmp_path):
    def bytes_of(form):
        ((_, figure),) = draw("change", comparison)
        return save(figure, tmp_path / f"a.{form}").read_bytes()

    first = bytes_of("svg")
    assert bytes_of("svg") == first
    assert b"<dc:date>" not in first


def test_points_of_a_change_stand_at_the_ratios_of_the_frame(comparison, figures):
    ((_, figure),) = figures["change"]
    frame = comparison.frame
    wanted = frame[
        (frame["scenario"].astype(str) != frame["baseline"].astype(str)) & frame["ratio"].gt(0)
    ]
    drawn = {
        float(line.get_xdata()[0])
        for ax in figure.axes
        for line in ax.lines
        if len(line.get_xdata()) == 1
    }
    assert {round(r, 9) for r in wanted["ratio"]} <= {round(x, 9) for x in drawn}


def test_scenarios_differ_without_colour():
    styles = list(marks([str(i) for i in range(8)]).values())
    assert len({style.marker for style in styles}) == 8
    assert len({str(style.dashes) for style in styles}) == 8


def test_names_at_line_ends_do_not_collide():
    figure = new_figure(4, 3, "x")
    ax = figure.subplots()
    ax.plot([0, 1], [0, 1])
    ends = [
        (1.0, 1.0, "a", "k"),
        (1.0, 0.99, "b", "k"),
        (1.0, 0.98, "c", "k"),
        (1.0, 0.0, "d", "k"),
    ]
    label_lines(ax, ends)
    heights = sorted(note.xy[1] for note in ax.texts)
    assert all(b - a >= 0.0549 for a, b in itertools.pairwise(heights))
    assert heights[-1] <= 1.0


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "flush"])
def test_text_fits_a_mail_and_is_ascii(comparison, kind):
    text = plot_text(kind, comparison)
    assert text
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 72


def test_marks_of_the_text_are_on_the_side_of_the_ratio(comparison):
    text = plot_text("change", comparison)
    seen = 0
    for ratio, line in re.findall(r" ([\d.e-]+)x  \[(.*)\]", text):
        at = re.search(r"[*o]", line).start() - len(line) // 2
        assert at == 0 or (at > 0) == (float(ratio) > 1)
        seen += 1
    assert seen > 10


def test_kinds_are_one_list_everywhere():
    from simulator.cli.plot import KINDS as TYPED

    assert tuple(TYPED) == tuple(KINDS) == tuple(TEXT_KINDS)


def test_a_single_result_draws_what_it_has(tmp_path):
    single = compare_results([[made("v6.6")]])
    drawn = {kind for kind in KINDS if draw(kind, single)}
    assert drawn == {"time", "latency", "course", "flush", "victims", "throughput", "batch"}


def test_marks_of_a_course_are_the_flushes_of_the_frame(comparison, figures):
    ((_, figure),) = figures["course"]
    (alloc, _free) = figure.axes
    first = comparison.runs[0][0].flushes
    first = first[(first["phase"] == "alloc") & (first["kind"] != "none")]
    line = alloc.lines[0]
    assert line.get_label() == "v6.6"
    unit_ns = {"ns": 1, "us": 1e3, "ms": 1e6}[re.search(r"\((\w+)\)", alloc.get_ylabel())[1]]
    took = (first["end_ns"] - first["start_ns"]) / unit_ns
    assert sorted(line.get_ydata()) == pytest.approx(sorted(took))


def test_an_unknown_kind_is_told_with_the_nearest(comparison):
    with pytest.raises(InputError, match="did you mean 'victims'"):
        draw("victms", comparison)


def test_svg_of_a_name_like_markup_is_escaped():
    figure = new_figure(3, 2, "<b>&")
    assert "<b>&" not in svg_text(figure)


def test_the_legend_of_a_change_says_which_kernel_is_unsafe():
    safe = sim.Scenario(machine="laptop-8", kernel="v6.7", pages=8)
    unsafe = safe.replace(kernel="v6.7-no-final-flush")
    ((_, figure),) = draw("change", sim.compare([safe, unsafe], replications=1))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["v6.7-no-final-flush UNSAFE"]
