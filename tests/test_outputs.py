# SPDX-License-Identifier: MIT
"""
What is written: whole or not at all, and nothing of another kind replaced
--------------------------------------------------------------------------

Oracle: the file system before and after.
"""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.errors import InputError
from simulator.outputs import Kind, check, check_new_folder, filling, hidden_folder, writing

LIST = Kind("a list", lambda head: head.startswith(b"LIST"))


def write(path, text="LIST new"):
    with writing("list", path, LIST) as temporary:
        temporary.write_text(text)


def fill(path, **files):
    with filling("out", path) as folder:
        for name, text in files.items():
            (folder / name).write_text(text)


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refused(tmp_path, path, message, **inputs):
    """Neither the check nor the writing changes anything; both say why."""
    before = tree(tmp_path)
    with pytest.raises(InputError, match=f"^list: {re.escape(str(path))} {message}") as error:
        check("list", path, LIST, inputs)
    assert "\n" not in str(error.value)
    if not inputs:
        with pytest.raises(InputError, match=message):
            write(path)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("old", [None, "", "LIST old"], ids=["new", "empty", "own kind"])
def test_a_file_takes_the_place_of_none_an_empty_one_or_one_of_its_kind(tmp_path, old):
    path = tmp_path / "file"
    if old is not None:
        path.write_text(old)
    check("list", path, LIST)
    assert path.exists() == (old is not None)
    write(path)
    assert tree(tmp_path) == {"file": b"LIST new"}


@pytest.mark.parametrize("old", ["my thesis", "LIS", "\n"])
def test_a_file_of_another_kind_stays(tmp_path, old):
    (tmp_path / "file").write_text(old)
    refused(tmp_path, tmp_path / "file", "holds something else than a list; name another")


def test_a_folder_a_pipe_a_socket_and_a_device_stay(tmp_path):
    (tmp_path / "folder").mkdir()
    refused(tmp_path, tmp_path / "folder", "is a folder; name a file")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path, tmp_path / "pipe", "is a device or a pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        refused(tmp_path, tmp_path / "socket", "is a device or a pipe")
    refused(tmp_path, Path("/dev/null"), "is a device or a pipe")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_an_input_of_the_same_command_stays_by_whatever_name(tmp_path):
    source = tmp_path / "source"
    source.write_text("LIST mine")
    (tmp_path / "link").symlink_to(source)
    (tmp_path / "hard").hardlink_to(source)
    for name in ("source", "link", "hard", "../" + tmp_path.name + "/source"):
        refused(tmp_path, tmp_path / name, "is what --from reads; name another", **{"from": source})
    check("list", tmp_path / "other", LIST, {"from": source, "machine": "laptop-8", "noise": None})


def test_a_link_is_followed_and_one_to_nothing_refused(tmp_path):
    (tmp_path / "there").write_text("LIST old")
    (tmp_path / "link").symlink_to("there")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there").read_text() == "LIST new"
    (tmp_path / "dangling").symlink_to("nowhere")
    refused(tmp_path, tmp_path / "dangling", "is a link to .*nowhere, which is not there")
    (tmp_path / "loop").symlink_to("loop")
    refused(tmp_path, tmp_path / "loop", "is a link to .*, which is not there")


@pytest.mark.parametrize("name", ["x" * 300, "file/below", "/proc/tlbsim"])
def test_what_cannot_be_made_comes_out_in_the_check(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"^list: .*cannot be written: ") as error:
        check("list", tmp_path / name, LIST)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="cannot be written"):
        write(tmp_path / name)
    assert tree(tmp_path) == {"file": b""}


def test_a_name_as_long_as_names_may_be_is_written(tmp_path):
    write(tmp_path / ("x" * 255))
    assert len(tree(tmp_path)) == 1


