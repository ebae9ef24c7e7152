# SPDX-License-Identifier: MIT
"""
Formats: golden files, their width, and that no number is made up
-----------------------------------------------------------------
"""

from __future__ import annotations

import io
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pandas as pd
import pytest

from simulator.analysis import compare_results
from simulator.analysis.frames import records
from simulator.report.formats import FORMATS, Material, render
from tests.made import make

GOLDEN = Path(__file__).with_name("golden")
COMMAND = "tlbsim compare --machine laptop-8 --kernel v6.6,mine.py --pages 64 --replications 3"
#: What may take 80 columns, because the original does.
WIDE = {"lkp": 80, "mmtests": 80, "cover-letter": 80}
TEXTS = ("table", "lkp", "mmtests", "cover-letter", "bpftrace", "markdown", "csv", "json")
MAIL = ("table", "lkp", "mmtests", "cover-letter", "bpftrace")


def compared(laptop, kernels=("v6.6", "mine"), n=3, **fields):
    return compare_results(
        [
            [make(kernel=k, machine=laptop, seed=1, replication=i, pages=64, **fields)
             for i in range(n)]
            for k in kernels
        ]
    )  # fmt: skip


def vary(comparison):
    """Let replications differ, as made ones of one seed do not."""
    for k, runs in enumerate(comparison, 1):
        for i, run in enumerate(runs):
            run.summary["elapsed_s"] *= 1 + 0.01 * k * i
            run.summary["ptl_held_max_ns"] = (run.summary["ptl_held_max_ns"] * (1 + i)).astype(int)
    return comparison


@pytest.fixture(scope="module")
def material():
    from tests.made import LAPTOP

    def runs(kernel):
        return [make(kernel=kernel, machine=LAPTOP, replication=i, pages=64) for i in range(3)]

    return Material(compare_results(vary([runs("v6.6"), runs("mine")])), COMMAND)


@pytest.mark.parametrize("name", TEXTS)
def test_formats_are_as_in_the_golden_files(material, name):
    golden = (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
    assert render(name, material) == golden


@pytest.mark.parametrize("name", MAIL)
def test_mail_is_ascii_and_no_line_is_too_wide(material, name):
    long = "epyc-7j13-vm252 hvo=on placement=pmds=4096 noise=busy cpus=252"
    wide = compare_results([[make(kernel=f"{k} {long}")] for k in ("v6.6", "v6.7")])
    for each in (material, Material(wide, f"{COMMAND} --set {'x' * 50}=1 --kernel v6.7")):
        text = render(name, each)
        assert text.isascii()
        assert max(map(len, text.splitlines())) <= WIDE.get(name, 72)


@pytest.mark.parametrize("name", [*TEXTS, "html"])
def test_what_has_to_stand_beside_a_number_does(material, name):
    text = " ".join(render(name, material).replace("\\", "").split())
    for fact in ("simulated", "laptop-8", "v6.6", "n=3", "seed 1", "31 of 74",
                 "sha256 " + make(kernel="mine").scenario.kernel_class.digest()[:12],
                 "published time", "safety", "tlbsim 1.0.0"):  # fmt: skip
        assert fact in text, fact
    assert COMMAND in text


# A number with its unit or sign, in the parts of a report that hold numbers.
NUMBER = re.compile(
    r"(?<![\w.@+-])([+-]?\d[\d,]*(?:\.\d+)?) ?(ns|us|ms|s|%|x|k|M)?(?![\w.]*[a-zA-Z_/@])"
)
SCALE = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9, "%": 1, "x": 1, "k": 1e3, "M": 1e6, "": 1}


def known_values(comparison):
    """Return every number that may stand in a table: of the frame, as a time, share or change."""
    found = []
    for row in records(comparison.frame):
        for name, value in row.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                scale = 1e9 if row["metric"] == "elapsed_s" and "ratio" not in name else 1.0
                found += [value * scale]
                found += [100 * value] if row["metric"] == "flush_share" else []
                found += [100 * (value - 1)] if name.startswith("ratio") else []
    return found


@pytest.mark.parametrize("name", ["table", "cover-letter"])
def test_every_number_of_a_report_is_in_the_frames(material, name):
    known = known_values(material.comparison)
    text = render(name, material)
    tables = [
        line
        for block in text.split("\n\n")
        if not block.startswith("simulated ") and "(simulated)\n" in block + "\n"
        for line in block.splitlines()
        if re.search(r"\d", line) and "(simulated)" not in line
    ]
    seen = 0
    for table_line in tables:
        line = table_line.replace("..", " ")
        for number, unit in NUMBER.findall(line):
            value = float(number.replace(",", "")) * SCALE[unit]
            digits = len(number.partition(".")[2])
            step = 0.5000001 * 10**-digits * SCALE[unit]
            assert any(math.isclose(value, k, rel_tol=0, abs_tol=step) for k in known), (
                line,
                number,
            )
            seen += 1
    assert name != "table" or seen > 50


