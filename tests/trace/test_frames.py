# SPDX-License-Identifier: MIT
"""
The contract of the frames
--------------------------

Oracle: the table of columns below, which is the agreement between a run and
everything that reads it, and identities between frames: what is counted twice
must be the same, what is a part must sum to the whole.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from simulator.analysis.frames import Totals, rows_of
from simulator.errors import InputError
from simulator.run import simulate
from simulator.saved import load_result
from simulator.scenario import Scenario
from simulator.trace.contract import FRAMES as TABLE
from simulator.trace.contract import IPIS
from simulator.trace.result import Result
from tests.kernel.helpers import constant

CONTRACT = {
    "summary": """phase pages elapsed_ns elapsed_s pages_per_s flushes ipis ipis_saved
        other_broadcasts other_ipis flush_ns flush_share pmd_splits optimized_folios failed_folios
        peak_held_pages free_pages_min ptl_held_max_ns irqs_off_max_ns preempt_off_max_ns
        victim_lost_median_ns victim_lost_max_ns violations""",
    "counts": """phase pages_got pmd_splits flush_tlb_kernel_range_calls flush_tlb_all_calls
        do_flush_tlb_all_exec_total do_kernel_range_flush_exec_total
        flush_tlb_one_kernel_exec_total on_each_cpu_calls vmemmap_pages_freed
        vmemmap_head_pages_allocated vmemmap_pages_allocated_restore synchronize_rcu_calls
        hugepage_allocs""",
    "folios": """phase folio task pfn start_ns split_ns remap_ns restore_ns flush_ns end_ns
        ready_ns status""",
    "flushes": """phase flush task cpu reason kind pages start_ns send_end_ns last_ack_ns end_ns
        targets ipis icr_writes slowest_cpu vector mechanism nr_ahead""",
    "cpus": """phase cpu socket role ipis handler_ns refill_ns lost_ns idle_woken
        irqs_off_delay_ns stall_ns""",
    "time_by": "phase task category ns share",
    "throughput": "phase start_ns window_ns folios pages_per_s",
    "latency": "phase what low_ns high_ns count",
    "violations": "phase ns cpu task invariant what store missing function line times",
    "ipis": "flush cpu enqueue_ns send_ns arrive_ns start_ns end_ns ack_ns state sent",
}
CONTRACT = {name: columns.split() for name, columns in CONTRACT.items()}
FRAMES = [name for name in CONTRACT if name != "ipis"]
SORTED_BY = {
    "summary": ["phase"],
    "counts": ["phase"],
    "folios": ["phase", "folio"],
    "flushes": ["phase", "flush"],
    "cpus": ["phase", "cpu"],
    "time_by": ["phase", "task", "category"],
    "throughput": ["phase", "start_ns"],
    "latency": ["phase", "what", "low_ns"],
    "violations": ["phase", "ns"],
    "ipis": ["flush", "cpu"],
}
CATEGORIES = {"phase", "status", "reason", "kind", "role", "category", "what", "state", "vector"}
CATEGORIES |= {"invariant", "store", "missing", "function", "mechanism"}
FLOATS = {"elapsed_s", "pages_per_s", "flush_share", "share"}
TIME_BY = """
    huge_page_alloc huge_page_free pte_page_alloc pte_page_fill split remap restore page_copy
    page_alloc page_free barrier hugetlb_lock page_table_lock mmap_lock flush_enqueue flush_send
    flush_local flush_wait interrupted static_key rcu bookkeeping sleep"""
PHASES = ("alloc", "free", "alloc", "free")
LABELS = ["alloc", "free", "alloc2", "free2"]

SCENARIOS = {
    "v6.6": {"kernel": "v6.6", "pages": 70},
    "v6.7": {"kernel": "v6.7", "pages": 70, "noise": "busy"},
    "pool": {"kernel": "v6.6", "pages": 9, "allocators": 3},
    "boot": {"kernel": "v6.7", "pages": 30, "path": "boot", "allocators": 8},
    "boot-unbatched": {"kernel": "v6.6", "pages": 30, "path": "boot", "allocators": 4},
    "surplus-events": {
        "kernel": "v6.6",
        "pages": 20,
        "path": "surplus",
        "allocators": 4,
        "engine": "events",
    },
    "surplus": {"kernel": "v6.7", "pages": 20, "path": "surplus", "allocators": 4},
    "hvo-off": {"kernel": "v6.6", "pages": 5, "hvo": False},
    "one-cpu": {"kernel": "v6.7", "pages": 5, "cpus": 1},
    "two-cpus": {"kernel": "v6.6", "pages": 5, "cpus": 2, "noise": "idle"},
    "1G": {"kernel": "v6.6+6", "pages": 2, "page_size": "1G"},
    "enomem": {"kernel": "v6.7", "pages": 5, "faults": {"pte_page": [1, 2, 3]}},
    "no-memory": {"kernel": "v6.6", "pages": 3, "free_pages": 0},
    "guest": {
        "machine": "epyc-7j13-vm252",
        "kernel": "v6.6",
        "pages": 5,
        "cpus": 70,
        "noise": "overcommitted",
        "engine": "events",
    },
    "xeon": {"machine": "xeon-e7-8895-8s", "kernel": "v6.6+5", "pages": 9, "cpus": 100},
}


def scenario_of(name):
    return Scenario(**{"machine": "laptop-8", "phases": PHASES, **SCENARIOS[name]})


@pytest.fixture(scope="module")
def results():
    """Return a function that simulates a scenario once."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = simulate(scenario_of(name))
        return made[name]

    return get


