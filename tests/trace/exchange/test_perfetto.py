# SPDX-License-Identifier: MIT
"""
A run in Perfetto's own format
------------------------------

Oracle: the file decoded with the protobufs of the package ``perfetto``, and the frames
of the same run.
"""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from types import SimpleNamespace

import pandas as pd
import pytest
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

import simulator as sim
from simulator.kernel.tracer import Tracer
from simulator.run import replay
from simulator.trace.exchange.events import InOrder
from simulator.trace.exchange.perfetto import PerfettoWriter
from simulator.trace.frames import columns_of, to_frame
from simulator.trace.ipis import IpiLog
from simulator.traced import trace_events

KINDS = {
    protos.TrackEvent.TYPE_SLICE_BEGIN: "begin",
    protos.TrackEvent.TYPE_SLICE_END: "end",
    protos.TrackEvent.TYPE_INSTANT: "instant",
    protos.TrackEvent.TYPE_COUNTER: "counter",
}


def scenario(**fields):
    known = {"machine": "laptop-8", "kernel": "v6.6", "pages": 8, "cpus": 5}
    return sim.Scenario(**known | fields)


SCENARIOS = {
    "alone": scenario(pages=16, noise="idle"),
    "overlapping": scenario(path="surplus", allocators=3, noise="busy"),
    "boot": scenario(kernel="v6.12", path="boot", allocators=2, noise="overcommitted"),
    "events": scenario(path="surplus", allocators=2, noise="idle", engine="events"),
}


class Decoded:
    """The events of a file, with names in place of numbers."""

    def __init__(self, data):
        trace = protos.Trace()
        trace.ParseFromString(data)
        self.packets = trace.packet
        names = {"event_names": {}, "event_categories": {}, "debug_annotation_names": {}}
        texts, tracks = {}, {}
        self.events = []
        for packet in trace.packet:
            for field, known in names.items():
                known.update((e.iid, e.name) for e in getattr(packet.interned_data, field))
            strings = packet.interned_data.debug_annotation_string_values
            texts.update((e.iid, e.str.decode()) for e in strings)
            if packet.HasField("track_descriptor"):
                track = packet.track_descriptor
                above = tracks.get(track.parent_uuid, ())
                tracks[track.uuid] = (*above, track.name)
            if packet.HasField("track_event"):
                self.events.append(self.event(packet, names, texts, tracks))

    @staticmethod
    def event(packet, names, texts, tracks):
        e = packet.track_event
        args = {
            names["debug_annotation_names"][a.name_iid]: texts[a.string_value_iid]
            if a.string_value_iid
            else a.int_value
            for a in e.debug_annotations
        }
        return SimpleNamespace(
            ns=packet.timestamp,
            kind=KINDS[e.type],
            track=tracks[e.track_uuid][1:],
            name=names["event_names"].get(e.name_iid, ""),
            what=names["event_categories"][e.category_iids[0]] if e.category_iids else "",
            value=e.double_counter_value or e.counter_value,
            args=args,
            starts=list(e.flow_ids),
            ends=list(e.terminating_flow_ids),
        )

    def slices(self, what):
        """Return (track, name, start, end, args) of slices, which must nest."""
        open_, found = defaultdict(list), []
        for e in self.events:
            if e.kind == "begin":
                open_[e.track].append(e)
            elif e.kind == "end":
                begun = open_[e.track].pop()
                if begun.what == what:
                    found.append((e.track, begun.name, begun.ns, e.ns, begun.args))
        assert not any(open_.values())
        return found


def decoded(result, **options):
    file = io.BytesIO()
    trace_events(result, PerfettoWriter(file).take, **options)
    return Decoded(file.getvalue())


@pytest.fixture(scope="module", params=SCENARIOS)
def run(request):
    result = sim.simulate(SCENARIOS[request.param])
    return SimpleNamespace(result=result, trace=decoded(result))


def cpu(track):
    return int(track[1].removeprefix("CPU "))


