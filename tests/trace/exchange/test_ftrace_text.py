# SPDX-License-Identifier: MIT
"""
A run as the kernel would print its trace
-----------------------------------------

Oracles: TRAPpy, ARM's reader of such text, which nobody here wrote; the reader of traces
of real kernels; lines that real kernels printed; the frames of the same run.
"""

from __future__ import annotations

import io
import re

import numpy as np
import pytest

import simulator as sim
from simulator.trace import read_ftrace
from simulator.trace.exchange.ftracetext import TRACERS, FtraceWriter
from simulator.traced import nr_cpus_of, trace_events
from tests.trace.exchange.conftest import text_of

KNOWN = {"machine": "laptop-8", "pages": 4, "cpus": 5}
SCENARIOS = {
    "alone": sim.Scenario(**KNOWN | {"kernel": "v6.6", "noise": "idle"}),
    "overlapping": sim.Scenario(
        **KNOWN | {"kernel": "v6.6", "path": "surplus", "allocators": 3, "noise": "busy"}
    ),
    "batched": sim.Scenario(**KNOWN | {"kernel": "v6.12", "noise": "overcommitted"}),
}


def printed(result, path, tracer="nop", irq_info=True, **options):
    with path.open("wb") as file:
        writer = FtraceWriter(file, nr_cpus_of(result), tracer, irq_info)
        trace_events(result, writer.take, **options)
        writer.finish()
    return path


@pytest.fixture(scope="module", params=SCENARIOS)
def result(request):
    return sim.simulate(SCENARIOS[request.param])


