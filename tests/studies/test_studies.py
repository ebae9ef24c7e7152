# SPDX-License-Identifier: MIT
"""
What all studies have in common
-------------------------------

Each has a script and a folder of its name; what it says of itself repeats it; its numbers
are rows that JSON can hold.
"""

from __future__ import annotations

import ast
import inspect
import json
import shlex
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import simulator.studies
from simulator import Scenario
from simulator.cli.parser import Parser
from simulator.cli.script import add_study_options, study_of
from simulator.errors import InputError
from simulator.studies import load_study, options_of, studies
from tests.studies.scripts import FOLDER

#: As small as each study can be.
SMALL = {
    "batch_pmd_split": {"machine": ("laptop-8",), "pages": 2, "cpus": 2},
    "patch_review": {"machine": ("laptop-8",), "pages": 2, "cpus": 2, "replications": 1},
    "posted_forms": {"machine": "laptop-8", "pages": 2},
    "is_it_safe": {"kernel": ("v6.7", "v6.7-no-final-flush"), "pages": 3},
    "memory_pressure": {"machine": "laptop-8", "pages": 2, "cpus": 2},
    "noise": {"machine": "laptop-8", "pages": 1, "cpus": 2, "replications": 1},
    "synchronize_rcu": {"machine": "laptop-8", "pages": 1, "cpus": 2},
    "hvo_2021": {"quick": True},
    "ipi_benchmark": {"machine": "laptop-8", "ntimes": 1},
    "flush_ceiling": {"machine": "laptop-8", "quick": True},
    "kernel_releases": {"machine": "laptop-8", "pages": 1, "cpus": 2},
    "boot": {"machine": "laptop-8", "pages": 512, "cpus": 4},
    "demotion": {"machine": "laptop-8", "pages": 1, "cpus": 2},
    "does_batching_still_pay": {"machine": "epyc-milan-36c", "pages": 2, "quick": True},
    "ordering_cost": {"pages": 1},
    "isolated_cpus": {"pages": 2},
    "shootdown_cpus": {"machine": ("laptop-8",), "quick": True},
}


@pytest.mark.parametrize("name", [name for name in studies() if "pages" in SMALL[name]])
def test_no_study_takes_no_pages_for_none_given(name):
    with pytest.raises(InputError, match="pages"):
        load_study(name)(**SMALL[name] | {"pages": 0}).scenarios()


def test_each_study_has_a_script_and_a_folder_of_its_name():
    scripts = {path.stem for path in FOLDER.glob("*.py")}
    (home,) = simulator.studies.__path__
    folders = {
        module.parent.name for module in FOLDER.parent.glob("simulator/studies/*/__init__.py")
    }
    assert home.endswith("simulator/studies")
    assert set(studies()) == scripts == folders
    for name in studies():
        assert name == load_study(name).NAME


@pytest.mark.parametrize("name", studies())
def test_a_script_and_its_study_ask_the_same_question(name):
    question = load_study(name).QUESTION
    script = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8")))
    study = inspect.getdoc(sys.modules[load_study(name).__module__])
    assert script.splitlines()[0] == study.splitlines()[0] == question
    assert f"python scenarios/{name}.py" in script
    assert max(map(len, script.splitlines())) <= 72


@pytest.mark.parametrize("name", SMALL)
def test_numbers_are_rows_of_plain_values_and_each_scenario_is_progress(name):
    study = load_study(name)(**SMALL[name])
    scenarios = study.scenarios()
    assert all(isinstance(s, Scenario) for s in scenarios)
    steps = []
    rows = study.run(lambda: steps.append(1)).rows()
    assert len(steps) == len(scenarios)
    assert rows
    assert len({tuple(row) for row in rows}) == 1
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows


@pytest.mark.parametrize("name", studies())
@given(data=st.data())
def test_the_command_of_a_study_asks_for_the_same_study(name, data):
    study = load_study(name)
    words = st.sampled_from(["laptop-8", "my machine.toml", "x'y"])
    kinds = {
        "name": words,
        "names": st.lists(words, min_size=1, max_size=2, unique=True).map(tuple),
        "number": st.integers(1, 900),
        "flag": st.booleans(),
    }
    wanted = data.draw(
        st.fixed_dictionaries({}, optional={o.name: kinds[o.kind] for o in options_of(study)})
    )
    asked = study(**wanted)
    tlbsim, command, called, *argv = shlex.split(asked.command)
    assert (tlbsim, command, called) == ("tlbsim", "study", name)
    parser = Parser()
    add_study_options(parser, study)
    assert study_of(study, parser.parse(argv)) == asked


def test_what_does_not_exist_is_named_with_the_nearest():
    with pytest.raises(InputError, match=r"^unknown study 'posted_from' \(did you mean 'posted_"):
        load_study("posted_from")
