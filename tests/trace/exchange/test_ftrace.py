# SPDX-License-Identifier: MIT
"""
Traces of real machines, as frames
----------------------------------

Oracles: ``expected.csv``, counted by other tools; traces worked by hand; what a
trace says when its lines are printed in another form.
"""

from __future__ import annotations

import csv
import gzip
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simulator as sim
from simulator.report.trace_text import trace_json, trace_report
from simulator.trace import read_ftrace
from tests.trace.exchange.conftest import DATA, text_of

with (DATA / "expected.csv").open(encoding="utf-8") as _file:
    EXPECTED = {row.pop("file").removesuffix(".gz"): row for row in csv.DictReader(_file)}
DEFAULT = "trace-7.3-4cpu-alloc16-default.txt"
HEADER = {
    "lines": "lines",
    "comment_lines": "comment_lines",
    "hdr_in_buffer": "entries_in_buffer",
    "hdr_written": "entries_written",
    "hdr_cpus": "cpus",
    "lost_marker_lines": "lost_markers",
    "lost_events_total": "lost",
}


# --- real traces ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPECTED)
def test_counts_are_those_of_the_answer_key(name):
    found = trace_json(read_ftrace(DATA / f"{name}.gz"))
    for column, cell in EXPECTED[name].items():
        if cell and column in HEADER:
            assert found[HEADER[column]] == int(cell), column
        elif cell and column != "bytes":
            assert found["events"].get(column, 0) == int(cell), column


@pytest.mark.parametrize("name", EXPECTED)
def test_flushes_are_the_calls_that_probes_and_tracers_counted(name):
    row = EXPECTED[name]
    found = read_ftrace(DATA / f"{name}.gz").flush_counts
    calls = int(row["fta"]) or int(row["fn_flush_tlb_all"])
    assert found.get("flush_tlb_all", 0) == calls


def test_kernel_without_csd_events_is_counted_by_its_probes():
    # 128 pages were freed one by one, by 8 CPUs: counted with kprobe histograms.
    trace = read_ftrace(DATA / "ftrace-6.1-8cpu-128-free.txt.gz")
    assert trace.complete
    assert trace.flush_counts == {"flush_tlb_kernel_range": 128}
    assert (trace.flushes["pages"] == 7).all()
    assert (trace.flushes["targets"] == 7).all()
    assert trace.counts["do_kernel_range_flush_exec_total"].tolist() == [1024]
    assert trace.summary["phase"].tolist() == ["free"]


def test_first_flush_of_a_real_trace_is_as_read_by_hand():
    trace = read_ftrace(DATA / f"{DEFAULT}.gz")
    flush = trace.flushes.iloc[0].to_dict()
    assert flush == flush | {
        "phase": "alloc", "flush": 0, "task": 128, "cpu": 2, "function": "flush_tlb_all",
        "reason": "unknown", "kind": "all", "pages": 0, "start_ns": 29_882_618_000,
        "send_end_ns": 29_882_649_000, "last_ack_ns": 29_889_621_000, "end_ns": 29_890_237_000,
        "targets": 3, "ipis": 2, "ipis_saved": 1, "slowest_cpu": 1, "vector": "CALL_FUNCTION",
        "returned": True, "complete": True, "elapsed_ns": 7_619_000,
    }  # fmt: skip
    first = trace.ipis([0]).drop(columns="flush").to_dict("records")
    us = 29_880_000_000
    assert first == [
        {"cpu": 0, "enqueue_ns": us + 2_639_000, "send_ns": -1, "start_ns": us + 9_422_000,
         "function_ns": us + 9_430_000, "end_ns": us + 9_470_000, "exit_ns": us + 9_488_000,
         "state": "idle", "sent": False},
        {"cpu": 1, "enqueue_ns": us + 2_642_000, "send_ns": us + 2_649_000,
         "start_ns": us + 9_581_000, "function_ns": us + 9_589_000, "end_ns": us + 9_621_000,
         "exit_ns": us + 9_626_000, "state": "idle", "sent": True},
        {"cpu": 3, "enqueue_ns": us + 2_644_000, "send_ns": us + 2_649_000,
         "start_ns": us + 9_123_000, "function_ns": us + 9_164_000, "end_ns": us + 9_253_000,
         "exit_ns": us + 9_271_000, "state": "idle", "sent": True},
    ]  # fmt: skip


