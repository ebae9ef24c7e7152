# SPDX-License-Identifier: MIT
"""
Help
----

Oracle: what a reader does with it: paste the example.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess

import pytest

from simulator.cli import COMMANDS
from simulator.cli.parser import WIDTH

# Too long for a test of their own: test_validate.py and test_calibrate.py run what these do.
ELSEWHERE = ("validate", "calibrate")


def examples(text):
    """Return the commands below ``example:`` in a help text."""
    lines = text.split("\nexample:\n")[1].replace("\\\n", "").splitlines()
    return [line.strip() for line in lines]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.NAME)
def test_every_command_has_an_example_of_its_own_that_fits(tlbsim, command):
    text = tlbsim(command.NAME, "--help").out
    assert max(map(len, text.splitlines())) <= WIDTH
    assert any(line.startswith(f"tlbsim {command.NAME}") for line in examples(text))


@pytest.mark.parametrize(
    "command",
    [command for command in COMMANDS if command.NAME not in ELSEWHERE],
    ids=lambda command: command.NAME,
)
def test_the_example_in_the_help_works_when_pasted(tlbsim, tmp_path, monkeypatch, command):
    if command.NAME == "completion":
        pytest.importorskip("shtab")
    monkeypatch.chdir(tmp_path)
    for line in examples(tlbsim(command.NAME, "--help").out):
        done = tlbsim(*shlex.split(line)[1:])
        assert (done.status, done.err) == (0, ""), line
        assert done.out


def test_tlbsim_alone_says_what_to_try_and_that_works(tlbsim, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = tlbsim()
    assert (done.status, done.err) == (0, "")
    assert len(done.out.splitlines()) < 24
    tried = done.out.split("Try first")[1].split("\n\n")[0].splitlines()[1:]
    assert len(tried) == 2
    for line in tried:
        assert tlbsim(*shlex.split(line)[1:]).status == 0


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("tlbsim kern", ["kernels"]),
        ("tlbsim run --machine epyc-7j", ["epyc-7j13-vm252"]),
        ("tlbsim compare --kernel v5", ["v5.14"]),
        ("tlbsim new patch x.py --from v6.6+8", ["v6.6+8"]),
        ("tlbsim study hvo", ["hvo_2021"]),
    ],
)
def test_bash_completes_commands_and_names(tlbsim, tmp_path, typed, wanted):
    pytest.importorskip("shtab")
    script = tmp_path / "completion.bash"
    script.write_text(tlbsim("completion", "bash").out)
    ask = (
        f"source {script}; COMP_WORDS=({typed}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1));"
        '_shtab_tlbsim; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", ask], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout.split() == wanted