def test_names_with_line_ends_and_zero_bytes_give_one_line(tmp_path):
    (tmp_path / "two\nlines").mkdir()
    for name in ("two\nlines", "zero\0byte"):
        with pytest.raises(InputError) as error:
            check("list", tmp_path / name, LIST)
        assert str(error.value).isprintable()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_fails_changes_nothing(tmp_path, error):
    (tmp_path / "file").write_text("LIST old")

    def half(manager, name):
        with manager as temporary:
            (temporary / name if name else temporary).write_text("LIST half")
            raise error

    with pytest.raises(error):
        half(writing("list", tmp_path / "file", LIST), "")
    with pytest.raises(error):
        half(filling("out", tmp_path / "a" / "b"), "one")
    assert tree(tmp_path) == {"file": b"LIST old"}
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("mask", [0o077, 0o002])
def test_what_is_new_has_the_permissions_of_the_umask_and_what_is_old_keeps_its_own(tmp_path, mask):
    (tmp_path / "old").write_text("LIST old")
    (tmp_path / "old").chmod(0o640)
    before = os.umask(mask)
    try:
        write(tmp_path / "new")
        write(tmp_path / "old")
        with filling("out", tmp_path / "folder") as folder:
            (folder / "one").write_text("1")
    finally:
        os.umask(before)
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("new", "old")}
    assert modes == {"new": 0o666 & ~mask, "old": 0o640}
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o777 & ~mask
    assert stat.S_IMODE((tmp_path / "folder" / "one").stat().st_mode) == 0o666 & ~mask


def test_what_a_killed_process_left_is_removed_by_the_next_and_what_a_living_one_has_is_not(
    tmp_path,
):
    program = (
        "import os, sys; from pathlib import Path; from simulator.outputs import hidden_folder\n"
        "with hidden_folder(Path(sys.argv[1])) as f: (f / 'half').write_text('x'); os._exit(9)"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert killed.returncode == 9
    (left,) = tmp_path.iterdir()
    mine = tmp_path / ".tlbsim-tmp-mine"
    mine.mkdir()
    with hidden_folder(tmp_path) as living:
        assert not left.exists()
        write(tmp_path / "file")
        check_new_folder("out", tmp_path / "new")
        assert living.exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == [mine.name, "file"]


def test_what_was_left_over_does_not_make_a_folder_full(tmp_path):
    (tmp_path / ".tlbsim-tmp-0123456789abcdef").mkdir()
    check_new_folder("out", tmp_path)
    assert not list(tmp_path.iterdir())


def test_files_in_a_folder_replace_those_of_their_kind_and_others_stay(tmp_path):
    old = {
        "table.csv": "a,b\n1,2\n",
        "plot.png": "\x89PNG\0old",
        "text.txt": "Simulated in May\n",
        "mine": "mine",
    }
    new = {"table.csv": "a,b\n3,4\n", "plot.png": "\x89PNG\0new", "text.txt": "all simulated\n"}
    for name, text in old.items():
        (tmp_path / name).write_text(text)
    with filling("out", tmp_path) as folder:
        for name, text in new.items():
            (folder / name).write_text(text)
    assert tree(tmp_path) == {name: text.encode() for name, text in (old | new).items()}


@pytest.mark.parametrize(
    ("mine", "new"),
    [("year,income\n", "a,b\n"), ("\x89PNG\0", "PAR1\0"), ("my notes", "all simulated")],
)
def test_a_file_of_the_users_stays_and_what_is_new_is_kept_beside_it(tmp_path, mine, new):
    (tmp_path / "x").write_text(mine)
    with pytest.raises(InputError, match="what is new is in ") as error:
        fill(tmp_path, x=new)
    kept = Path(str(error.value).rpartition(" in ")[2])
    assert tree(tmp_path) == {"x": mine.encode(), f"{kept.name}/x": new.encode()}


def test_a_new_folder_is_new_or_empty(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("new", "new/below", "empty", "link"):
        check_new_folder("out", tmp_path / name)
    monkeypatch.chdir(tmp_path / "empty")
    check_new_folder("out", Path())
    with filling("out", Path()) as folder:
        (folder / "one").write_text("1")
    for name in (".", "..", "../link", "../empty/../link"):
        with pytest.raises(InputError, match="exists and is not empty; name a new folder"):
            check_new_folder("out", Path(name))
    with pytest.raises(InputError, match=r"is a link to .*nowhere, which is not there"):
        check_new_folder("out", tmp_path / "dangling")
    for name in ("absent/..", "absent/../new"):
        with pytest.raises(InputError, match="cannot be written: No such file or directory"):
            check_new_folder("out", tmp_path / name)
    assert tree(tmp_path) == {"empty/one": b"1"}