@pytest.fixture(params=SCENARIOS)
def result(request, results):
    return results(request.param)


def frames_of(result):
    yield from ((name, getattr(result, name)) for name in FRAMES)
    yield "ipis", result.ipis(range(min(3, len(result.flushes))))


def by_phase(frame, column, how):
    return frame.groupby("phase", observed=False)[column].agg(how)


# --- columns ------------------------------------------------------------------------------


def test_every_frame_has_the_columns_of_the_contract_in_its_order(result):
    for name, frame in frames_of(result):
        known = [column for column in frame.columns if column in CONTRACT[name]]
        assert known == CONTRACT[name]


def test_frames_are_those_of_their_table(result):
    kinds = {"int64": np.int64, "float64": np.float64, "bool": np.bool_}
    assert list(TABLE) == FRAMES
    for name, frame in frames_of(result):
        table = TABLE.get(name, IPIS)
        assert tuple(frame.columns) == table.names
        assert list(table.names[: table.nr_keys]) == SORTED_BY[name]
        for column in table.columns:
            if column.kind == "word":
                categories = tuple(frame[column.name].cat.categories)
                assert categories == (column.words or categories)
            else:
                assert frame[column.name].dtype == kinds[column.kind]


def test_columns_are_int64_categories_or_the_few_floats(result):
    for name, frame in frames_of(result):
        for column, dtype in frame.dtypes.items():
            if column in CATEGORIES:
                assert isinstance(dtype, pd.CategoricalDtype), (name, column)
                assert frame[column].notna().all()
            elif column == "sent":
                assert dtype == np.bool_
            else:
                wanted = np.float64 if column in FLOATS else np.int64
                assert dtype == wanted, (name, column)


def test_rows_are_sorted_by_their_first_columns(result):
    for name, frame in frames_of(result):
        ordered = frame.sort_values(SORTED_BY[name], kind="stable")
        assert ordered.index.equals(frame.index), name
        assert not frame.duplicated(SORTED_BY[name]).any(), name
        assert list(frame.columns[: len(SORTED_BY[name])]) == SORTED_BY[name]


def test_phases_are_labelled_in_their_order(result):
    for name in FRAMES:
        frame = getattr(result, name)
        assert list(frame["phase"].cat.categories) == LABELS
        if name not in ("flushes", "violations"):
            assert list(frame["phase"].unique()) == LABELS


