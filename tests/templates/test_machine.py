# SPDX-License-Identifier: MIT
"""
A machine to start from
-----------------------

Oracle: the machine that it starts from, with and without the "#" before each line.
"""

from __future__ import annotations

import re
import tomllib

import pytest

from simulator.machine import load_machine, machines
from simulator.templates import machine_template

PARTS = ("isa", "virtual", "topology", "memory", "ipi", "costs", "idle_states", "spells")
COMMENTED = re.compile(r"^# (?=[a-z_0-9.]+ = |\[\[)", re.MULTILINE)


def loaded(tmp_path, text):
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return load_machine(file)


@pytest.mark.parametrize("name", machines())
def test_it_is_the_machine_that_it_starts_from(tmp_path, name):
    text = machine_template(load_machine(name), "mine.toml")
    theirs, plain = load_machine(name), loaded(tmp_path, text)
    stated = loaded(tmp_path, COMMENTED.sub("", text))
    for part in PARTS:
        assert getattr(plain, part) == getattr(theirs, part)
        assert getattr(stated, part) == getattr(theirs, part)
    assert plain.calibration == stated.calibration == theirs.calibration


def test_every_value_of_the_machine_can_be_changed_in_it():
    machine = load_machine("epyc-7j13-vm252")
    data = tomllib.loads(COMMENTED.sub("", machine_template(machine, "mine.toml")))
    for key in machine.keys():  # noqa: SIM118 - a method of Machine
        node = data
        if key.split(".")[0] != "idle_states":
            for part in key.split("."):
                node = node[part]
            assert "value" in node


def test_a_changed_value_is_no_longer_called_the_measurement_of_another(tmp_path):
    text = machine_template(load_machine("xeon-8375c-2s"), "mine.toml")
    changed = re.sub(
        r"^# flush_full = \{ value = 376,", "flush_full = { value = 500,", text, flags=re.M
    )
    assert changed != text
    cost = loaded(tmp_path, changed).costs.flush_full
    assert (cost.value, cost.kind) == (500, "assumed")
    assert cost.source.startswith("changed from 376 ns (measured: ")
