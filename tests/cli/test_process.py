# SPDX-License-Identifier: MIT
"""
The command as a process: what it loads, and what it does when nobody listens
-----------------------------------------------------------------------------
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import simulator as sim
from simulator.cli import COMMANDS
from simulator.studies import studies

TLBSIM = (sys.executable, "-m", "simulator")
HEAVY = {"pandas", "matplotlib.pyplot", "matplotlib", "numba", "scipy"}


def loaded_by(code):
    """Return the modules that a program has loaded at its end."""
    program = f"import sys\n{code}\nprint('\\n' + ' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


HELPS = (
    *([command.NAME, "--help"] for command in COMMANDS),
    *(["study", study, "--help"] for study in studies()),
)


@pytest.mark.parametrize("argv", [[], ["--help"], *HELPS])
def test_help_loads_nothing_heavy(argv):
    loaded = loaded_by(f"from simulator.cli import main\nassert main({argv!r}) == 0")
    assert not loaded & (HEAVY | {"numpy", "pydantic", "simpy"})


def test_wrong_input_is_refused_before_anything_heavy_is_loaded():
    loaded = loaded_by("from simulator.cli import main\nassert main(['run', '--pages=0']) == 2")
    assert not loaded & HEAVY


def test_json_of_a_run_needs_no_frames_and_its_costs_no_scipy():
    argv = ["run", "--machine=laptop-8", "--kernel=v6.7", "--pages=4", "--json"]
    loaded = loaded_by(f"from simulator.cli import main\nassert main({argv!r}) == 0")
    assert not loaded & {"pandas", "matplotlib", "scipy"}


def test_costs_of_every_machine_of_the_package_need_no_scipy():
    code = """
import simulator as sim
from simulator.machine.lowered.costs import lower_costs
for name in sim.machines():
    lower_costs(sim.load_machine(name).costs)
"""
    assert "scipy" not in loaded_by(code)


def test_import_simulator_loads_nothing_heavy():
    assert not loaded_by("import simulator") & (HEAVY | {"numpy", "pydantic", "simpy"})


def test_a_process_has_the_status_and_the_streams_of_main():
    done = subprocess.run([*TLBSIM, "rn"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("tlbsim: command: 'rn' is not one of ")


@pytest.mark.parametrize("argv", [["machines"], ["--help"]])
def test_a_reader_that_went_away_is_no_error(argv):
    # Unbuffered, argparse would keep the error to itself.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        [*TLBSIM, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*TLBSIM, "machines"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr == "tlbsim: standard output: No space left on device\n"


@pytest.mark.parametrize("encoding", ["ascii", "utf-8:strict"])
def test_a_name_that_the_output_has_no_letters_for_is_escaped(tmp_path, encoding):
    # A byte that is no UTF-8 on its own, as on a disk of another system.
    patch = os.fsdecode(bytes(tmp_path) + b"/p\xe4tch.py")
    done = subprocess.run(
        [*TLBSIM, "new", "patch", patch],
        capture_output=True, check=False, env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"/p\\udce4tch.py: v7.3, with split_folios() to change" in done.stdout


# --- the public face ----------------------------------------------------------------------


def test_every_public_name_is_there_and_listed():
    for name in sim.__all__:
        assert getattr(sim, name) is not None
    assert set(sim.__all__) <= set(dir(sim))
    with pytest.raises(AttributeError, match="no attribute 'simulat'"):
        sim.simulat  # noqa: B018 (the access is the test)


def test_type_checkers_and_python_find_public_names_in_the_same_places():
    tree = ast.parse(Path(sim.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == sim._HOMES
    assert set(seen) | {"__version__"} == set(sim.__all__)
