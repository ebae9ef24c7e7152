# SPDX-License-Identifier: MIT
"""
``tlbsim new``
--------------

Oracle: what it prints works when pasted, and what is wrong gets one line.
"""

from __future__ import annotations

import shlex

import pytest


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("argv", "file"),
    [
        (("patch", "my_patch.py"), "my_patch.py"),
        (("patch", "a b.py", "--from", "v6.6", "--function", "vmemmap_remap_free"), "a b.py"),
        (("machine", "mine.toml", "--like", "laptop-8"), "mine.toml"),
    ],
)
def test_what_it_prints_works_when_pasted(tlbsim, here, argv, file):
    done = tlbsim("new", *argv)
    assert (done.status, done.err) == (0, "")
    first, *commands = done.out.splitlines()
    assert first.startswith(f"{file}: ")
    assert len(commands) == 2
    for command in commands:
        pasted = tlbsim(*shlex.split(command)[1:])
        assert (pasted.status, pasted.err) == (0, "")
        assert file.partition(".")[0] in pasted.out


def test_no_file_is_replaced(tlbsim, here):
    (here / "mine.toml").write_text("")
    done = tlbsim("new", "machine", "mine.toml", "--like", "laptop-8")
    assert (done.status, done.out) == (2, "")
    assert done.err == "tlbsim: file: mine.toml is there already; name a new file\n"
    assert (here / "mine.toml").read_text() == ""


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (("patch", "x.toml"), "file: x.toml must end in .py (nearest: x.py)"),
        (("machine", "x.py", "--like", "laptop-8"), "file: x.py must end in .toml"),
        (("patch", "x.py", "--from", "v7.4"), "kernel: there is no 'v7.4' (did you mean 'v7.3'?)"),
        (("patch", "x.py", "--function", "split"), "function: v7.3 has no 'split'"),
        (("patch", "x.py", "--like", "laptop-8"), "like: is for tlbsim new machine, not for patch"),
        (("machine", "x.toml", "--from", "v7.3"), "from: is for tlbsim new patch, not for machine"),
        (("machine", "x.toml"), "like: is missing; one of altra-q80, "),
        (("machine", "x.toml", "--like", "laptop8"), "like: there is no 'laptop8' (did you mean"),
        (("kernel", "x.py"), "patch|machine: 'kernel' is not one of patch, machine"),
        (("patch", "~nosuchuser/x.py"), "file: ~nosuchuser/x.py: there is no such user as"),
        (("patch", "."), "file: . must end in .py"),
        (("patch", "nowhere/../x\0.py"), "file: nowhere/../x\\x00.py: cannot be a path"),
    ],
)
def test_what_is_wrong_gets_one_line_and_no_file(tlbsim, here, argv, line):
    done = tlbsim("new", *argv)
    assert (done.status, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert done.err.startswith(f"tlbsim: {line}")
    assert list(here.iterdir()) == []