@pytest.mark.parametrize("name", [*FRAMES, "ipis"])
def test_docstrings_name_every_column_and_nothing_else(results, name):
    frame = dict(frames_of(results("v6.6")))[name]
    member = Result.__dict__[name]
    text = (member.func if hasattr(member, "func") else member).__doc__
    named = set(re.findall(r"``([a-z_0-9]+)``", text))
    assert set(frame.columns) <= named
    values = {str(v) for column in frame for v in getattr(frame[column], "cat", pd).__dict__}
    words = {str(c) for c in CATEGORIES & set(frame) for c in frame[c].cat.categories}
    assert named - set(frame.columns) <= words | values | {"flushes"}


# --- sums and identities ------------------------------------------------------------------


def test_time_by_sums_to_elapsed_exactly_for_every_task(result):
    time_by = result.time_by
    assert set(time_by["category"].unique()) <= set(TIME_BY.split())
    sums = time_by.groupby(["phase", "task"], observed=True)[["ns", "share"]].sum()
    elapsed = result.summary.set_index("phase")["elapsed_ns"]
    for (phase, _task), row in sums.iterrows():
        assert row["ns"] == elapsed[phase]
        assert row["share"] == pytest.approx(1)
    assert (time_by["ns"] > 0).all()
    tasks = time_by[time_by["phase"] == "alloc"]["task"].nunique()
    assert tasks == result.scenario.allocators


def test_elapsed_is_the_time_between_phases(result):
    summary = result.summary
    ends = summary["elapsed_ns"].cumsum()
    starts = ends - summary["elapsed_ns"]
    assert (summary["elapsed_s"] * 1e9).round().astype(int).tolist() == (
        summary["elapsed_ns"].tolist()
    )
    for label, start_ns, end_ns in zip(LABELS, starts, ends, strict=True):
        folios = result.folios[result.folios["phase"] == label]
        assert start_ns <= folios["start_ns"].min()
        assert folios["ready_ns"].max() <= end_ns
        flushes = result.flushes[result.flushes["phase"] == label]
        assert flushes["start_ns"].ge(start_ns).all()
        assert flushes["end_ns"].le(end_ns).all()


def test_throughput_counts_every_folio_once(result):
    throughput = result.throughput
    wanted = result.summary["pages"].tolist()
    assert by_phase(throughput, "folios", "sum").tolist() == wanted
    assert by_phase(throughput, "folios_worked", "sum").tolist() == wanted
    rate = throughput["folios"] / throughput["window_ns"] * 1e9
    assert np.allclose(rate, throughput["pages_per_s"])
    for _, windows in throughput.groupby("phase", observed=True):
        assert (windows["start_ns"].diff().dropna() == windows["window_ns"].iloc[0]).all()


def test_a_folio_is_counted_in_the_window_in_which_it_became_ready(results):
    result = results("v6.6")
    for label in LABELS:
        windows = result.throughput[result.throughput["phase"] == label]
        ready = result.folios.loc[result.folios["phase"] == label, "ready_ns"].to_numpy()
        for row in windows.itertuples():
            inside = (ready > row.start_ns) & (ready <= row.start_ns + row.window_ns)
            assert inside.sum() == row.folios


def test_a_window_owns_its_end():
    # 64 folios, one every 100 ns, in 64 windows: one in each.
    machine = constant(huge_alloc_2m=100)
    fields = {"kernel": "v6.6", "pages": 64, "hvo": False, "phases": ("alloc",), "cpus": 1}
    result = simulate(Scenario(machine=machine, **fields))
    assert result.folios["ready_ns"].tolist() == [100 * (i + 1) for i in range(64)]
    assert result.throughput["window_ns"].unique().tolist() == [100]
    assert result.throughput["folios"].tolist() == [1] * 64
    assert result.throughput["pages_per_s"].unique().tolist() == [1e7]


def test_latency_counts_folios_flushes_and_csds(result):
    counts = result.latency.groupby(["phase", "what"], observed=False)["count"].sum()
    flushes = result.flushes[result.flushes["reason"] != "sync_core"]
    for label in LABELS:
        assert counts[label, "folio"] == (result.folios["phase"] == label).sum()
        assert counts[label, "flush"] == (flushes["phase"] == label).sum()
        here = result.flushes["phase"] == label
        assert counts[label, "ack"] == result.flushes.loc[here, "targets"].sum()
        # A handler takes a list of csds: one that was sent for, or one that a poller saw.
        cpus = result.cpus[result.cpus["phase"] == label]
        assert counts[label, "handler"] >= cpus["ipis"].sum()
        assert counts[label, "handler"] <= counts[label, "ack"]