def test_text_patching_is_no_flush():
    # 6.12 flushes thousands of times by itself while it pokes text: those are no broadcasts.
    trace = read_ftrace(DATA / "trace-6.12-4cpu-alloc16-default.txt.gz")
    assert trace.events["tlb_flush"] == 3965
    assert trace.flush_counts == {"flush_tlb_all": 2}
    assert trace.summary["other_broadcasts"].tolist() == [12]  # oec less fta: 14 - 2
    assert trace.summary["other_ipis"].tolist() == [31]


@pytest.mark.parametrize(
    "name",
    ["alloc16-head-cut", "alloc16-truncated-midline", "alloc64-overwrite", "alloc16-percpu1"],
)
def test_what_is_missing_makes_a_trace_incomplete(name):
    assert not read_ftrace(DATA / f"trace-7.3-4cpu-{name}.txt.gz").complete


def test_counter_has_no_time_and_says_so():
    trace = read_ftrace(DATA / "trace-7.3-4cpu-alloc8-clock-counter.txt.gz")
    assert trace.clock == "counter"
    assert trace.complete
    assert any("no times" in note for note in trace.notes)
    times = [name for name in trace.flushes if name.endswith("_ns")]
    assert (trace.flushes[times] == -1).all(axis=None)
    assert trace.latency.empty
    assert trace.flushes["complete"].all()


