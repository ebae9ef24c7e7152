# SPDX-License-Identifier: MIT
"""
A user edits a kernel while what was made of it before is still there
---------------------------------------------------------------------

Oracle: each text spends a time of its own in a category of its own, so that every run says
which text it ran.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import pickle
import sys

import pytest

from simulator.cli import kernels as kernels_command
from simulator.errors import InputError, KernelError
from simulator.experiment import sweep
from simulator.experiment.cell import decode, simulate_cell
from simulator.experiment.code import code_key
from simulator.experiment.command import run_command
from simulator.experiment.travel import pack, simulate_parcels
from simulator.kernel import load_kernel
from simulator.kernel.blame import blame
from simulator.kernel.listing import listing
from simulator.run import simulate
from simulator.scenario import Scenario

TEXT = """
from simulator.kernel.versions.v6_7 import V6_7


class Mine(V6_7):
    name = "mine"
    summary = ""

    def set_max_huge_pages(k, h, nr_more):
        k.current.work("mine", {ns})
        super().set_max_huge_pages(h, nr_more)
"""


@pytest.fixture
def file(tmp_path):
    """Return a function that writes the file, always of the same length and time."""

    def write(ns):
        path = tmp_path / "mine.py"
        path.write_text(TEXT.format(ns=ns))
        os.utime(path, (10**9, 10**9))
        return path

    return write


def of(kernel, **fields):
    """Return a scenario in which the function is called once."""
    fields = {"machine": "laptop-8", "pages": 1, "cpus": 1, "phases": ("alloc",)} | fields
    return Scenario(kernel=kernel, **fields)


def ran(result):
    """Return the time that stands in the text that was run."""
    rows = result.time_by
    [ns] = set(rows.loc[rows["category"] == "mine", "ns"])  # of the task, and of all
    return ns


def said(scenario, before='work("mine", '):
    """Return the time that stands in the text that the scenario, and so its key, has."""
    source = scenario.resolved()["kernel"]["source"]
    return int(source.partition(before)[2].partition(")")[0])


def test_each_class_runs_and_shows_the_text_that_it_was_loaded_from(file):
    before = load_kernel(file(111))
    after = load_kernel(file(222))
    for kernel, ns in ((before, 111), (after, 222)):
        scenario = of(kernel)
        result = simulate(scenario)
        assert (ran(result), said(scenario)) == (ns, ns)
        assert kernel.digest() == hashlib.sha256(kernel.source().encode()).hexdigest()
        short = hashlib.sha256(TEXT.format(ns=ns).encode()).hexdigest()[:8]
        assert f"mine ({short}) replaces set_max_huge_pages" in result.provenance["notes"]
    assert before.digest() != after.digest()


def test_the_key_is_of_what_was_loaded_whenever_it_is_asked_for(file):
    keys = {ns: of(str(file(ns))).key for ns in (111, 222)}
    scenario = of(str(file(111)))
    path = file(222)
    assert (scenario.key, of(str(path)).key) == (keys[111], keys[222])
    path.unlink()
    assert scenario.replace(seed=1).key == keys[111]


def test_a_copy_has_the_class_of_the_scenario_and_a_kernel_given_anew_is_loaded_anew(file):
    scenario = of(str(file(111)))
    path = str(file(222))
    copy, anew = scenario.replace(seed=2), scenario.replace(kernel=path)
    assert [(ran(simulate(s)), said(s)) for s in (copy, anew)] == [(111, 111), (222, 222)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_sweep_runs_what_its_scenario_was_made_of(file, jobs):
    path = file(111)
    scenario = of(str(path))
    file(222)
    found = sweep(scenario, {"seed": [1, 2]}, replications=1, jobs=jobs)
    assert [ran(cell) for (cell,) in found.cells] == [111, 111]
    assert f"--kernel {path}" in run_command(found.plan.points[0].given, 0)


def test_what_is_printed_of_a_kernel_is_its_own_text(file):
    before = load_kernel(file(111))
    after = load_kernel(file(222))
    for kernel, ns in ((before, 111), (after, 222)):
        [found] = [f for f in listing(kernel) if f.name == "set_max_huge_pages"]
        body = TEXT.format(ns=ns).partition("    def ")[2]
        assert "".join(found.definitions[0].source.split()) == "".join(f"def {body}".split())
        [printed] = kernels_command._details(kernel)["functions"].values()
        assert printed == f"    def {body}"


def test_the_line_that_is_blamed_is_the_one_that_ran(file):
    # No work takes half a nanosecond.
    before = of(str(file("0.5")))
    after = of(str(file("1.5")))
    for scenario, ns in ((before, "0.5"), (after, "1.5")):
        with pytest.raises(KernelError, match="not a whole number") as error:
            simulate(scenario)
        assert blame(error.value).splitlines()[1].strip() == f'k.current.work("mine", {ns})'


def test_a_worker_runs_what_was_loaded_here(file):
    scenario, given = of(str(file(111))), of(load_kernel(file(111)))
    file(222)
    parcels = pickle.loads(pickle.dumps([pack(scenario), pack(given)]))
    for data in simulate_parcels(parcels, code_key())[0]:
        cell = decode(data)
        assert (ran(cell), cell.provenance["key"]) == (111, scenario.key)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_class_that_was_loaded_from_a_file_is_simulated_in_any_process(file, jobs):
    base = {"machine": "laptop-8", "pages": 1, "cpus": 1, "phases": ("alloc",)}
    kernel = load_kernel(file(111))
    file(222)
    found = sweep(base | {"kernel": kernel}, {"seed": [1, 2]}, replications=2, jobs=jobs)
    assert found.failed.empty
    assert [ran(cell) for cells in found.cells for cell in cells] == [111] * 4


@pytest.fixture
def module(file, monkeypatch):
    """Return the module of the file, imported as a script or a notebook would."""
    monkeypatch.syspath_prepend(str(file(111).parent))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield importlib.import_module("mine")
    del sys.modules["mine"]


def test_a_class_of_a_module_keeps_its_text_until_its_functions_are_others(module, file):
    first = of(module.Mine)
    assert said(first) == ran(simulate(first)) == 111
    file(222)
    edited = of(module.Mine)
    assert said(edited) == ran(simulate(edited)) == 111
    # %autoreload puts the new functions into the class that there is.
    old = module.Mine
    new = importlib.reload(module).Mine
    old.set_max_huge_pages.__code__ = new.set_max_huge_pages.__code__.replace(
        co_freevars=old.set_max_huge_pages.__code__.co_freevars
    )
    reloaded = of(old)
    assert said(reloaded) == ran(simulate(reloaded)) == 222
    assert reloaded.key == of(new).key != first.key


def test_a_class_of_a_module_has_another_text_when_what_it_reads_is_another(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path = tmp_path / "reads.py"
    reads = TEXT.replace("{ns}", "cost(1)") + "\n\ndef cost(nr, each={ns}):\n    return nr * each\n"
    path.write_text(reads.format(ns=111))
    module = importlib.import_module("reads")
    stays = module.Mine  # as %autoreload has it
    first = of(stays)
    assert (said(first, "each="), ran(simulate(first))) == (111, 111)
    path.write_text(reads.format(ns=222))
    os.utime(path, (10**9, 10**9))
    importlib.reload(module)
    del sys.modules["reads"]
    second = of(stays)
    assert (said(second, "each="), ran(simulate(second))) == (222, 222)
    assert first.key != second.key


def test_a_worker_refuses_a_kernel_that_is_another_there(module, file):
    parcel = pickle.dumps(pack(of(module.Mine)))
    file(222)
    importlib.reload(module)
    with pytest.raises(InputError, match=r"^kernel: mine is not the same in another process"):
        simulate_parcels([pickle.loads(parcel)], code_key())


def test_cells_of_two_texts_in_one_process_differ(file):
    before, after = (simulate_cell(of(str(file(ns)))) for ns in (111, 222))
    assert before.provenance["key"] != after.provenance["key"]
    assert (ran(before), ran(after)) == (111, 222)
