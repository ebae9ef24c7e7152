# SPDX-License-Identifier: MIT
"""
``tlbsim study``
----------------

It is the same study as the script's: same text but for the command, same files.
"""

from __future__ import annotations

import pytest

from simulator.studies import studies
from simulator.studies.noise import Noise
from tests.studies.scripts import run_script

SMALL = ("--machine=laptop-8", "--pages=1", "--cpus=2", "--replications=1")


def test_without_a_name_the_studies_are_listed(tlbsim):
    done = tlbsim("study")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 72
    assert [line.split()[0] for line in lines[1:] if line[0] != " "] == [*studies()]
    listed = tlbsim("study", "--json").json
    assert [study["name"] for study in listed] == [*studies()]
    assert all(study["question"] for study in listed)


def test_text_and_files_are_those_of_the_script(tlbsim, tmp_path):
    done = tlbsim("study", "noise", *SMALL, f"--out={tmp_path / 'a'}")
    assert (done.status, done.err) == (0, "")
    status, text = run_script(Noise, *SMALL, f"--out={tmp_path / 'b'}")
    assert status == 0
    assert (tmp_path / "a" / "noise.txt").read_text(encoding="utf-8") == done.out
    assert without_command(done.out) == without_command(text)
    assert "tlbsim study noise --machine=laptop-8" in done.out
    one, other = (tmp_path / folder / "noise.png" for folder in "ab")
    assert one.read_bytes() == other.read_bytes()


def without_command(text):
    head, _, rest = text.partition("\ncommand ")
    return head + rest[rest.index("\nversion ") :]


@pytest.mark.parametrize(
    "place", [0, pytest.param(1, marks=pytest.mark.slow)], ids=["before its name", "after it"]
)
def test_json_is_the_numbers(tlbsim, tmp_path, place):
    argv = ["flush_ceiling", "--quick", f"--out={tmp_path}"]
    argv.insert(place, "--json")
    rows = tlbsim("study", *argv).json
    of_machine = {row["machine"]: row for row in rows if row["used_again"] is None}
    assert "core-i5-3320m" in of_machine
    # As the text says of 192 of 512 translations: the kernel's ceiling.
    (at,) = (row for row in rows if row["used_again"] == 192)
    assert at["full_flush_cheaper_from_pages"] == 33


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("nose",), "unknown study 'nose' (did you mean 'noise'?)"),
        (("noise", "--page=2"), "unknown option '--page' (did you mean '--pages'?)"),
        (("noise", "--page=2"), "see tlbsim study noise --help"),
        (("noise", "--pages=0"), "pages: must be 1 to"),
        (("--quick",), "unknown option '--quick'"),
        (("noise", "hvo_2021"), "unexpected argument 'hvo_2021'"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(tlbsim, tmp_path, monkeypatch, argv, message):
    monkeypatch.chdir(tmp_path)
    done = tlbsim("study", *argv)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert message in done.err
    assert not list(tmp_path.iterdir())


def test_the_help_of_a_study_has_its_question_and_its_options(tlbsim):
    done = tlbsim("study", "noise", "--help")
    assert done.status == 0
    assert "Does the conclusion survive what the other CPUs do?" in done.out
    assert "--replications N" in done.out
    assert max(map(len, done.out.splitlines())) <= 72


def test_strict_is_status_1_if_a_run_broke_what_must_hold(tlbsim, tmp_path):
    options = ("--quick", "--machine", "laptop-8", "--out", tmp_path / "out", "--strict")
    # @v3 inverts a flag: it breaks size-and-frame.
    assert tlbsim("study", "posted_forms", *options).status == 1
    # Mutants are there to break something, and each breaks what it should.
    assert tlbsim("study", "is_it_safe", *options, "--kernel", "v6.7").status == 0
