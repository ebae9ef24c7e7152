# SPDX-License-Identifier: MIT
"""Stores: nothing lost, nothing repeated, nothing mixed up."""

from __future__ import annotations

import os
import threading

import pytest

from simulator.errors import InputError
from simulator.experiment import cell as cells
from simulator.experiment import sweep
from simulator.experiment.cell import failed_cell
from simulator.experiment.command import command_of
from simulator.experiment.saved import compare_saved
from simulator.experiment.store import Store
from simulator.experiment.sweeps import Interrupted
from simulator.machine import load_machine
from simulator.scenario import Scenario
from tests.experiment.conftest import AXES, BASE, NEVER_BOOTS


def content(folder):
    return {p.name: p.read_bytes() for p in folder.glob("cells/*/*")}


@pytest.fixture
def counted(monkeypatch):
    """Count simulations; the one with the number in the list is interrupted."""
    simulate, done, stop = cells.simulate, [], []

    def counting(scenario, **options):
        if len(done) in stop:
            stop.clear()
            raise KeyboardInterrupt
        done.append(scenario.key)
        return simulate(scenario, **options)

    monkeypatch.setattr(cells, "simulate", counting)
    return done, stop


def test_a_sweep_killed_twice_goes_on_where_it_was_and_ends_the_same(tmp_path, counted, swept):
    done, stop = counted
    for at in (2, 5):
        stop.append(at)
        with pytest.raises(Interrupted):
            sweep(BASE, AXES, replications=2, store=tmp_path / "killed")
    resumed = sweep(BASE, AXES, replications=2, store=tmp_path / "killed")
    assert len(done) == len(set(done)) == 8
    assert resumed.notices == ()
    sweep(BASE, AXES, replications=2, store=tmp_path / "whole")
    assert content(tmp_path / "killed") == content(tmp_path / "whole")
    assert resumed.frame.equals(swept.frame)


def test_an_interrupt_leaves_whole_replications_of_each_group(counted):
    _, stop = counted
    stop.append(6)
    with pytest.raises(Interrupted) as interrupt:
        sweep(BASE, AXES, replications=2)
    # Two groups of two: four of the first replication, and one group of the second.
    assert sorted(map(len, interrupt.value.sweep.cells)) == [1, 1, 2, 2]


def test_a_failed_cell_is_kept_with_its_error_and_not_simulated_again(
    tmp_path, counted, own_kernel
):
    done, _ = counted
    own_kernel.write_text(own_kernel.read_text() + NEVER_BOOTS)
    axes = {"kernel": ["v6.6", str(own_kernel)]}
    first = sweep(BASE, axes, replications=1, store=tmp_path / "s")
    again = sweep(BASE, axes, replications=1, store=tmp_path / "s")
    assert len(done) == 2
    assert again.failed.equals(first.failed)
    assert first.failed["error"].tolist() == ["own.py, line 11, in __init__(): OSError"]
    with pytest.raises(InputError, match=r"has one scenario"):
        compare_saved([tmp_path / "s"])
    # Whoever opens the store sees it.
    (failed,) = (cell for cell in Store(tmp_path / "s").cells() if cell.error)
    assert command_of(failed) == (
        "tlbsim run --machine laptop-8 --kernel own --pages 2 --phases alloc"
    )


def test_what_failed_for_want_of_a_worker_is_tried_again(tmp_path, counted):
    done, _ = counted
    scenario = Scenario(**BASE)
    store = Store(tmp_path / "s")
    store.put(failed_cell(scenario, "KilledWorker: the worker was lost", lost=True))
    (cell,) = store.cells()
    assert cell.lost
    found = sweep(BASE, {"kernel": ["v6.6"]}, replications=1, store=tmp_path / "s")
    assert (len(done), len(found.failed)) == (1, 0)
    assert [cell.error for cell in store.cells()] == [""]


def test_of_an_unfinished_sweep_what_all_kernels_have_is_compared(tmp_path):
    sweep(BASE, {"kernel": ["v6.6", "v6.7"]}, replications=1, store=tmp_path / "s")
    sweep(BASE, {"kernel": ["v6.6"]}, replications=3, store=tmp_path / "s")
    found = compare_saved([tmp_path / "s"])
    assert set(found.comparison.frame["n"]) == {1}
    assert not found.failed


