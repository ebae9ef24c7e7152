# SPDX-License-Identifier: MIT
"""
What a child of a profile may still claim of a value that it changed
--------------------------------------------------------------------
"""

from __future__ import annotations

import pytest

from simulator.errors import InputError
from simulator.machine import load_machine

LAPTOP = load_machine("laptop-8")
SERVER = load_machine("server-2021")


@pytest.fixture
def child(tmp_path):
    def load(text, parent="laptop-8"):
        (tmp_path / "mine.toml").write_text(f'inherits = "{parent}"\n{text}')
        return load_machine(tmp_path / "mine.toml")

    return load


def test_a_value_changed_alone_is_assumed_and_says_what_it_was(child):
    was = LAPTOP.costs.cache_line.core
    assert was.kind == "measured"
    core = child("[costs.cache_line.core]\nvalue = 6.5\n").costs.cache_line.core
    assert (core.value, core.kind) == (6.5, "assumed")
    assert core.source == f"changed from {was.value} ns (measured: {was.source})"
    assert (core.note, core.machine, core.date) == ("", "", "")


def test_every_kind_of_value_is_treated_alike(child):
    machine = child(
        "[topology.numbering]\nvalue = 'siblings-adjacent'\n"
        "[memory.node_memory]\nvalue = 20\n"
        "[memory.outstanding_lines]\nvalue = 11\n"
        "[spells.irqs_off.frame]\nvalue = 150\n"
    )
    for value in (
        machine.topology.numbering,
        machine.memory.node_memory,
        machine.memory.outstanding_lines,
        machine.spells.irqs_off.frame,
    ):
        assert value.kind == "assumed"
        assert value.source.startswith("changed from ")
    unit = child("[costs.send]\nunit = 'us'\nvalue = 0.08\nrange = [0.03, 0.2]\n").costs.send
    assert unit.source.startswith("changed from 80 ns (")


def test_a_value_with_a_source_of_its_own_has_that_and_no_kind_of_its_parent(child):
    own = child("[costs.invlpg]\nvalue = 90\nsource = 'me'\n").costs.invlpg
    assert (own.kind, own.source) == ("assumed", "me")
    own = child("[costs.invlpg]\nvalue = 90\nkind = 'measured'\nsource = 'me'\n").costs.invlpg
    assert (own.kind, own.source) == ("measured", "me")


def test_a_kind_that_rests_on_something_needs_a_source(child):
    with pytest.raises(InputError) as caught:
        child("[costs.invlpg]\nvalue = 90\nkind = 'measured'\n")
    assert str(caught.value).endswith(
        "mine.toml: costs.invlpg: kind 'measured' needs a source: the value is no longer its"
        " parent's"
    )


def test_what_is_stated_again_unchanged_keeps_kind_and_source(child):
    again = child("[costs.send]\nvalue = 80.0\nrange = [20, 200]\n")
    assert (again.costs.send.kind, again.costs.send.source) == (
        LAPTOP.costs.send.kind,
        LAPTOP.costs.send.source,
    )
    assert again.title == LAPTOP.title


def test_a_changed_machine_is_not_described_by_its_parent(child):
    changed = child("[costs.send]\nvalue = 90\n")
    assert changed.title == f"{LAPTOP.title}, changed"
    assert changed.description == "As laptop-8, but for costs.send."
    own = child('title = "mine"\ndescription = "of my own"\n[costs.send]\nvalue = 90\n')
    assert (own.title, own.description) == ("mine", "of my own")


def test_a_fitted_value_that_is_changed_is_no_longer_a_fitted_one(child):
    assert SERVER.fitted(patched=False)[:2] == ("costs.enqueue", "costs.ack")
    changed = child("[costs.enqueue.socket]\nvalue = 42\n", "server-2021")
    left = ("costs.enqueue.core", "costs.enqueue.hop1")
    assert changed.fitted(patched=False) == (*left, *SERVER.fitted(patched=False)[1:])
    vm = load_machine("epyc-7j13-vm252")
    changed = child("[costs.inject]\nvalue = 0.9\n", "epyc-7j13-vm252")
    assert set(vm.fitted(patched=False)) - set(changed.fitted(patched=False)) == {"costs.inject"}
    # Times that only it was fitted to are predictions again.
    hvo = {time.cell for fit in vm.calibration for time in fit.times if time.hvo}
    assert hvo
    assert not hvo & {time.cell for fit in changed.fits() for time in fit.times}


def test_the_same_holds_for_what_is_set_by_the_user():
    vm = load_machine("epyc-7j13-vm252")
    changed = vm.with_values({"costs.inject": 900})
    assert len(changed.fits()) == len(vm.fits()) - 1


def test_a_line_of_parents_without_end_is_refused(tmp_path):
    for i in range(60):
        (tmp_path / f"m{i}.toml").write_text(f'inherits = "m{i + 1}.toml"\n')
    with pytest.raises(InputError, match="inherits: more than 20 parents: "):
        load_machine(tmp_path / "m0.toml")