@pytest.mark.parametrize("name", ["lkp", "mmtests"])
def test_values_of_kernel_formats_are_the_means_of_the_runs(material, name):
    text = render(name, material)
    for row in records(material.comparison.frame):
        if row["verdict"] in ("no value", "equal", "baseline"):
            continue
        key = f"{row['phase']}.{row['metric']}" if name == "lkp" else f"Amean    {row['metric']}"
        line = next(x for x in text.splitlines() if key in x)
        if name == "mmtests" and row["phase"] != "alloc":
            continue
        numbers = [float(x) for x in re.findall(r"(?<![\w.])-?\d+\.?\d*", line.replace(key, ""))]
        for value in (row["ref_mean"], row["mean"]):
            assert any(math.isclose(value, x, rel_tol=2e-3, abs_tol=0.5 if value > 1e4 else 0)
                       for x in numbers)  # fmt: skip


def test_mmtests_has_the_least_and_the_largest_value_of_the_runs(material):
    text = render("mmtests", material)
    for name, of in (("Min", min), ("Max", max)):
        line = next(x for x in text.splitlines() if x.startswith(f"{name:<9}elapsed_s"))
        shown = [float(x) for x in re.findall(r"(\d[\d.]*) \(", line)]
        seconds = [
            of(
                float(run.summary.set_index("phase").loc["alloc", "elapsed_s"])
                for run in material.runs(label)
            )
            for label in ("v6.6", "mine")
        ]
        assert shown == pytest.approx(seconds, rel=2e-3)


def test_lkp_shows_a_deviation_from_two_percent_on(material):
    # Of elapsed_s, it is 0.99 % and 1.96 %, as mmtests' CoeffVar says.
    lines = [x for x in render("lkp", material).splitlines() if x.endswith("alloc.elapsed_s")]
    assert [(x.count("+-"), x.count("+-  2%")) for x in lines] == [(1, 1)]


def test_the_line_under_a_histogram_is_of_its_values(material):
    flushes = pd.concat([run.flushes for run in material.runs("mine")])
    flushes = flushes[(flushes["phase"] == "alloc") & (flushes["kind"] != "none")]
    block = next(b for b in render("bpftrace", material).split("mine (simulated)")[1].split("\n\n")
                 if b.startswith("@alloc_flush_ns"))  # fmt: skip
    line = block.splitlines()[-1]
    assert line.startswith(f"count {len(flushes)}, median ")
    assert "99th" not in line  # of six values it is the largest


def test_csv_and_json_hold_the_frame_itself(material):
    frame = material.comparison.frame
    read = pd.read_csv(io.StringIO(render("csv", material)), comment="#")
    pd.testing.assert_frame_equal(
        read, frame.astype(dict.fromkeys(("scenario", "baseline", "phase", "metric"), str)),
        check_dtype=False,
    )  # fmt: skip
    found = json.loads(render("json", material))
    assert found["rows"] == records(frame)
    assert found["header"]["command"] == COMMAND


class Page(HTMLParser):
    """The tags of a page that are open, and what it would load."""

    VOID = ("meta", "br", "hr", "img", "link")

    def __init__(self):
        super().__init__()
        self.open, self.loads, self.tags = [], [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.loads += [v for k, v in attrs if k in ("src", "href") and v and not v.startswith("#")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_page_is_whole_loads_nothing_and_escapes_names(laptop):
    name = "<script>alert(1)</script>&"
    text = render("html", Material(compared(laptop, ("v6.6", name)), f"tlbsim '{name}'"))
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.loads == []
    assert "script" not in page.tags
    assert "svg" in page.tags
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ET.fromstring(svg)  # noqa: S314 - our own


def test_equal_rows_are_one_line_unless_all_are_asked_for(material):
    folded = render("table", material)
    every = render("table", Material(material.comparison, COMMAND, every=True))
    equal = records(material.comparison.frame)
    equal = [r for r in equal if r["verdict"] == "equal" and r["phase"] == "free"]
    assert equal
    assert folded.count("\nequal: ") > 0
    assert "\nequal: " not in every
    assert every.count(" equal") >= len(equal)


def test_formats_are_those_of_the_command_line():
    from simulator.cli.format_option import NAMES

    assert tuple(FORMATS) == NAMES