def test_cycles_need_a_frequency():
    path = DATA / "trace-7.3-4cpu-free8-clock-x86tsc.txt.gz"
    assert (read_ftrace(path).flushes["start_ns"] == -1).all()
    cycles = [int(x) for x in re.findall(r"(\d+): (?:fta|ftax):", text_of(path.stem))]
    trace = read_ftrace(path, tsc_hz=2_000_000_000)
    assert trace.flushes["start_ns"].tolist() == [cycles[0] // 2]
    assert trace.flushes["end_ns"].tolist() == [cycles[1] // 2]


def test_durations_of_function_graph_are_those_printed():
    trace = read_ftrace(DATA / "trace-7.3-4cpu-alloc8-graph.txt.gz")
    assert trace.flushes["elapsed_ns"].tolist() == [425_428, 258_926]
    assert trace.flushes["targets"].tolist() == [3, 3]


# --- forms -----------------------------------------------------------------------------------


def events_alone(trace):
    """Return what every form of a trace has to tell alike."""
    return (
        trace.events,
        trace.complete,
        trace.flushes.to_dict("records"),
        trace.ipis().to_dict("records"),
    )


def context(line):
    """Return comm, pid, cpu, flags, time and event of a line in the default form."""
    return re.fullmatch(
        r" *(.*)-(\d+) +\[(\d+)\] (\S+) +(\d+\.\d+): (.*)", line
    ).groups()  # fmt: skip


def rewritten(form):
    """Return the default trace with every line printed by `form`."""
    lines = text_of(DEFAULT).splitlines()
    return "".join(f"{line if line.startswith('#') else form(*context(line))}\n" for line in lines)


FORMS = {
    "CRLF": lambda: text_of(DEFAULT).replace("\n", "\r\n"),
    "without a newline at the end": lambda: text_of(DEFAULT).removesuffix("\n"),
    "record-tgid": lambda: rewritten(
        lambda comm, pid, cpu, flags, time, event: (
            f"{comm:>16}-{pid:<7} ({pid:>7}) [{cpu}] {flags} {time}: {event}"
        )
    ),
    "without irq-info": lambda: rewritten(
        lambda comm, pid, cpu, _flags, time, event: f"{comm:>16}-{pid:<7} [{cpu}] {time}: {event}"
    ),
    "names of tasks with blanks, dashes and brackets": lambda: rewritten(
        lambda _comm, pid, cpu, flags, time, event: (
            f" a-1 [0] b:c-{pid} [{cpu}] {flags} {time}: {event}"
        )
    ),
    "call chains between lines": lambda: rewritten(
        lambda comm, pid, cpu, flags, time, event: (
            f"{comm:>16}-{pid:<7} [{cpu}] {flags} {time}: {event}\n => smp_call+0x1/0x2\n => do_it"
        )
    ),
    "nanoseconds": lambda: rewritten(
        lambda comm, pid, cpu, flags, time, event: (
            f"{comm:>16}-{pid:<7} [{cpu}] {flags} {time}000: {event}"
        )
    ),
    "latency-format, with absolute times": lambda: rewritten(
        lambda comm, pid, cpu, flags, time, event: (
            f"{comm:>8.8}-{pid:<7} {int(cpu):3d}{flags} {time.replace('.', '')}us+: {event}"
        )
    ),
    "verbose": lambda: rewritten(
        lambda comm, pid, cpu, _flags, time, event: (
            f"{comm:>16} {pid:>7} {int(cpu):3d} 9 00000001 00000000"
            f" [{int(time.replace('.', '')):08x}] 19.448ms (+0.038ms): {event}"
        )
    ),
    "perf script": lambda: rewritten(
        lambda comm, pid, cpu, _flags, time, event: (
            f"{comm:>16} {pid:>5} [{cpu}] {time}: group:{event}\n\tffffffff8138cf02 f+0x2 ([k])\n"
        )
    ),
    "trace-cmd report": lambda: rewritten(
        lambda comm, pid, cpu, _flags, time, event: (
            f"{comm:>16}-{pid:<5} [{cpu}] {time}: {event.replace(': ', ':      ', 1)}"
        )
    ),
    "trace-cmd report with flags": lambda: rewritten(
        lambda comm, pid, cpu, flags, time, event: (
            f"{comm:>16}-{pid:<5} [{cpu}] {flags} {time}: {event.replace(': ', ':      ', 1)}"
        )
    ),
    "CPUs as a list": lambda: re.sub(
        r"cpumask=00000000,0000000(\w)",
        lambda m: "cpumask=" + {"a": "1,3", "b": "0-1,3"}[m[1]],
        text_of(DEFAULT),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_trace_tells_the_same(form, read):
    text = FORMS[form]()
    found = read(text)
    assert events_alone(found) == events_alone(read_ftrace(DATA / f"{DEFAULT}.gz"))
    assert found.bad_lines == 0
    assert found.clock == "ns"


def test_csds_alone_make_the_flushes_that_probes_make(read):
    text = re.sub(r".*: (fta|ftax|dfa|oec): .*\n", "", text_of(DEFAULT))
    text = re.sub(r"# entries.*\n", "", text)
    found, with_probes = read(text), read_ftrace(DATA / f"{DEFAULT}.gz")
    assert found.ipis().equals(with_probes.ipis())
    same = ["cpu", "function", "send_end_ns", "last_ack_ns", "targets", "ipis", "slowest_cpu"]
    assert found.flushes[same].equals(with_probes.flushes[same])
    # It begins with the first csd, and ends with the last that was released.
    assert found.flushes["start_ns"].tolist() == [29_882_639_000, 29_895_503_000]
    assert found.flushes["end_ns"].tolist() == [29_889_719_000, 29_896_137_000]


def test_addresses_are_taken_for_what_the_probe_is_named(read):
    text = re.sub(r"\((\w+)\+0x\w+/0x\w+\)", "(ffffffff8133b2f4)", text_of(DEFAULT))
    text = re.sub(r"\(\S+ <- \w+\)", "(ffffffff8133b2f4 <- ffffffff8173b1b2)", text)
    assert events_alone(read(text)) == events_alone(read_ftrace(DATA / f"{DEFAULT}.gz"))


GRAPH = """\
# tracer: function_graph
#
#     TIME        CPU  TASK/PID         DURATION                  FUNCTION CALLS
#      |          |     |    |           |   |                     |   |   |   |
  100.000001 |   3)    hh-150    |               |  flush_tlb_kernel_range(start=0x0, end=0x7000) {
  100.000002 |   3)    hh-150    |               |    on_each_cpu_cond_mask() {
  100.000003 |   3)    hh-150    |               |      /* csd_queue_cpu: cpu=0 callsite=f+0x1/0x2 \
func=do_kernel_range_flush csd=00000000c4b5192a */
  100.000010 |   0)   <idle>-0   |   ==========> |
  100.000010 |   0)   <idle>-0   |               |  /* csd_function_entry: \
func=do_kernel_range_flush, csd=00000000c4b5192a */
  100.000011 |   0)   <idle>-0   |   1.000 us    |  do_kernel_range_flush();
  100.000014 |   0)   <idle>-0   |               |  /* csd_function_exit: \
func=do_kernel_range_flush, csd=00000000c4b5192a */
  100.000014 |   0)   <idle>-0   |   <========== |
 ------------------------------------------
 0)   <idle>-0    =>    sh-12
 ------------------------------------------

  100.000020 |   3)    hh-150    | + 18.000 us   |    } /* on_each_cpu_cond_mask = 0x0 */
  100.000021 |   3)    hh-150    | + 20.125 us   |  }
"""


def test_function_graph_with_times_tasks_arguments_and_events(read):
    trace = read(GRAPH)
    assert trace.bad_lines == 0
    flush = trace.flushes.iloc[0].to_dict()
    assert flush == flush | {
        "function": "flush_tlb_kernel_range", "task": 150, "cpu": 3, "start_ns": 100_000_001_000,
        "end_ns": 100_000_021_000, "elapsed_ns": 20_125, "targets": 1, "returned": True,
        "last_ack_ns": 100_000_014_000, "pages": 7, "complete": True,
    }  # fmt: skip


def line(cpu, ns, event, pid=0):
    return f"            task-{pid:<7} [{cpu:03d}] d..1. {ns // 10**9:5d}.{ns % 10**9:09d}: {event}"


def csd(what, to, pointer, func="flush_tlb_func"):
    if what == "queue":
        return (
            f"csd_queue_cpu: cpu={to} callsite=flush_tlb_mm_range+0x1/0x9 func={func} csd={pointer}"
        )
    return f"csd_function_{what}: func={func}, csd={pointer}"


def test_flushes_that_overlap_are_told_apart_by_their_csds(read):
    # CPUs 0 and 1 flush at once; CPU 2 runs both csds in one handler, the later one first.
    text = "\n".join([
        line(0, 1000, csd("queue", 2, "a0"), pid=10),
        line(1, 1100, csd("queue", 2, "b0"), pid=11),
        line(1, 1150, csd("queue", 3, "b1"), pid=11),
        line(0, 1200, "ipi_send_cpu: cpu=2 callsite=f+0x1 callback=g+0x0", pid=10),
        line(2, 2000, "call_function_single_entry: vector=251"),
        line(2, 2010, csd("entry", 2, "b0")),
        line(2, 2020, csd("exit", 2, "b0")),
        line(2, 2030, csd("entry", 2, "a0")),
        line(2, 2040, csd("exit", 2, "a0")),
        line(2, 2050, "call_function_single_exit: vector=251"),
        line(3, 2060, csd("entry", 3, "b1")),
        line(3, 2070, csd("exit", 3, "b1")),
        line(0, 3000, csd("queue", 2, "a0"), pid=10),
        "",
    ])  # fmt: skip
    trace = read(text)
    flushes = trace.flushes
    assert flushes["cpu"].tolist() == [0, 1, 0]
    assert flushes["start_ns"].tolist() == [1000, 1100, 3000]
    assert flushes["last_ack_ns"].tolist() == [2040, 2070, -1]
    assert flushes["slowest_cpu"].tolist() == [2, 3, -1]
    assert flushes["ipis"].tolist() == [1, 0, -1]  # of the last, not all is there
    assert flushes["complete"].tolist() == [True, True, False]
    assert trace.ipis()["start_ns"].tolist() == [2000, 2000, 2060, -1]
    assert trace.ipis()["exit_ns"].tolist() == [2050, 2050, -1, -1]


def test_repeated_flushes_of_one_target_are_as_many(read):
    lines = []
    for i in range(5):
        lines += [
            line(0, 100 * i + 1, csd("queue", 1, "a0"), pid=10),
            line(1, 100 * i + 50, csd("entry", 1, "a0")),
            line(1, 100 * i + 60, csd("exit", 1, "a0")),
        ]
    trace = read("\n".join(lines) + "\n")
    assert trace.flush_counts == {"flush_tlb_mm_range": 5}
    assert trace.flushes["elapsed_ns"].tolist() == [59] * 5


# --- what is lost, bad or unknown ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("mark", "lost"),
    [
        ("CPU:3 [LOST 12 EVENTS]", 12),
        ("CPU:3 [LOST EVENTS]", 0),
        ("CPU:3 [12 EVENTS DROPPED]", 12),
        ("CPU:3 [EVENTS DROPPED]", 0),
        ("hh   1 [003]    29.9: PERF_RECORD_LOST lost 12", 12),
    ],
)
def test_lost_events_are_counted_and_make_what_is_under_way_incomplete(mark, lost, read):
    # Between the first flush's call and its return, once; and twice after the last line.
    text = text_of(DEFAULT)
    before, after = text.split("29.889123: ", 1)
    at = before.rindex("\n") + 1
    text = f"{before[:at]}{mark}\n{before[at:]}29.889123: {after}{mark}\n{mark}\n"
    trace = read(text)
    assert (trace.lost, trace.lost_markers) == (3 * lost, 3)
    assert not trace.complete
    assert trace.bad_lines == 0
    assert trace.flushes["complete"].tolist() == [False, True]


def test_buffer_that_begins_late_makes_a_trace_incomplete(read):
    trace = read(
        f"##### CPU 2 buffer started ####\n{line(0, 1, 'tlb_flush: pages:1 reason:x (3)')}\n"
    )
    assert not trace.complete
    assert trace.lost == 0


def test_unknown_events_and_bad_lines_are_counted_with_their_numbers(read):
    lines = [line(0, i, "sched_switch: prev_comm=a") for i in range(3)]
    lines.insert(1, "what is this")
    lines.insert(4, "[   12.345] random: crng init done")
    trace = read("\n".join(lines) + "\n")
    assert trace.events == {"sched_switch": 3}
    assert trace.unknown == {"sched_switch": 1}
    assert [(bad.number, bad.text) for bad in trace.bad] == [(2, lines[1]), (5, lines[4])]
    assert trace.bad_lines == 2
    text = trace_report(trace)
    assert "sched_switch (unknown; line 1)" in text
    assert "what is this" in text


def test_header_that_counts_all_lines_vouches_for_a_trace_with_bad_ones(read):
    assert not read(f"{line(0, 1, 'a: b')}\nbad\n").complete
    assert read(
        f"# entries-in-buffer/entries-written: 1/1   #P:4\n{line(0, 1, 'a: b')}\nbad\n"
    ).complete


TEXT = text_of(DEFAULT).encode()
WHOLE = read_ftrace(DATA / f"{DEFAULT}.gz")


def of_bytes(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace"
        path.write_bytes(data)
        return read_ftrace(path)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, len(TEXT) - 1000), st.integers(1000, len(TEXT)))
def test_piece_of_a_trace_counts_no_more_than_the_whole(start, length):
    piece = TEXT[start : start + length]
    trace = of_bytes(piece)
    # Of a line that is cut at its start or end, a part of the name may be left.
    excess = trace.events - WHOLE.events
    assert sum(excess.values()) <= 2
    assert trace.bad_lines <= 2
    assert len(trace.flushes) <= len(WHOLE.flushes) + 1
    assert trace.complete <= (start == 0 or piece.count(b"\n") > 0)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=80), max_size=20), st.randoms(use_true_random=False))