def test_more_replications_take_the_first_from_the_store(tmp_path, counted):
    done, _ = counted
    sweep(BASE, AXES, replications=1, store=tmp_path / "s")
    sweep(BASE, AXES, replications=2, store=tmp_path / "s")
    assert len(done) == 8


def test_a_damaged_cell_is_named_and_simulated_anew(tmp_path, counted):
    done, _ = counted
    first = sweep(BASE, AXES, replications=1, store=tmp_path / "s")
    victim = next(iter((tmp_path / "s").glob("cells/*/*")))
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-1])
    again = sweep(BASE, AXES, replications=1, store=tmp_path / "s")
    assert len(done) == 5
    assert victim.read_bytes() == whole
    (notice,) = again.notices
    assert victim.name[:12] in notice
    assert again.frame.equals(first.frame)


def test_a_changed_kernel_file_is_named_and_its_cells_alone_are_anew(tmp_path, counted, own_kernel):
    done, _ = counted
    axes = {"kernel": ["v6.7", str(own_kernel)]}
    sweep(BASE, axes, replications=1, store=tmp_path / "s")
    own_kernel.write_text(own_kernel.read_text() + "\n# changed\n")
    again = sweep(BASE, axes, replications=1, store=tmp_path / "s")
    assert len(done) == 3
    assert again.notices[0].startswith("store: kernel own (own.py) has changed")


def test_a_kernel_file_whose_name_is_no_text_is_kept_as_any_other(tmp_path, counted, own_kernel):
    done, _ = counted
    odd = own_kernel.rename(os.fsdecode(bytes(tmp_path) + b"/p\xe4tch.py"))
    for _ in range(2):
        sweep(BASE, {"kernel": ["v6.7", str(odd)]}, replications=1, store=tmp_path / "s")
    assert len(done) == 2


def test_a_changed_profile_is_named_with_what_changed(tmp_path):
    machine = load_machine("laptop-8")
    before = BASE | {"machine": machine}
    sweep(before, {"kernel": ["v6.7"]}, replications=1, store=tmp_path / "s")
    # As if the file said something else: nothing marks it as set by the user.
    costs = machine.costs.model_copy(
        update={"invlpg": machine.costs.invlpg.model_copy(update={"value": 77.0})}
    )
    after = BASE | {"machine": machine.model_copy(update={"costs": costs})}
    again = sweep(after, {"kernel": ["v6.7"]}, replications=1, store=tmp_path / "s")
    assert "machine laptop-8 has changed (costs.invlpg " in again.notices[0]
    assert "-> 77.0" in again.notices[0]


def test_cells_of_a_version_with_other_machines_are_told_in_one_line(tmp_path, monkeypatch):
    sweep(BASE, {"kernel": ["v6.6", "v6.7"]}, replications=1, store=tmp_path / "s")

    def missing(_):
        raise KeyError("costs.new")

    monkeypatch.setattr(cells, "restore_scenario", missing)
    with pytest.raises(InputError, match="without cells that this version of tlbsim knows"):
        compare_saved([tmp_path / "s"])


def test_changed_code_is_named_and_everything_is_anew(tmp_path, counted, monkeypatch):
    from simulator.experiment import store

    done, _ = counted
    sweep(BASE, AXES, replications=1, store=tmp_path / "s")
    files = dict(store.code_files()) | {"kernel/hugetlb.py": "0" * 64}
    monkeypatch.setattr(store, "code_files", lambda: files)
    monkeypatch.setattr(store, "code_key", lambda: "1" * 64)
    again = sweep(BASE, AXES, replications=1, store=tmp_path / "s")
    assert len(done) == 8
    assert "code of tlbsim has changed (kernel/hugetlb.py)" in again.notices[0]


def test_two_sweeps_into_one_store_do_not_disturb_each_other(tmp_path, swept):
    found = []

    def run():
        found.append(sweep(BASE, AXES, replications=2, store=tmp_path / "s"))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [f.frame.equals(swept.frame) for f in found] == [True, True]
    assert len(content(tmp_path / "s")) == 8
    assert not list((tmp_path / "s").rglob(".tlbsim-*"))


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="holds other things"):
        sweep(BASE, AXES, replications=1, store=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
