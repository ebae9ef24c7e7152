# SPDX-License-Identifier: MIT
"""
What commands print and where they save
---------------------------------------
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.errors import InputError

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = (
    "check_folder",
    "check_parquet",
    "check_profile",
    "complain",
    "json_text",
    "progress_bar",
    "whole_files",
    "write_file",
)


def complain(message: str) -> None:
    """Tell the user on standard error, in one line, what went wrong."""
    sys.stderr.write(f"tlbsim: {message}\n")


def json_text(value: Any) -> str:
    """Return JSON for a program to read, and a person too."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def check_folder(folder: Path) -> None:
    """
    Raise InputError unless a result can be saved in `folder`.

    A simulation may take hours; that its result has no place must come out before.
    """
    try:
        if folder.exists() and any(folder.iterdir()):
            raise InputError(f"out: {folder} exists and is not empty; name a new folder")
        # The result is written beside the folder and then renamed. Permissions do not tell
        # whether that will work (a read-only file system, root), so try it.
        parent = folder.absolute().parent
        while not parent.exists():
            parent = parent.parent
        with tempfile.TemporaryDirectory(prefix=".tlbsim-", dir=parent):
            pass
    except OSError as error:
        raise InputError(f"out: {folder} cannot be written: {error.strerror}") from None


@contextmanager
def whole_files(folder: Path) -> Iterator[Path]:
    """
    Yield an empty folder; in the end, move the files in it to `folder`.

    Older files of the same names are replaced, others stay. Raises InputError at once if
    `folder` cannot be written; if anything goes wrong later, nothing is left behind.
    """
    made: list[Path] = []
    try:
        made += [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".tlbsim-", dir=folder) as name:
            yield Path(name)
            for file in sorted(Path(name).iterdir()):
                file.replace(folder / file.name)
    except OSError as error:
        raise InputError(f"out: {folder} cannot be written: {error.strerror}") from None
    finally:
        # A folder that has something in it stays.
        for path in made:
            with suppress(OSError):
                path.rmdir()


def check_parquet(file: Path) -> None:
    """Raise InputError unless a Parquet file can be written there; before the simulation runs."""
    if importlib.util.find_spec("pyarrow") is None:
        raise InputError("ipis: needs pyarrow; pip install 'tlbsim[parquet]'")
    _check_file("ipis", file)


def check_profile(file: Path, start: str | None) -> None:
    """Raise InputError unless a profile can be written to `file` that inherits from `start`."""
    if file.suffix != ".toml":
        raise InputError(f"out: {file} must end in .toml, or --machine would take it for a name")
    if start is not None and start.endswith(".toml") and file.resolve() == Path(start).resolve():
        raise InputError(f"out: {file} is the profile to start from; name another file")
    # A folder that is made for a misspelt path is found by nobody.
    if not file.absolute().parent.exists():
        raise InputError(f"out: {file} cannot be written: there is no folder {file.parent}")
    _check_file("out", file)


def write_file(file: Path, text: str) -> None:
    """Write a file as a whole: an interrupt leaves the old one, or none."""
    try:
        with tempfile.TemporaryDirectory(prefix=".tlbsim-", dir=file.absolute().parent) as name:
            whole = Path(name) / file.name
            whole.write_text(text, encoding="utf-8")
            whole.replace(file)
    except OSError as error:
        raise InputError(f"out: {file} cannot be written: {error.strerror}") from None


def _check_file(option: str, file: Path) -> None:
    if file.is_dir():
        raise InputError(f"{option}: {file} is a folder; name a file")
    parent = file.absolute().parent
    while not parent.exists():
        parent = parent.parent
    try:
        with tempfile.TemporaryDirectory(prefix=".tlbsim-", dir=parent):
            pass
    except OSError as error:
        raise InputError(f"{option}: {file} cannot be written: {error.strerror}") from None


def progress_bar(total: int | None, what: str) -> tqdm[Any] | None:
    """Return a progress bar on standard error, or None where nobody would see it."""
    if not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    return tqdm(total=total, desc=what, file=sys.stderr, leave=False)