def test_latency_buckets_hold_what_their_bounds_say(results):
    result = results("v6.6")
    folios = result.folios
    for label in LABELS:
        rows = result.latency[
            (result.latency["phase"] == label) & (result.latency["what"] == "folio")
        ]
        here = folios["phase"] == label
        values = (folios["ready_ns"] - folios["start_ns"])[here].to_numpy()
        for row in rows.itertuples():
            assert ((values >= row.low_ns) & (values < row.high_ns)).sum() == row.count > 0
            # 128 buckets to an octave.
            assert (row.high_ns - row.low_ns) * 128 <= max(row.low_ns, 128)


def test_summary_is_what_the_other_frames_say(result):
    summary = result.summary.set_index("phase")
    flushes, cpus, folios = result.flushes, result.cpus, result.folios
    for label in LABELS:
        row = summary.loc[label]
        here = flushes[flushes["phase"] == label]
        tlb = here[here["reason"] != "sync_core"]
        other = here[here["reason"] == "sync_core"]
        assert row["flushes"] == len(tlb)
        assert row["ipis"] == tlb["ipis"].sum()
        assert row["ipis_saved"] == tlb["ipis_saved"].sum()
        assert row["other_broadcasts"] == len(other)
        assert row["other_ipis"] == other["ipis"].sum()
        assert row["flush_ns"] == (tlb["end_ns"] - tlb["start_ns"]).sum()
        assert 0 <= row["flush_share"] <= 1
        assert row["pages_per_s"] == pytest.approx(row["pages"] / row["elapsed_s"])
        lost = cpus[(cpus["phase"] == label) & (cpus["role"] == "target")]["lost_ns"]
        if len(lost):
            assert row["victim_lost_max_ns"] == lost.max()
            assert row["victim_lost_median_ns"] == int(lost.median())
        status = folios.loc[folios["phase"] == label, "status"]
        assert row["pages"] == len(status)
        assert row["optimized_folios"] == (status == "optimized").sum()
        assert row["failed_folios"] == status.isin(["split_failed", "restore_failed"]).sum()
    counts = result.counts.set_index("phase")
    assert counts["pmd_splits"].tolist() == summary["pmd_splits"].tolist()
    broadcasts = summary["flushes"] + summary["other_broadcasts"]
    assert counts["on_each_cpu_calls"].tolist() == broadcasts.tolist()


def test_ipis_sent_are_ipis_taken_and_csds_are_executed(result):
    sent = by_phase(result.flushes, "ipis", "sum")
    taken = by_phase(result.cpus, "ipis", "sum")
    assert sent.tolist() == taken.tolist()
    counts = result.counts
    executed = counts["do_flush_tlb_all_exec_total"] + counts["do_kernel_range_flush_exec_total"]
    assert (executed == result.summary["flushes"] * result.scenario.nr_cpus).all()


def test_roles_are_one_initiator_per_task(result):
    for label in LABELS:
        cpus = result.cpus[result.cpus["phase"] == label]
        assert cpus["cpu"].tolist() == list(range(result.scenario.nr_cpus))
        initiators = set(cpus.loc[cpus["role"] == "initiator", "cpu"])
        used = set(result.flushes.loc[result.flushes["phase"] == label, "cpu"])
        assert used <= initiators
        freed_by_one = result.scenario.path == "boot" and label.startswith("free")
        assert len(initiators) == (1 if freed_by_one else result.scenario.allocators)


def test_idle_cpus_lose_nothing(results):
    cpus = results("two-cpus").cpus
    assert (cpus["lost_ns"] <= cpus["handler_ns"] + cpus["refill_ns"]).all()