def test_packets_are_in_the_order_of_time_and_names_are_interned(run):
    times = [p.timestamp for p in run.trace.packets if p.HasField("timestamp")]
    assert times == sorted(times)
    names = [e.name for p in run.trace.packets for e in p.interned_data.event_names]
    assert len(names) == len(set(names))
    assert not any(p.track_event.HasField("name") for p in run.trace.packets)


def test_slices_of_every_track_nest(run):
    open_ = defaultdict(list)
    for e in run.trace.events:
        if e.kind == "begin":
            open_[e.track].append(e.ns)
        elif e.kind == "end":
            assert open_[e.track].pop() <= e.ns
    assert not any(open_.values())


def test_time_in_handlers_by_cpu_is_that_of_the_frame(run):
    """The frame is counted by the engine as it goes, the slices are made from the draws."""
    found = Counter()
    for track, _, start_ns, end_ns, _ in run.trace.slices("handler"):
        found[cpu(track)] += end_ns - start_ns
    wanted = run.result.cpus.groupby("cpu")["handler_ns"].sum()
    assert {c: found[c] for c in wanted.index} == wanted.to_dict()


def test_interrupts_by_cpu_are_those_of_the_frame(run):
    slices = run.trace.slices("handler")
    found = Counter(cpu(track) for track, *_, args in slices if args["by"] == "IPI")
    wanted = run.result.cpus.groupby("cpu")["ipis"].sum()
    assert {c: found[c] for c in wanted.index} == wanted.to_dict()


def test_the_parts_of_a_broadcast_fill_its_time(run):
    f = run.result.flushes.set_index("flush")
    covered = Counter()
    for _, _, start_ns, end_ns, args in run.trace.slices("broadcast"):
        flush = f.loc[args["flush"]]
        assert flush["start_ns"] <= start_ns <= end_ns <= flush["end_ns"]
        covered[args["flush"]] += end_ns - start_ns
    for e in run.trace.events:
        assert e.what != "csd_queue" or f.loc[e.args["flush"], "start_ns"] <= e.ns
    took = (f["end_ns"] - f["start_ns"]).to_dict()
    # The local call, where it is known, is a slice of its own.
    local = Counter()
    for track, _, start_ns, end_ns, _ in run.trace.slices("call"):
        if track[0] == "tasks":
            local[track] += end_ns - start_ns
    assert sum(covered.values()) + sum(local.values()) == sum(took.values())


def test_a_flow_leads_from_each_csd_to_its_handler_and_back(run):
    flows = defaultdict(list)
    for e in run.trace.events:
        for flow in (*e.starts, *e.ends):
            flows[flow].append((e.what, e.ns, e.track))
    ipis = run.result.ipis(range(len(run.result.flushes)))
    assert len(flows) == len(ipis)
    wanted = Counter(
        zip(ipis["enqueue_ns"], ipis["end_ns"], ipis["ack_ns"], ipis["cpu"], strict=True)
    )
    ends = Counter()
    calls = {(t, s): e for t, _, s, e, _ in run.trace.slices("call")}
    for steps in flows.values():
        (queue, queued, _), (call, began, track), (ack, acked, _) = steps
        assert (queue, call, ack) == ("csd_queue", "call", "csd_ack")
        ends[queued, calls[track, began], acked, cpu(track)] += 1
    assert ends == wanted


def test_a_handler_says_in_which_state_it_found_its_cpu(run):
    ipis = run.result.ipis(range(len(run.result.flushes)))
    wanted = {(c, s): str(w) for c, s, w in ipis[["cpu", "start_ns", "state"]].to_numpy()}
    found = {(cpu(t), s): args["found"] for t, _, s, _, args in run.trace.slices("handler")}
    assert found == wanted


def test_phases_and_counters_are_those_of_the_frames(run):
    phases = [(name, end - start) for _, name, start, end, _ in run.trace.slices("phase")]
    summary = run.result.summary
    assert phases == list(zip(summary["phase"].astype(str), summary["elapsed_ns"], strict=True))
    values = defaultdict(list)
    for e in run.trace.events:
        if e.kind == "counter":
            values[e.track[1]].append(e.value)
    assert max(values["vmemmap pages held"]) == summary["peak_held_pages"].max()
    assert min(values["free pages"]) == summary["free_pages_min"].min()
    assert max(values["huge pages"]) == run.result.counts["pages_got"].max()
    assert values["outstanding csds"][-1] == 0 <= min(values["outstanding csds"])