def test_garbage_between_lines_is_no_crash_and_hides_nothing(garbage, random):
    lines = TEXT.splitlines()
    for junk in garbage:
        # What looks like a line, or is none at all, is for other tests.
        clean = junk.translate(None, b"\0\r\n:#|=>)").strip() or b"?"
        lines.insert(random.randrange(12, len(lines)), b"?" + clean)
    trace = of_bytes(b"\n".join(lines) + b"\n")
    assert trace.events == WHOLE.events
    assert trace.bad_lines == len(garbage)
    assert trace.flushes.equals(WHOLE.flushes)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=4000))
def test_bytes_of_any_kind_are_read_or_refused(data):
    with suppress(sim.InputError):
        of_bytes(data)


def test_gzip_that_stops_early_is_read_as_far_as_it_goes(read):
    packed = (DATA / f"{DEFAULT}.gz").read_bytes()
    trace = read(packed[: len(packed) // 2])
    assert 50 < sum(trace.events.values()) < 284
    assert not trace.complete
    assert "the file is cut" in trace.notes


def test_joined_gzip_files_are_one(read):
    half = TEXT.index(b"\n", len(TEXT) // 2) + 1
    trace = read(gzip.compress(TEXT[:half]) + gzip.compress(TEXT[half:]) + b"\0" * 16)
    assert events_alone(trace) == events_alone(WHOLE)


# --- what is no trace ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"\n\n", "holds no line of a trace"),
        (b"hello: world\nfoo: bar\n", "holds no line of a trace"),
        (b"\x17\x08\x44tracing6\0", "trace-cmd report"),
        (b"PERFILE2" + bytes(100), "perf script"),
        (b"a\0b\n", "is binary"),
        (b"x" * 100_000, "line 1 is longer than 65536 bytes"),
        (b"# tracer: nop\n" + b"x" * 100_000, "line 2 is longer than 65536 bytes"),
        (b"\x1f\x8b\x08\x00" + b"\xff" * 40, "does not unpack"),
        (b"junk\n" * 20_000, "holds no line of a trace"),
    ],
)
def test_what_is_no_trace_is_refused_in_one_line(data, reason, read):
    with pytest.raises(sim.InputError, match=reason) as error:
        read(data)
    assert "\n" not in str(error.value)


def test_pipe_folder_and_missing_file_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, reason in (("pipe", "a pipe"), (".", "is a folder"), ("none", "no such file")):
        with pytest.raises(sim.InputError, match=reason):
            read_ftrace(tmp_path / name)


# --- as a result ----------------------------------------------------------------------------------


def test_open_result_takes_a_trace_or_a_saved_result(tmp_path):
    sim.simulate(sim.Scenario(machine="laptop-8", pages=2, engine="events")).save(
        tmp_path / "saved"
    )
    simulated = sim.open_result(tmp_path / "saved")
    measured = sim.open_result(DATA / f"{DEFAULT}.gz")
    for frame in ("summary", "flushes", "latency"):
        # A trace has columns of a simulation, and a few of its own.
        common = set(getattr(simulated, frame)) & set(getattr(measured, frame))
        assert "phase" in common
        assert len(common) >= 5
    assert set(measured.counts) <= set(simulated.counts)


def test_ipis_of_a_flush_that_is_not_there_are_refused():
    with pytest.raises(sim.InputError, match="flushes: 2 is not 0 to 1"):
        WHOLE.ipis([2])


def test_latencies_are_those_of_the_flushes():
    rows = WHOLE.latency
    for what, count in (("flush", 2), ("ack", 6), ("handler", 6)):
        mine = rows[rows["what"] == what]
        assert mine["count"].sum() == count
    flush = rows[rows["what"] == "flush"]
    elapsed = sorted(WHOLE.flushes["elapsed_ns"])
    assert ((flush["low_ns"] <= elapsed) & (pd.Series(elapsed) < flush["high_ns"])).all()