def test_flushes_pass_in_order(result):
    flushes = result.flushes
    assert flushes["flush"].tolist() == list(range(len(flushes)))
    assert (flushes["start_ns"] <= flushes["send_end_ns"]).all()
    assert (flushes["send_end_ns"] <= flushes["last_ack_ns"]).all()
    assert (flushes["last_ack_ns"] <= flushes["end_ns"]).all()
    assert flushes["start_ns"].is_monotonic_increasing
    assert (flushes["targets"] == result.scenario.nr_cpus - 1).all()
    # A mask of none needs no write, and one of some at least one, at most one for each.
    assert (flushes["icr_writes"] <= flushes["ipis"]).all()
    assert ((flushes["icr_writes"] > 0) == (flushes["ipis"] > 0)).all()
    assert (flushes["cpu"] != flushes["slowest_cpu"]).all()


def test_folios_pass_in_order(result):
    folios = result.folios
    assert (folios["start_ns"] <= folios["end_ns"]).all()
    assert (folios["end_ns"] <= folios["ready_ns"]).all()
    spent = folios[["split_ns", "remap_ns", "restore_ns", "flush_ns"]]
    assert (spent >= 0).all(axis=None)
    # No nanosecond is in two of them.
    assert (spent.sum(axis=1) <= folios["end_ns"] - folios["start_ns"]).all()


# --- one flush in detail ------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["v6.6", "boot", "surplus", "surplus-events", "two-cpus", "guest", "xeon"]
)
def test_ipis_agree_with_the_rows_of_their_flushes(results, name):
    result = results(name)
    flushes = result.flushes.set_index("flush")
    chosen = sorted({*range(0, len(flushes), 7), len(flushes) - 1})
    ipis = result.ipis(chosen)
    assert sorted(ipis["flush"].unique()) == chosen
    for number, rows in ipis.groupby("flush"):
        row = flushes.loc[number]
        assert len(rows) == row["targets"]
        assert rows["sent"].sum() == row["ipis"]
        assert row["cpu"] not in set(rows["cpu"])
        assert max(rows["end_ns"].max(), row["send_end_ns"]) == row["last_ack_ns"]
        slowest = rows.set_index("cpu").loc[row["slowest_cpu"]]
        assert slowest["end_ns"] == rows["end_ns"].max()
        assert (rows["enqueue_ns"] >= row["start_ns"]).all()
        assert (rows["ack_ns"] <= row["end_ns"]).all()
        assert rows["ack_ns"].max() == row["end_ns"]
        # Enqueued and waited for in ascending CPU number.
        assert rows["enqueue_ns"].is_monotonic_increasing
        assert rows["ack_ns"].is_monotonic_increasing
    sent = ipis[ipis["sent"]]
    assert (sent["enqueue_ns"] <= sent["send_ns"]).all()
    assert (sent["send_ns"] <= sent["arrive_ns"]).all()
    assert (ipis[~ipis["sent"]]["send_ns"] == -1).all()
    assert (ipis["arrive_ns"] <= ipis["start_ns"]).all()
    assert (ipis["start_ns"] <= ipis["end_ns"]).all()
    assert (ipis["end_ns"] <= ipis["ack_ns"]).all()


def test_an_ipi_that_was_not_sent_is_served_by_an_earlier_one(results):
    result = results("boot")
    saved = result.flushes[result.flushes["ipis_saved"] > 0]
    assert len(saved)
    rows = result.ipis(saved["flush"].tolist())
    missing = rows[~rows["sent"]]
    assert len(missing) == saved["ipis_saved"].sum()
    # It was in the queue before that handler took its list.
    assert (missing["enqueue_ns"] <= missing["end_ns"]).all()


@pytest.mark.parametrize("frame", ["summary", "counts", "folios", "time_by"])
def test_rows_are_those_of_the_frame(results, frame):
    result = results("v6.7")
    assert result.rows(frame) == getattr(result, frame).to_dict("records")


def test_rows_of_some_words_are_those_that_pandas_chooses():
    result = simulate(Scenario(machine="laptop-8", kernel="v6.6", pages=3))
    latency = result.latency
    there = latency["what"].isin(["ack", "folio"]) & latency["phase"].isin(["free"])
    assert there.any()
    assert not there.all()
    chosen = latency[there].to_dict("records")
    assert result.rows("latency", what=["ack", "folio"], phase=["free", "alloc9"]) == chosen
    assert rows_of(Totals.of(result), "latency", what=["ack", "folio"], phase=["free"]) == chosen


