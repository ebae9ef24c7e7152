# SPDX-License-Identifier: MIT
"""
Frames, timelines and histograms for others to read
---------------------------------------------------

Oracle: pandas and json read the files back; the frames themselves; bpftrace's own
format, typed off its reference guide.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from functools import partial

import pandas as pd
import pytest

import simulator as sim
from simulator.analysis.histogram import Histogram
from simulator.report.histogram_text import histogram_text
from simulator.trace.contract import FRAMES
from simulator.trace.exchange.chrome import write_chrome
from simulator.trace.exchange.tabular import write_frames


@pytest.fixture(scope="module")
def result():
    s = sim.Scenario(
        machine="laptop-8", kernel="v6.6", pages=12, cpus=6, path="surplus", allocators=3,
        noise="idle", phases=("alloc", "free"),
    )  # fmt: skip
    return sim.simulate(s)


@pytest.fixture(scope="module")
def events(result):
    file = io.StringIO()
    written = write_chrome(result, file, longest=10)
    found = json.loads(file.getvalue())["traceEvents"]
    assert len(found) == written
    return found


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_every_frame_is_read_back_as_it_was(result, tmp_path, form):
    written = write_frames(result, tmp_path, form)
    assert written == [*(f"{name}.{form}" for name in FRAMES), "provenance.json"]
    # pandas reads the word "none" as missing, unless told.
    read = {"csv": partial(pd.read_csv, keep_default_na=False), "parquet": pd.read_parquet}[form]
    for name, frame in FRAMES.items():
        wanted = getattr(result, name)
        # pandas reads the word "none" as missing, unless told.
        found = read(
            tmp_path / f"{name}.{form}", **({"keep_default_na": False} if form == "csv" else {})
        )
        assert tuple(found.columns) == frame.names
        for column in frame.columns:
            if column.kind == "word":
                assert found[column.name].astype(str).tolist() == wanted[column.name].tolist()
            else:
                assert found[column.name].tolist() == wanted[column.name].tolist()
    provenance = json.loads((tmp_path / "provenance.json").read_text())
    assert provenance["key"] == result.provenance["key"]


def slices(events, pid):
    return [e for e in events if e["ph"] == "X" and e["pid"] == pid]


def ns(us):
    return round(1000 * us)


def test_a_timeline_has_every_broadcast_where_the_frame_has_it(result, events):
    found = Counter(
        (e["name"], e["tid"], ns(e["ts"]), ns(e["dur"])) for e in slices(events, 1) if "args" in e
    )
    f = result.flushes
    rows = zip(f.reason.astype(str), f.cpu, f.start_ns, f.end_ns - f.start_ns, strict=True)
    assert found == Counter(rows)


def test_slices_of_a_track_nest(events):
    tracks = {}
    for e in (*slices(events, 1), *slices(events, 2)):
        begin = ns(e["ts"])
        tracks.setdefault((e["pid"], e["tid"]), []).append((begin, begin + ns(e["dur"])))
    assert {pid for pid, _ in tracks} == {1, 2}
    for track in tracks.values():
        open_until = []
        for begin, end in sorted(track, key=lambda slice_: (slice_[0], -slice_[1])):
            while open_until and open_until[-1] <= begin:
                open_until.pop()
            assert not open_until or end <= open_until[-1]
            open_until.append(end)


def test_arrows_go_to_each_target_of_the_longest_broadcasts(result, events):
    took = (result.flushes.end_ns - result.flushes.start_ns).nlargest(10)
    targets = result.flushes.loc[took.index, "targets"].sum()
    starts = {e["id"]: e for e in events if e["ph"] == "s"}
    ends = {e["id"]: e for e in events if e["ph"] == "f"}
    assert len(starts) == len(ends) == targets
    assert starts.keys() == ends.keys()
    assert all(starts[i]["ts"] <= ends[i]["ts"] for i in starts)
    handled = sum(len(e["args"]["flushes"]) for e in slices(events, 2))
    assert handled == targets


def test_a_histogram_is_that_of_bpftrace():
    """Of the reference guide's example, with the bar as wide as here: counts 2, 0, 5."""
    h = Histogram.of_buckets([0, 1, 1024, 1536, 5000], [1, 2, 1025, 1537, 5001], [1, 2, 2, 3, 4])
    assert histogram_text("x", h).splitlines() == [
        "@x_ns:",
        f"[0]{1:>22} |{'@' * 8:<44}|",
        f"[1]{2:>22} |{'@' * 17:<44}|",
        *(f"{label:<16} {0:>8} |{'':<44}|" for label in (
            "[2, 4)", "[4, 8)", "[8, 16)", "[16, 32)", "[32, 64)", "[64, 128)", "[128, 256)",
            "[256, 512)", "[512, 1K)",
        )),
        f"[1K, 2K){5:>17} |{'@' * 44}|",
        f"[2K, 4K){0:>17} |{'':<44}|",
        f"[4K, 8K){4:>17} |{'@' * 35:<44}|",
    ]  # fmt: skip


def test_histograms_of_a_result_hold_every_value_in_72_columns(result):
    text = histogram_text("alloc_flush", Histogram.of_frame(result.latency, "alloc", "flush"))
    lines = text.splitlines()[1:]
    assert {len(line) for line in lines} == {72}
    flushes = result.flushes[(result.flushes.phase == "alloc") & (result.flushes.kind != "none")]
    counted = sum(int(line.split("|")[0].split()[-1]) for line in lines)
    assert counted == len(flushes)
