# SPDX-License-Identifier: MIT
"""
What is written
---------------

Everything that a user asks to be saved is written here: checked before the work
begins, written whole or not at all.  An output replaces an older file of its own
kind, which its content tells and not its name, and nothing else: no file of
another kind, no input of the same command, no device.

A command first calls :func:`check`, then works, then writes::

    check("perfetto", path, PERFETTO, inputs={"machine": args.machine})
    ...
    with writing("perfetto", path, PERFETTO) as temporary:
        temporary.write_bytes(...)

What is being written lies in a hidden folder beside its place.  That folder is
locked while its process lives; what a killed process left is removed by the next
one that writes there.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from simulator.errors import InputError

__all__ = (
    "NOTHING",
    "Kind",
    "cannot",
    "check",
    "check_apart",
    "check_new_file",
    "check_new_folder",
    "filling",
    "hidden_folder",
    "is_hidden",
    "same_kind",
    "writing",
)

_HEAD_BYTES = 1 << 16
_PREFIX = ".tlbsim-tmp-"
_HIDDEN = re.compile(re.escape(_PREFIX) + "[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Kind:
    """
    A kind of file that tlbsim writes.

    ``name`` is what an error calls it, with its article; ``is_one`` tells from the
    first 64 KB of a file whether it is one.
    """

    name: str
    is_one: Callable[[bytes], bool]


#: What a new file may take the place of: nothing.
NOTHING = Kind("nothing", lambda _head: False)


def check(
    option: str, path: Path, kind: Kind, inputs: Mapping[str, str | Path | None] | None = None
) -> None:
    """
    Raise InputError unless a file of this kind can be written to `path`.

    :param option: the option that names the file, as an error calls it.
    :param inputs: what the same command reads, by the option that names it; what is no
        file there, such as the name of a machine, is no input file.
    """
    try:
        target = _target(option, path)
        for name, source in (inputs or {}).items():
            if source is not None and _same_file(target, Path(source)):
                raise InputError(f"{option}: {path} is what --{name} reads; name another file")
        _check_old_file(option, path, target, kind)
        _try_folder(target.parent)
    except OSError as error:
        raise cannot(option, path, error) from None


def check_apart(
    files: Mapping[str, Path | None], folders: Mapping[str, Path | None] | None = None
) -> None:
    """
    Raise InputError if two outputs are in one place, or a file where a folder is made.

    :param files: by the option that names it, as are the folders; None for what is not asked for.
    """
    there: dict[Path, str] = {}
    for option, folder in (folders or {}).items():
        if folder is not None:
            taken = there.setdefault(folder.resolve(), option)
            if taken != option:
                raise InputError(f"{option}: {folder} is what --{taken} makes; name another folder")
    made = list(there.items())
    for option, file in files.items():
        if file is None:
            continue
        target = file.resolve()
        for folder, other in made:
            if target == folder or target in folder.parents:
                raise InputError(
                    f"{option}: {target} is where --{other} makes a folder; name another file"
                )
        if target in there:
            other = there[target]
            raise InputError(f"{option}: {target} is what --{other} writes; name another file")
        there[target] = option


def check_new_file(option: str, path: Path) -> None:
    """Raise InputError unless there is nothing at `path` and a file can be made there."""
    if path.exists():
        raise InputError(f"{option}: {path} is there already; name a new file")
    check(option, path, NOTHING)


@contextmanager
def writing(option: str, path: Path, kind: Kind) -> Iterator[Path]:
    """
    Yield the name of a file to write, which then takes the place of `path`.

    If anything goes wrong, nothing changes at `path`.  A link is followed, and
    missing folders are made.  Raises InputError where it cannot be written.
    """
    try:
        target = _target(option, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with hidden_folder(target.parent) as folder:
            file = folder / "whole"
            yield file
            # It may be another's since it was checked.
            _check_old_file(option, path, target, kind)
            if target.exists():
                file.chmod(stat.S_IMODE(target.stat().st_mode))
            file.replace(target)
    except OSError as error:
        raise cannot(option, path, error) from None


def check_new_folder(option: str, folder: Path) -> None:
    """
    Raise InputError unless `folder` can be made, or is there and empty, and can be written.

    Work may take hours; that its result has no place must come out before.
    """
    try:
        _target(option, folder)
        if folder.exists():
            _remove_left_over(folder)
            if any(folder.iterdir()):
                raise InputError(f"{option}: {folder} exists and is not empty; name a new folder")
        _try_folder(folder)
    except OSError as error:
        raise cannot(option, folder, error) from None


def cannot(option: str, path: Path, error: OSError) -> InputError:
    """Return the error to raise where something cannot be written."""
    # Some libraries give a number only, some only a text.
    reason = os.strerror(error.errno) if error.errno else str(error)
    return InputError(f"{option}: {path} cannot be written: {reason}")


def same_kind(new: Path, old: Path) -> bool:
    """
    Return whether a file is of the kind of another that tlbsim wrote.

    Our texts say that they are simulated, our tables have their columns in the first
    line, and what is no text has its kind in the first bytes.
    """
    if not old.is_file():
        return False
    with new.open("rb") as file, old.open("rb") as other:
        heads = file.read(_HEAD_BYTES), other.read(_HEAD_BYTES)
    if any(b"\0" in head for head in heads):
        return heads[0][:4] == heads[1][:4]
    first_lines = {head.partition(b"\n")[0] for head in heads}
    return len(first_lines) == 1 or all(b"simulated" in head.lower() for head in heads)


@contextmanager
def filling(
    option: str,
    folder: Path,
    replaces: Callable[[Path, Path], bool] = same_kind,
    last: str = "",
) -> Iterator[Path]:
    """
    Yield an empty folder; in the end, move the files in it to `folder`.

    Older files of the same names and kinds are replaced, others stay: if one is in the
    way, everything new is kept in a folder beside it, which the error names.  Raises
    InputError at once if `folder` cannot be written; if anything goes wrong before the
    end, nothing is left behind.

    :param replaces: whether a new file may take the place of an old one.
    :param last: the file to move last, which says that the others are whole.
    """
    made: list[Path] = []
    try:
        target = _target(option, folder)
        made += [path for path in (target, *target.parents) if not path.exists()]
        target.mkdir(parents=True, exist_ok=True)
        with hidden_folder(target) as hidden:
            yield hidden
            files = sorted(hidden.iterdir(), key=lambda file: (file.name == last, file.name))
            _check_places(option, target, files, replaces)
            for file in files:
                file.replace(target / file.name)
    except OSError as error:
        raise cannot(option, folder, error) from None
    finally:
        # A folder that has something in it stays.
        for path in made:
            with suppress(OSError):
                path.rmdir()


def _check_places(
    option: str, folder: Path, files: Sequence[Path], replaces: Callable[[Path, Path], bool]
) -> None:
    for file in files:
        there = folder / file.name
        if there.exists() and not replaces(file, there):
            kept = folder / f"tlbsim-{secrets.token_hex(4)}"
            file.parent.rename(kept)
            raise InputError(f"{option}: {there} is no output of tlbsim; what is new is in {kept}")


@contextmanager
def hidden_folder(parent: Path) -> Iterator[Path]:
    """Yield a new hidden folder in `parent`, and remove it; first remove any left over there."""
    _remove_left_over(parent)
    while True:
        folder = parent / f"{_PREFIX}{secrets.token_hex(8)}"
        folder.mkdir()
        lock = _lock(folder, fcntl.LOCK_EX)
        # Another process may have taken it for one left over before it was locked.
        if folder.exists():
            break
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def is_hidden(path: Path) -> bool:
    """Return whether a path is named like a hidden folder, in which something is being written."""
    return _HIDDEN.fullmatch(path.name) is not None


def _remove_left_over(parent: Path) -> None:
    for folder in parent.iterdir():
        if not is_hidden(folder):
            continue
        lock = _lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


# The lock of a folder, or None if another process has it. It ends with its process, however that
# ends; a file system without locks keeps what was left over.
def _lock(folder: Path, how: int) -> int | None:
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(opened, how)
    except OSError:
        os.close(opened)
        return None
    return opened


# Where a path leads, links followed.
def _target(option: str, path: Path) -> Path:
    if "\0" in str(path):
        raise InputError(f"{option}: {path} cannot be a path: it has a NUL byte")
    target = Path(os.path.realpath(path))
    if path.is_symlink() and not path.exists():
        raise InputError(f"{option}: {path} is a link to {target}, which is not there")
    return target


def _same_file(path: Path, other: Path) -> bool:
    with suppress(OSError, ValueError):
        return path.samefile(other.expanduser())
    return False


def _check_old_file(option: str, path: Path, target: Path, kind: Kind) -> None:
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise InputError(f"{option}: {path} is a folder; name a file")
    if not stat.S_ISREG(mode):
        raise InputError(f"{option}: {path} is a device or a pipe; name a file")
    with target.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head and not kind.is_one(head):
        raise InputError(f"{option}: {path} holds something else than {kind.name}; name another")


# Permissions do not tell whether something can be made there (a read-only file system, root).
def _try_folder(folder: Path) -> None:
    there = folder.absolute()
    while not there.exists():
        # What is made below is no way back up from what is not there.
        if there.name == "..":
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        there = there.parent
    with hidden_folder(there):
        pass