@pytest.mark.parametrize("flush", [-1, 10**6])
def test_ipis_of_no_flush_are_refused_in_one_line(results, flush):
    with pytest.raises(InputError, match=f"flushes: {flush} is not 0 to") as error:
        results("one-cpu").ipis([flush])
    assert "\n" not in str(error.value)


def test_with_one_cpu_a_flush_has_no_ipis(results):
    result = results("one-cpu")
    assert (result.flushes["targets"] == 0).all()
    assert (result.flushes["slowest_cpu"] == -1).all()
    assert result.ipis([0]).empty
    assert (result.cpus["ipis"] == 0).all()


# --- saving -------------------------------------------------------------------------------


def test_every_frame_is_saved_and_loaded_as_it_was(result, tmp_path):
    result.save(tmp_path / "saved")
    loaded = load_result(tmp_path / "saved")
    for name in FRAMES:
        pd.testing.assert_frame_equal(getattr(result, name), getattr(loaded, name))
    assert loaded.provenance == result.provenance
    assert loaded.provenance["key"] == loaded.scenario.key == result.scenario.key
    if len(result.flushes):
        last = len(result.flushes) - 1
        pd.testing.assert_frame_equal(result.ipis([0, last]), loaded.ipis([0, last]))


def test_a_loaded_result_is_saved_again_byte_by_byte_in_json(results, tmp_path):
    results("enomem").save(tmp_path / "one")
    load_result(tmp_path / "one").save(tmp_path / "two")
    for name in ("scenario.json", "provenance.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    pd.testing.assert_frame_equal(load_result(tmp_path / "two").folios, results("enomem").folios)


def test_arrays_are_saved_without_pickles(results, tmp_path):
    results("v6.7").save(tmp_path / "saved")
    with np.load(tmp_path / "saved" / "frames.npz", allow_pickle=False) as stored:
        assert all(stored[name].dtype != object for name in stored.files)


def test_a_result_replaces_an_older_one_and_nothing_else(results, tmp_path):
    folder = tmp_path / "saved"
    results("v6.6").save(folder)
    results("v6.7").save(folder)
    assert load_result(folder).scenario.kernel_class.name == "v6.7"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["saved"]
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(InputError, match="holds other things"):
        results("v6.6").save(other)
    assert [p.name for p in other.iterdir()] == ["thesis.txt"]


def test_a_folder_that_cannot_be_made_leaves_nothing_behind(results, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be written") as error:
        results("v6.6").save(tmp_path / "file" / "out")
    assert "\n" not in str(error.value)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("broken", ["scenario.json", "provenance.json", "frames.npz"])
@pytest.mark.parametrize("how", ["absent", "empty", "cut"])
def test_a_folder_without_a_whole_result_is_refused_in_one_line(results, tmp_path, broken, how):
    folder = tmp_path / "saved"
    results("one-cpu").save(folder)
    path = folder / broken
    whole = path.read_bytes()
    path.unlink()
    if how != "absent":
        path.write_bytes(b"" if how == "empty" else whole[: len(whole) // 2])
    with pytest.raises(InputError, match="result: ") as error:
        load_result(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["{}", "[]", "1", '{"machine": {}, "noise": {}, "kernel": {}}'])
@pytest.mark.parametrize("name", ["scenario.json", "provenance.json"])
def test_json_of_something_else_is_refused_in_one_line(results, tmp_path, name, text):
    folder = tmp_path / "saved"
    results("one-cpu").save(folder)
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="result: ") as error:
        load_result(folder)
    assert "\n" not in str(error.value)


def test_a_damaged_array_is_refused_in_one_line(results, tmp_path):
    folder = tmp_path / "saved"
    results("v6.6").save(folder)
    path = folder / "frames.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match="result: ") as error:
        load_result(folder)
    assert "\n" not in str(error.value)