def test_waiting_for_spinlocks_takes_what_the_frame_says():
    """The frame has the cost of taking them too, without a wait."""
    result = sim.simulate(SCENARIOS["overlapping"])
    waits = decoded(result).slices("lock_wait")
    assert waits
    found = Counter()
    for _, name, start_ns, end_ns, args in waits:
        assert args["holder"].startswith("task ")
        found[name.removeprefix("wait for ")] += end_ns - start_ns
    spent = result.time_by.groupby("category")["ns"].sum()
    for lock in ("hugetlb_lock", "page_table_lock"):
        assert found[lock] <= spent.get(lock, 0)
    assert found["page_table_lock"] > 0.5 * spent["page_table_lock"]


def test_a_window_holds_what_the_whole_has_there():
    result = sim.simulate(SCENARIOS["overlapping"])
    quarter = len(result.flushes) // 4
    start_ns, end_ns = result.flushes["start_ns"].iloc[[quarter, 2 * quarter]].tolist()
    cut = decoded(result, window=(start_ns, end_ns))
    whole = [
        (t, n, max(s, start_ns), min(e, end_ns))
        for t, n, s, e, _ in decoded(result).slices("handler")
        if s <= end_ns and e >= start_ns
    ]
    found = [(t, n, s, e) for t, n, s, e, _ in cut.slices("handler")]
    assert sorted(found) == sorted(whole)
    assert found
    assert all(start_ns <= e.ns <= end_ns for e in cut.events)


def test_the_longest_flushes_alone_have_their_handlers():
    result = sim.simulate(SCENARIOS["alone"])
    few = decoded(result, longest=2)
    f = result.flushes
    longest = (f["end_ns"] - f["start_ns"]).nlargest(2).index
    flushes = {args["flush"] for t, *_, args in few.slices("call") if t[0] == "CPUs"}
    assert flushes == set(f.loc[longest, "flush"])


def test_a_function_of_a_users_kernel_is_traced_by_its_name(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from simulator.kernel.versions.v6_6 import V6_6\n"
        "class Mine(V6_6):\n"
        "    name, base, subject, commit, summary = 'mine', 'v6.6', 'mine', '', ''\n"
        "    def alloc_fresh_hugetlb_folio(k, *args):\n"
        "        k.my_own_step()\n"
        "        return super().alloc_fresh_hugetlb_folio(*args)\n"
        "    def my_own_step(k):\n"
        "        k.current.work('bookkeeping', 1000)\n"
    )
    result = sim.simulate(scenario(kernel=str(file), phases=("alloc",)))
    trace = decoded(result, wanted=lambda name: name == "my_own_step")
    found = trace.slices("function")
    assert len(found) == result.summary["pages"].sum()
    assert {(name, end - start) for _, name, start, end, _ in found} == {("my_own_step", 1000)}


def test_violations_are_instants_of_their_tasks():
    result = sim.simulate(scenario(kernel="v6.7-no-final-flush"))
    f = result.violations
    found = [(e.name, e.ns, e.track[1]) for e in decoded(result).events if e.what == "violation"]
    wanted = [(str(n), ns, f"task {t}") for n, ns, t in f[["invariant", "ns", "task"]].to_numpy()]
    assert sorted(found) == sorted(wanted)
    assert found


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_traced_run_is_the_run_itself(name):
    result = sim.simulate(SCENARIOS[name])
    kernels = []

    def attach(kernel):
        out = InOrder(lambda event: None)
        Tracer(out, lambda name: True, lambda *_: None, lambda ns: ns).attach(kernel)
        kernels.append(kernel)

    replay(SCENARIOS[name], IpiLog(), attach)
    for frame in ("flushes", "cpus", "time_by", "summary", "latency", "folios"):
        traced = to_frame(columns_of(kernels[0].recorder, frame))
        pd.testing.assert_frame_equal(traced, getattr(result, frame))
