# SPDX-License-Identifier: MIT
"""
Counts held against real kernels
--------------------------------

Oracles: the packaged counts of real kernels, and the formulas of
:mod:`tests.counted` where no row was counted.
"""

from __future__ import annotations

import csv
import dataclasses

import pytest

from simulator.machine import load_machine
from simulator.published.counts import read_counts
from simulator.validation import boot_scenario, check_counts
from tests.counted import COUNTS, cases

EPYC = load_machine("epyc-7j13-vm252")


def write(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


def check(path, machine=EPYC):
    boots = read_counts(path)
    return check_counts(boots, [boot_scenario(boot, machine) for boot in boots])


def rows_of(wanted=lambda _: True):
    """Return the rows of the boots that the formulas give, each a run of its own."""
    return [row for run, case in enumerate(cases()) if wanted(case) for row in case.rows(run)]


def two_cpus(case):
    return case.cpus == 2


def test_the_formulas_give_the_packaged_rows():
    # They are the oracle below: what was counted has to come out of them.
    from tests.counted import Case

    for boot in read_counts():
        first, _, second, _ = (counted.counts["pmd_splits"] for counted in boot.phases)
        case = Case(boot.kernel.removeprefix("v"), boot.vcpus, boot.pages, (first, second))
        for row, counted in zip(case.rows(), boot.phases, strict=True):
            assert {name: row[name] for name in COUNTS} == dict(counted.counts)


def test_every_packaged_count_is_reproduced():
    found = check(None)
    assert (found.rows, found.cells, found.mismatches) == (96, 1248, ())
    # Two fills in each of 24 boots, all with HVO on.
    assert (found.given, found.unplaced) == (48, 0)


def test_every_count_of_the_formulas_is_reproduced(tmp_path):
    rows = rows_of()
    found = check(write(tmp_path / "formulas.csv", rows))
    assert found.mismatches == ()
    assert (found.rows, found.cells) == (len(rows), 13 * len(rows))


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["xeon-e7-8895-8s", "laptop-8"])
def test_counts_depend_on_no_machine(tmp_path, machine):
    path = write(tmp_path / "some.csv", rows_of(lambda case: case.cpus <= 8))
    assert check(path, load_machine(machine)).mismatches == ()


@pytest.mark.parametrize("column", COUNTS)
def test_a_wrong_number_is_found_where_it_is(tmp_path, column):
    rows = rows_of(two_cpus)
    # The splits of a fill are where the pages lie; those of a free can only be wrong.
    wrong = [i for i in range(len(rows)) if column != "pmd_splits" or i % 2][::5]
    for i in wrong:
        rows[i][column] += 1
    found = check(write(tmp_path / "wrong.csv", rows)).mismatches
    assert [(m.line, m.column, m.expected, m.got) for m in found] == [
        (i + 2, column, rows[i][column], rows[i][column] - 1) for i in wrong
    ]


def test_an_empty_cell_was_not_measured(tmp_path):
    rows = rows_of(two_cpus)
    for row in rows:
        row["synchronize_rcu_calls"] = ""
        if row["phase"].startswith("free"):
            row["pmd_splits"] = ""
    found = check(write(tmp_path / "empty.csv", rows))
    assert found.mismatches == ()
    assert found.cells == 12 * len(rows) - len(rows) // 2
    assert found.unplaced == 0


def _flushes_by_splits(case):
    """The columns in which the formulas have the splits of a fill."""
    other = dataclasses.replace(case, splits=(case.splits[0] + 8, case.splits[1] + 8)).rows()
    return [
        {name for name in COUNTS if row[name] != more[name]}
        for row, more in zip(case.rows(), other, strict=True)
    ]


@pytest.mark.parametrize("fill", [0, 2])
@pytest.mark.parametrize("case", [c for c in cases() if c.cpus == 2], ids=str)
def test_what_the_formulas_have_the_splits_in_is_not_compared_without_them(tmp_path, case, fill):
    rows = case.rows()
    depending = _flushes_by_splits(case)[fill] - {"pmd_splits"}
    # The first fill of one page, and of 1 GB pages, can split no more than it does.
    if fill == 0 and (case.pages == 1 or case.gigantic):
        depending = set()
    rows[fill]["pmd_splits"] = ""
    for name in depending:
        rows[fill][name] += 1  # whatever was counted there
    found = check(write(tmp_path / "one.csv", rows))
    assert found.mismatches == ()
    assert found.unplaced == len(depending)
    assert found.cells == 4 * 13 - 1 - len(depending)
    assert found.given == (1 if case.hvo else 0)
    # All else is: a wrong number is found in every other column.
    for name in COUNTS:
        if name not in depending:
            rows[fill][name] = (rows[fill][name] or 0) + (name != "pmd_splits")
    rows[fill]["pmd_splits"] = ""
    wrong = check(write(tmp_path / "one.csv", rows)).mismatches
    assert {m.column for m in wrong} == set(COUNTS) - depending - {"pmd_splits"}


def test_rows_of_later_phases_alone_come_after_what_was_not_counted(tmp_path):
    rows = [row for row in rows_of(two_cpus) if row["phase"].endswith("2")]
    assert check(write(tmp_path / "late.csv", rows)).mismatches == ()


def test_boots_may_be_mixed_with_one_another_if_their_runs_are_named(tmp_path):
    first, second = (case.rows(run) for run, case in enumerate([next(cases())] * 2))
    mixed = [row for pair in zip(first, second, strict=True) for row in pair]
    assert check(write(tmp_path / "mixed.csv", mixed)).mismatches == ()


def test_a_boot_begins_with_alloc_where_no_run_is_named(tmp_path):
    rows = [row for case in (next(cases()),) * 3 for row in case.rows()]
    for row in rows:
        del row["run"], row["mode"]
    assert len(read_counts(write(tmp_path / "thrice.csv", rows))) == 3
    assert check(tmp_path / "thrice.csv").mismatches == ()
