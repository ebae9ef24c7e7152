# SPDX-License-Identifier: MIT
# ruff: noqa: N805 - k is the running kernel, as in the kernel code
"""
Words of a user's kernel
------------------------

Oracle: the kernels below say themselves which words they use and how often.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from simulator.engine.calls import Call
from simulator.errors import InputError, KernelError
from simulator.kernel import load_kernel
from simulator.run import simulate
from simulator.saved import load_result
from simulator.scenario import Scenario
from simulator.trace.contract import FRAMES
from simulator.trace.recorder import Recorder
from simulator.trace.words import CATEGORIES, COUNTS, REASONS, STATUSES, Words
from tests.kernel.helpers import LAPTOP, STILL

ENGINES = ("events", "compiled")
PHASES = ("alloc", "free")


class OwnWords(load_kernel("v6.6")):
    """v6.6 that says things of its own: in an order that is not that of the alphabet."""

    name = "own-words"

    def flush_call(k, reason, nr_pages):
        call = super().flush_call(reason, nr_pages)
        if reason != "remap":
            return call
        return Call("zz_mine", call.kind, "my_flush", call.pages, call.run_ns, call.refill_ns)

    def pmd_populate_kernel(k, pmd, pgtable):
        super().pmd_populate_kernel(pmd, pgtable)
        k.counts["my_splits"] += 1
        k.current.work("my_work", 5)

    def folio_status(k, folio):
        return "my_status" if folio.number % 2 else "optimized"

    def static_branch_dec(k, key):
        k.counts["a_first"] += 2
        super().static_branch_dec(key)


class Mixed(OwnWords):
    """The same, flushing for another reason before."""

    def set_max_huge_pages(k, h, nr_more):
        k.flush_tlb_all("aa_before")
        super().set_max_huge_pages(h, nr_more)


def scenario_of(kernel, **fields):
    plain = {"machine": LAPTOP, "noise": STILL, "pages": 6, "cpus": 4, "phases": PHASES}
    return Scenario(kernel=kernel, **{**plain, **fields})


@pytest.fixture(scope="module", params=ENGINES)
def result(request):
    return simulate(scenario_of(Mixed, engine=request.param))


def names_of(column):
    return tuple(column.cat.categories)


def test_own_words_appear_under_their_names_after_the_known_ones(result):
    assert names_of(result.flushes["reason"]) == (*REASONS, "aa_before", "zz_mine")
    reasons = result.flushes["reason"].value_counts()
    assert reasons["aa_before"] == 2
    assert reasons["zz_mine"] == 6
    assert reasons["remap"] == 0
    assert names_of(result.folios["status"]) == (*STATUSES, "my_status")
    assert (result.folios["status"] == "my_status").sum() == 3
    assert tuple(result.counts.columns) == ("phase", *COUNTS, "a_first", "my_splits")
    counts = result.counts.set_index("phase")
    assert counts["my_splits"].tolist() == counts["pmd_splits"].tolist() == [1, 0]
    assert counts["a_first"].tolist() == [0, 12]
    spent = result.time_by.set_index(["phase", "category"])["ns"]
    assert spent["alloc", "my_work"] == 5


def test_own_words_come_back_with_a_saved_result(result, tmp_path):
    result.save(tmp_path / "saved")
    loaded = load_result(tmp_path / "saved")
    for name in FRAMES:
        pd.testing.assert_frame_equal(getattr(result, name), getattr(loaded, name))
        assert result.rows(name) == loaded.rows(name)


def test_engines_agree_on_own_words():
    events, compiled = (
        simulate(scenario_of(Mixed, engine=engine, allocators=3, path="surplus"))
        for engine in ENGINES
    )
    for name in FRAMES:
        pd.testing.assert_frame_equal(getattr(events, name), getattr(compiled, name))


def test_ipis_of_flushes_for_own_reasons_are_replayed():
    events, compiled = (simulate(scenario_of(Mixed, engine=engine)) for engine in ENGINES)
    flushes = range(len(events.flushes))
    pd.testing.assert_frame_equal(events.ipis(flushes), compiled.ipis(flushes))


def test_numbers_of_words_belong_to_one_run():
    own = simulate(scenario_of(OwnWords))
    assert "zz_mine" in names_of(own.flushes["reason"])
    assert names_of(simulate(scenario_of("v6.6")).flushes["reason"]) == REASONS


def test_time_goes_to_known_categories_in_every_kernel():
    for kernel in ("v5.14", "v6.6", "v6.12"):
        for path in ("pool", "surplus"):
            spent = simulate(scenario_of(kernel, path=path, allocators=2)).time_by
            assert set(spent["category"]) <= set(CATEGORIES)


# --- what is no word ----------------------------------------------------------------------


@pytest.mark.parametrize("word", ["", "two\nlines", "a/b", " wide ", 5, None, "x" * 41])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_reason_that_is_no_name_is_refused_in_one_line(word, engine):
    class Nameless(load_kernel("v6.6")):
        name = "nameless"

        def flush_call(k, reason, nr_pages):
            return super().flush_call(word, nr_pages)

    with pytest.raises(InputError, match="as flush reason is not") as error:
        simulate(scenario_of(Nameless, engine=engine))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("mine", 0.5, "kernel: 0.5 as count 'mine' is not a whole number"),
        ("mine", -1, "kernel: -1 as count 'mine' is not a whole number from 0 to 2\\^63 - 1"),
        ("mine", 2**63, "kernel: 9223372036854775808 as count 'mine' is not a whole number"),
        ("mine", True, "kernel: True as count 'mine' is not a whole number"),
        ("phase", 1, "kernel: 'phase' as count: a column has that name already"),
        ("two\nlines", 1, r"kernel: 'two\\nlines' as count is not printable"),
    ],
)
def test_a_count_that_is_none_is_refused_in_one_line(name, value, complaint):
    class Miscounting(load_kernel("v6.6")):
        def pmd_populate_kernel(k, pmd, pgtable):
            super().pmd_populate_kernel(pmd, pgtable)
            k.counts[name] = value

    with pytest.raises(InputError, match=complaint):
        simulate(scenario_of(Miscounting))


@pytest.mark.parametrize("ns", [0.5, -1, "1", None])
def test_a_task_whose_work_is_no_whole_number_is_named_by_the_category(ns):
    recorder = Recorder((0,))
    recorder.begin_phase("alloc", 0, {0})
    recorder.end_phase(10)
    with pytest.raises(InputError, match=r"kernel: .* ns of work in 'split' is not a whole number"):
        recorder.task_ended(10, {"remap": 9, "split": ns}, 0, 0)


@pytest.mark.parametrize("ns", [0.5, 2.0, -7, np.int64(3)])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("fields", [{}, {"path": "surplus", "allocators": 3}])
def test_work_of_no_whole_number_in_kernel_code_is_refused_with_its_category(ns, engine, fields):
    class Fractional(load_kernel("v6.6")):
        def pmd_populate_kernel(k, pmd, pgtable):
            super().pmd_populate_kernel(pmd, pgtable)
            k.current.work("mine", ns)

    refused = r"^\S+ ns of work in 'mine' is not a whole number"
    with pytest.raises(KernelError, match=refused):
        simulate(scenario_of(Fractional, engine=engine, **fields))


@pytest.mark.parametrize("name", ["pages", "run_ns", "refill_ns"])
@pytest.mark.parametrize("value", [-1, 1.5, True])
def test_a_call_of_no_whole_numbers_is_refused_by_field_and_value(name, value):
    fields = {"pages": 1, "run_ns": 1, "refill_ns": 1, name: value}
    with pytest.raises(InputError, match=rf"kernel: {name} {value} of my_flush\(\) for 'mine'"):
        Call("mine", "all", "my_flush", **fields)


def test_a_call_of_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="'half' is no kind of flush; known: range, all, none"):
        Call("mine", "half", "my_flush", 0, 0, 0)


def test_words_are_numbered_as_they_come():
    words = Words("flush reason", ("split", "remap"))
    assert [words[name] for name in ("remap", "mine", "other", "mine")] == [1, 2, 3, 2]
    assert tuple(words) == ("split", "remap", "mine", "other")