def us(ns):
    """Return nanoseconds as the kernel prints them, ns2usecs()."""
    ns = np.asarray(ns)
    return np.where(ns < 0, ns, (ns + 500) // 1000 * 1000)


def test_what_is_read_back_is_the_run_to_a_microsecond(result, tmp_path):
    """Also the same: what the format cannot tell, when the last IPI was sent, is not."""
    found = read_ftrace(printed(result, tmp_path / "t.txt"))
    assert (found.bad_lines, found.complete, found.notes, found.lost) == (0, True, (), 0)
    mine, theirs = result.flushes, found.flushes
    for column in ("phase", "kind"):
        assert theirs[column].astype(str).tolist() == mine[column].astype(str).tolist()
    for column in ("cpu", "pages", "targets", "ipis", "ipis_saved"):
        assert theirs[column].tolist() == mine[column].tolist(), column
    # Process 0 is idle.
    assert theirs["task"].tolist() == (mine["task"] + 1).tolist()
    for column in ("start_ns", "last_ack_ns", "end_ns"):
        assert theirs[column].tolist() == us(mine[column]).tolist(), column
    assert set(theirs["complete"]) == {True}


def test_every_interrupt_is_read_back_to_a_microsecond(result, tmp_path):
    found = read_ftrace(printed(result, tmp_path / "t.txt"))
    mine = result.ipis(range(len(result.flushes))).sort_values(["flush", "cpu"])
    theirs = found.ipis().sort_values(["flush", "cpu"])
    assert len(mine)
    for column in ("flush", "cpu", "sent"):
        assert theirs[column].tolist() == mine[column].tolist(), column
    for column in ("enqueue_ns", "end_ns"):
        assert theirs[column].tolist() == us(mine[column]).tolist(), column
    # A CPU that polls has no handler, only the function.
    handled = np.isin(mine["start_ns"], mine["start_ns"][mine["sent"]])
    assert theirs["start_ns"][handled].tolist() == us(mine["start_ns"][handled]).tolist()
    idle = (mine["state"].astype(str) == "idle").tolist()
    assert (theirs["state"].astype(str) == "idle").tolist() == idle


def test_counts_and_time_in_handlers_are_read_back(result, tmp_path):
    found = read_ftrace(printed(result, tmp_path / "t.txt"))
    mine, theirs = result.summary, found.summary
    assert theirs["phase"].astype(str).tolist() == mine["phase"].astype(str).tolist()
    for column in ("flushes", "ipis", "ipis_saved", "other_broadcasts", "other_ipis"):
        assert theirs[column].tolist() == mine[column].tolist(), column
    assert theirs["elapsed_ns"].to_numpy() == pytest.approx(mine["elapsed_ns"], abs=1000)


@pytest.mark.parametrize("tracer", TRACERS)
def test_flushes_are_the_same_under_each_tracer(tracer, tmp_path):
    run = sim.simulate(SCENARIOS["overlapping"])
    found = read_ftrace(printed(run, tmp_path / "t.txt", tracer))
    assert found.tracer == tracer
    assert (found.bad_lines, found.complete) == (0, True)
    # The graph's times are cut, not rounded.
    wanted = us(run.flushes["end_ns"])
    assert np.abs(found.flushes["end_ns"].to_numpy() - wanted).max() <= (
        1000 if tracer == "function_graph" else 0
    )
    assert found.flushes["targets"].tolist() == run.flushes["targets"].tolist()


def test_the_graph_prints_durations_to_a_nanosecond(tmp_path):
    run = sim.simulate(SCENARIOS["alone"])
    found = read_ftrace(printed(run, tmp_path / "t.txt", "function_graph"))
    took = run.flushes["end_ns"] - run.flushes["start_ns"]
    assert found.flushes["elapsed_ns"].tolist() == took.tolist()


@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_trappy_reads_every_event(result, tmp_path):
    """ARM's TRAPpy, of the time before the fifth flag: it wants none."""
    trappy = pytest.importorskip("trappy")
    path = printed(result, tmp_path / "t.txt", irq_info=False)
    names = ["csd_queue_cpu", "csd_function_entry", "csd_function_exit", "call_function_entry"]
    with pytest.warns(UserWarning, match="dat is preferred"):
        read = trappy.FTrace(str(path), normalize_time=False, scope="custom", events=names)
    ipis = result.ipis(range(len(result.flushes)))
    queued = read.csd_queue_cpu.data_frame
    assert sorted(queued["cpu"]) == sorted(ipis["cpu"])
    assert np.allclose(sorted(queued.index), sorted(us(ipis["enqueue_ns"]) / 1e9), atol=1e-9)
    # Those of the initiators' own part too.
    assert len(read.csd_function_exit.data_frame) == len(ipis) + len(result.flushes)
    entries = read.call_function_entry.data_frame
    assert set(entries["vector"]) == {252}
    idle = entries["__pid"] == 0
    assert set(entries["__comm"][idle]) <= {"<idle>"}


@pytest.mark.parametrize(
    ("name", "tracer", "irq_info"),
    [
        ("trace-7.3-4cpu-alloc16-default.txt", "nop", True),
        ("trace-7.3-4cpu-free16-noirqinfo.txt", "nop", False),
        ("trace-7.3-4cpu-alloc16-function.txt", "function", True),
    ],
)
def test_headers_and_columns_are_those_of_real_files(name, tracer, irq_info, tmp_path):
    def shape(text):
        head = [re.sub(r"\d+/\d+ +#P:\d+", "N", line) for line in text if line.startswith("#")]
        body = [line for line in text if line and not line.startswith("#")]
        # The event begins where times of so many digits end.
        return head, {line.index(": ") for line in body}

    real = text_of(name).splitlines()
    run = sim.simulate(SCENARIOS["alone"])
    mine = printed(run, tmp_path / "t.txt", tracer, irq_info).read_text().splitlines()
    assert shape(mine)[0] == shape(real)[0]
    assert shape(mine)[1] <= shape(real)[1]


def test_real_lines_of_the_graph_have_the_form_of_ours(tmp_path):
    """The durations and calls of a real file, without times, are matched by ours."""
    form = re.compile(r" \d\) ( {14}|[ +!#*@$] [\d. ]+ us +)\|  +([\w.]+\(\)( \{|;)|\}|/\* .*)")
    run = sim.simulate(SCENARIOS["alone"])
    mine = printed(run, tmp_path / "t.txt", "function_graph").read_text().splitlines()
    ours = [line.partition("|  ")[2] for line in mine if re.match(r" +\d+\.\d{6} \|", line)]
    real = [line for line in text_of("trace-7.3-4cpu-alloc8-graph.txt").splitlines()
            if re.match(r" \d\)", line) and "=>" not in line]  # fmt: skip
    assert len(ours) > 100
    assert [line for line in (*ours, *real) if not form.fullmatch(line)] == []


def test_csds_that_are_not_shown_are_lost_events(tmp_path):
    run = sim.simulate(SCENARIOS["alone"])
    path = printed(run, tmp_path / "t.txt", longest=3)
    found = read_ftrace(path)
    hidden = run.flushes["targets"].sort_index()
    took = run.flushes["end_ns"] - run.flushes["start_ns"]
    hidden = hidden.drop(took.nlargest(3).index)
    assert found.lost == (hidden + 3).sum()
    assert not found.complete
    assert found.flushes["complete"].sum() == 3
    assert "CPU:" in path.read_text()


def test_a_window_is_a_cut_trace(tmp_path):
    run = sim.simulate(SCENARIOS["alone"])
    half = len(run.flushes) // 2
    window = tuple(run.flushes["start_ns"].iloc[[half, half + 3]])
    found = read_ftrace(printed(run, tmp_path / "t.txt", window=window))
    assert found.bad_lines == 0
    ends = found.flushes["end_ns"][found.flushes["returned"]]
    assert ends.tolist() == us(run.flushes["end_ns"].iloc[half : half + 3]).tolist()


def test_an_event_that_is_not_the_kernels_is_not_printed():
    file = io.BytesIO()
    run = sim.simulate(SCENARIOS["alone"])
    writer = FtraceWriter(file, nr_cpus_of(run), "nop")
    trace_events(run, writer.take)
    writer.finish()
    lines = file.getvalue().decode().splitlines()
    names = {line.split(": ")[1] for line in lines if not line.startswith("#")}
    assert names & {"csd_queue_cpu", "ipi_send_cpumask", "call_function_entry"}
    assert not names & {"idle", "preempted", "lock", "counter", "wake"}
