# SPDX-License-Identifier: MIT
"""
scenarios/posted_forms.py as a user runs it
-------------------------------------------

Oracle: the formulas of tests/kernel/test_posted.py, for the sizes of this script.
"""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.image import imread

from simulator.errors import InputError
from simulator.report.plots import save
from simulator.studies.posted_forms import PostedForms
from tests.studies.scripts import run_script

N = 128  # --quick
S = 2  # PMDs of 64 folios each, on the one node of laptop-8
COLUMNS = ("flushes", "split", "batch", "late", "remap", "unflushed")
# Of 128 splits the 64th fails. v8 stops there, so that 65 are late; the others leave out one.
WANTED = {
    "A list of folios": {
        "v6.6+6@v1": (N + 1, 0, 1, 0, N, 0),
        "v6.6+6@v2": (N + 1, 0, 1, 0, N, 0),
        "v6.6+6@v3": (S + 1 + N, S, 1, 0, N, 0),
        "v6.6+6@v8": (N + 1, 0, 1, 0, N, 0),
    },
    "Split 64 of 128 fails": {
        "v6.6+6@v1": (N + 1 + 1, 0, 1, 1, N, 0),
        "v6.6+6@v2": (N + 1 + 1, 0, 1, 1, N, 0),
        "v6.6+6@v3": (N - 1 + 1 + N, N - 1, 1, 0, N, 1),
        "v6.6+6@v8": (N + 1 + 65, 0, 1, 65, N, 0),
    },
    "Single folios": {
        "v6.6+6@v1": (S + N, S, 0, 0, N, 0),
        "v6.6+6@v2": (S + N, S, 0, 0, N, 0),
        "v6.6+6@v3": (N, 0, 0, 0, N, S),
        "v6.6+6@v8": (S + N, S, 0, 0, N, 0),
    },
    "A list of folios, with the next patch of the same posting": {
        "v6.6+7@v1": (2, 0, 2, 0, 0, 0),
        "v6.6+7@v2": (2, 0, 2, 0, 0, 0),
        "v6.6+7@v3": (S + 2, S, 2, 0, 0, 0),
        "v6.6+7": (2, 0, 2, 0, 0, 0),
    },
}


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("posted")
    figures = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "simulator.report.plots.save", lambda f, path: figures.append(f) or save(f, path)
        )
        argv = ["--quick", "--machine=laptop-8", f"--out={folder / 'out'}"]
        status, text = run_script(PostedForms, *argv)
    assert status == 0
    return folder / "out", text, figures[0]


def tables(text):
    """Yield the title of each case and its rows, as cells."""
    for block in text.split("\n\n\n")[1:-1]:
        lines = block.splitlines()
        yield lines[0].removesuffix(" (simulated)"), [x.split() for x in lines if x[:2] == "v6"]


def test_every_form_makes_the_flushes_of_its_formula(quick):
    seen = {}
    for title, rows in tables(quick[1]):
        # kernel, formula, its value, flushes, split, batch, late, remap, unflushed, elapsed, unit
        for kernel, _formula, value, flushes, *numbers, _elapsed, _unit in rows:
            assert value == flushes
            seen.setdefault(title, {})[kernel] = (int(flushes), *map(int, numbers))
    assert seen == WANTED


def test_the_report_fits_a_mail_and_is_also_a_file(quick):
    folder, text, _ = quick
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 72
    assert (folder / "posted-forms.txt").read_text(encoding="utf-8") == text
    assert {path.name for path in folder.iterdir()} == {"posted-forms.txt", "posted-forms.png"}


def test_the_plot_is_an_image_with_something_on_it(quick):
    pixels = imread(quick[0] / "posted-forms.png")
    assert min(pixels.shape[:2]) > 200
    assert len(np.unique(pixels[:, :, 0])) > 10


def test_the_plot_shows_every_number_of_the_formulas(quick):
    figure = quick[2]
    for ax, forms in zip(figure.axes, WANTED.values(), strict=True):
        names = [label.get_text() for label in ax.get_yticklabels()]
        assert names == list(forms)
        for y, (flushes, *kinds, unflushed) in enumerate(forms.values()):
            # A dash where there is none, and the same columns in all panels.
            shown = [text.get_text() for text in ax.texts if text.xy[1] == y]
            wanted = [str(n or "-") for n in (*kinds, flushes, unflushed)]
            assert [text.replace(",", "") for text in shown] == wanted
    caption = figure.get_supxlabel()
    assert "@oracle.com" not in caption
    assert "never merged: v6.6+6@v1" in " ".join(caption.split())
    assert caption.count("\n") < 5


def test_the_default_is_the_machine_of_the_published_figures():
    cases = PostedForms().cases
    assert {case.scenario.machine for case in cases} == {"epyc-7j13-vm252"}
    assert [case.scenario.pages for case in cases] == [4096] * 4


def test_no_more_pages_are_apart_than_the_machine_has_pmds():
    # 32 GiB of 128 MiB each.
    cases = PostedForms(machine="laptop-8", pages=1000).cases
    assert [case.scenario.pages for case in cases] == [1000, 256, 1000, 1000]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--machine=laptop-9"], "machine"),
        (["--pages=0"], "pages"),
        (["--pages=many"], "pages"),
        (["--quik"], "--quick"),
    ],
)
def test_wrong_input_gets_one_line_before_anything_runs(argv, message, tmp_path):
    with pytest.raises(InputError, match=message) as error:
        run_script(PostedForms, *argv, f"--out={tmp_path / 'out'}")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()
