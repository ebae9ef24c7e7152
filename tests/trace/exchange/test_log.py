# SPDX-License-Identifier: MIT
"""
A run as a log, and times by CPU
--------------------------------

Oracle: the frames of the same run.
"""

from __future__ import annotations

from collections import Counter

import pytest

import simulator as sim
from simulator.trace.exchange.bycpu import KINDS, ByCpu
from simulator.trace.exchange.events import OfCpus
from simulator.trace.exchange.log import EventLog
from simulator.traced import trace_events


@pytest.fixture(scope="module")
def result():
    return sim.simulate(
        sim.Scenario(
            machine="laptop-8", kernel="v6.6", pages=4, cpus=5, path="surplus", allocators=2,
            noise="busy",
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def lines(result):
    log = EventLog()
    trace_events(result, log.take)
    return log.lines


def test_every_line_has_its_columns_and_fits(lines):
    assert lines[0].split() == ["time_us", "CPU", "task", "event"]
    assert max(map(len, lines)) <= 72
    times = [float(line.split()[0]) for line in lines[1:]]
    assert times == sorted(times)
    assert {line[14] + line[19] + line[24] for line in lines[1:]} == {"   "}


def test_every_csd_has_its_line(result, lines):
    queued = Counter(
        (line.split()[0], int(line.partition("csd_queue cpu=")[2].split()[0]))
        for line in lines
        if ". csd_queue" in line
    )
    ipis = result.ipis(range(len(result.flushes)))
    times = [f"{ns // 1000}.{ns % 1000:03d}" for ns in ipis["enqueue_ns"].tolist()]
    assert queued == Counter(zip(times, ipis["cpu"], strict=True))


def test_of_some_cpus_only_their_lines_are_left(result, lines):
    log = EventLog()
    trace_events(result, OfCpus(log.take, [1]).take)
    assert log.lines == [line for line in lines if line[15:19].strip() in ("CPU", "1")]


@pytest.mark.parametrize("kind", KINDS)
def test_times_of_all_cpus_together_are_those_of_the_frame(result, kind):
    times = ByCpu(kind)
    trace_events(result, times.take)
    found = Counter()
    for histogram in times.histograms.values():
        found.update({(low, high): count for low, high, count in histogram.rows()})
    rows = result.latency[result.latency["what"] == kind]
    wanted = Counter()
    for low, high, count in rows[["low_ns", "high_ns", "count"]].to_numpy().tolist():
        wanted[low, high] += count
    assert found == wanted


def test_flushes_by_cpu_are_those_of_the_initiators(result):
    times = ByCpu("flush")
    trace_events(result, times.take, longest=0)
    f = result.flushes[result.flushes["kind"] != "none"]
    counts = {cpu: sum(n for *_, n in h.rows()) for cpu, h in times.histograms.items()}
    assert counts == f.groupby("cpu").size().to_dict()
