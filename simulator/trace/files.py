# SPDX-License-Identifier: MIT
"""
Saved results
-------------

A saved result is a folder of four files: ``scenario.json`` (everything
resolved), ``provenance.json``, ``frames.npz`` (arrays only, no pickles) and
``SHA256SUMS``, the checksums of the others as ``sha256sum -c`` reads them.
Nothing in it is code, or is ever run.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, NoReturn
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
import numpy.typing as npt

from simulator.errors import InputError
from simulator.inputs import read_bytes
from simulator.outputs import filling
from simulator.trace.contract import FRAMES, Frame
from simulator.trace.frames import Category, Columns

__all__ = ("UNCHECKED", "load_files", "save_result")

_SCENARIO, _PROVENANCE, _FRAMES = "scenario.json", "provenance.json", "frames.npz"
_SUMS = "SHA256SUMS"
_NAMES = (_SCENARIO, _PROVENANCE, _FRAMES)
_SUM = re.compile(r"([0-9a-f]{64}) [ *](\S+)")

#: What a result says that was saved by a version of tlbsim without checksums.
UNCHECKED = "the saved files have no checksums: whether they are as they were saved is not known"


def save_result(
    directory: Path,
    scenario: Mapping[str, Any],
    provenance: Mapping[str, Any],
    frames: Mapping[str, Columns],
) -> None:
    """Write a result to a folder; InputError if it holds anything but an older result."""
    arrays: dict[str, Any] = {}
    for frame, columns in frames.items():
        for name, column in columns.items():
            if isinstance(column, Category):
                arrays[f"{frame}/{name}"] = column.codes
                arrays[f"{frame}/{name}/names"] = np.array(column.names, dtype=np.str_)
            else:
                arrays[f"{frame}/{name}"] = column
    with filling("out", directory, replaces=_is_result, last=_SUMS) as folder:
        _check_others(directory, folder)
        for name, content in ((_SCENARIO, scenario), (_PROVENANCE, provenance)):
            text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False)
            (folder / name).write_text(text + "\n", encoding="utf-8")
        np.savez_compressed(folder / _FRAMES, **arrays)
        sums = [f"{_sha256((folder / name).read_bytes())}  {name}\n" for name in _NAMES]
        (folder / _SUMS).write_text("".join(sums), encoding="utf-8")


def _check_others(directory: Path, hidden: Path) -> None:
    if {p.name for p in directory.iterdir() if p.name != hidden.name} - {*_NAMES, _SUMS}:
        raise InputError(f"out: {directory} holds other things; name a new folder")


# A file may only be replaced in a folder that holds a result.
def _is_result(_new: Path, old: Path) -> bool:
    try:
        _load_json(old.parent, _PROVENANCE, (old.parent / _PROVENANCE).read_bytes())
    except (OSError, InputError):
        return False
    return True


def load_files(
    directory: Path,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Columns]]:
    """
    Return scenario, provenance and the columns of every frame of a saved result.

    Raises InputError if there is none, or it is not as it was saved.  A result without
    checksums, which an earlier version saved, has the note :data:`UNCHECKED`.
    """
    # More than half of the memory is no result, or none to be looked at here.
    limit = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    data = {}
    for name in _NAMES:
        what = f"result: {directory} holds no saved result: {name}"
        data[name] = (
            read_bytes(directory / name, what, limit)
            if name == _FRAMES
            else read_bytes(directory / name, what)
        )
    checked = _check_sums(directory, data)
    scenario, provenance = (
        _load_json(directory, name, data[name]) for name in (_SCENARIO, _PROVENANCE)
    )
    if not checked and isinstance(notes := provenance.get("notes"), list):
        provenance["notes"] = [*notes, UNCHECKED]
    try:
        frames = _frames(directory, _arrays(directory, data[_FRAMES], limit))
    except MemoryError:
        _damaged(directory, f"{_FRAMES} needs more memory than there is")
    return scenario, provenance, frames


def _damaged(directory: Path, reason: str) -> NoReturn:
    raise InputError(f"result: {directory} holds no saved result: {reason}")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# Whether there are checksums, which are then right.
def _check_sums(directory: Path, data: Mapping[str, bytes]) -> bool:
    path = directory / _SUMS
    if not path.exists():
        return False
    what = f"result: {directory} holds no saved result: {_SUMS}"
    lines = read_bytes(path, what).decode("utf-8", "replace").splitlines()
    found = {line[2]: line[1] for line in map(_SUM.fullmatch, lines) if line is not None}
    for name in _NAMES:
        if name not in found:
            _damaged(directory, f"{_SUMS} has no checksum of {name}")
        if found[name] != _sha256(data[name]):
            _damaged(directory, f"{name} is not what was saved (its checksum differs)")
    return True


def _load_json(directory: Path, name: str, content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content, parse_constant=_no_number)
    except RecursionError:
        _damaged(directory, f"{name} is nested too deeply")
    except ValueError as error:
        _damaged(directory, f"{name}: {error}")
    if not isinstance(value, dict) or (name == _PROVENANCE and "key" not in value):
        _damaged(directory, f"{name} says something else")
    return value


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


# --- frames -------------------------------------------------------------------------------


Array = npt.NDArray[Any]
AnyColumn = Array | Category


# numpy's own reader trusts what a file says about its sizes, and decompresses anything.
def _arrays(directory: Path, content: bytes, limit: int) -> dict[str, Array]:
    arrays = {}
    try:
        with ZipFile(BytesIO(content)) as stored:
            members = stored.infolist()
            if sum(member.file_size for member in members) > limit:
                _damaged(directory, f"{_FRAMES} needs more memory than there is")
            for member in members:
                name = member.filename.removesuffix(".npy")
                if name in arrays:
                    _damaged(directory, f"{_FRAMES}: {name} is there twice")
                _check_member(directory, member)
                arrays[name] = _array(stored.read(member), member.file_size)
    except InputError:
        raise
    except (
        ValueError, OSError, EOFError, BadZipFile, zlib.error, NotImplementedError, SyntaxError,
        RecursionError, OverflowError,
    ):  # fmt: skip
        _damaged(directory, f"{_FRAMES} is damaged")
    return arrays


def _check_member(directory: Path, member: ZipInfo) -> None:
    if member.flag_bits & 1:
        _damaged(directory, f"{_FRAMES} is encrypted")
    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        method = member.compress_type
        _damaged(directory, f"{_FRAMES} is compressed by method {method}, not by deflate")


# ValueError unless it is one array of one dimension, as long as it says.
def _array(content: bytes, nr_bytes: int) -> Array:
    if len(content) != nr_bytes:
        raise ValueError("another length than it says")
    file = BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("another version of the format")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    body = content[file.tell() :]
    if len(shape) != 1 or dtype.hasobject or not dtype.itemsize:
        raise ValueError("no column")
    if shape[0] * dtype.itemsize != len(body):
        raise ValueError("another length than it says")
    return np.frombuffer(body, dtype=dtype).copy()


def _frames(directory: Path, arrays: Mapping[str, Array]) -> dict[str, Columns]:
    found: dict[str, Columns] = {name: {} for name in FRAMES}
    for path, array in arrays.items():
        frame, _, name = path.partition("/")
        if frame not in FRAMES or not name:
            _damaged(directory, f"{_FRAMES}: there is no frame {frame!r}")
        if not name.endswith("/names"):
            names = arrays.get(f"{path}/names")
            found[frame][name] = (
                array if names is None else _category(directory, path, array, names)
            )
    return {name: _in_order(directory, frame, found[name]) for name, frame in FRAMES.items()}


def _in_order(directory: Path, frame: Frame, found: Columns) -> Columns:
    for column in frame.columns:
        path = f"{frame.name}/{column.name}"
        if column.name not in found:
            _damaged(directory, f"{_FRAMES}: {path} is missing")
        if _kind(found[column.name]) != column.kind:
            _damaged(directory, f"{_FRAMES}: {path} is of another type")
    if len({_length(column) for column in found.values()}) > 1:
        _damaged(directory, f"{_FRAMES}: the columns of {frame.name} differ in length")
    # A kernel of one's own may count what others do not.
    order = dict.fromkeys((*(column.name for column in frame.columns), *found))
    return {name: found[name] for name in order}


def _category(directory: Path, path: str, codes: Array, names: Array) -> Category:
    words = tuple(names.tolist())
    if codes.dtype != np.int64 or names.dtype.kind != "U" or len(set(words)) != len(words):
        _damaged(directory, f"{_FRAMES}: {path} is of another type")
    if len(codes) and not 0 <= codes.min() <= codes.max() < len(words):
        _damaged(directory, f"{_FRAMES}: {path} has codes beyond its names")
    return Category(codes, words)


def _kind(column: AnyColumn) -> str:
    return "word" if isinstance(column, Category) else column.dtype.name


def _length(column: AnyColumn) -> int:
    return len(column.codes if isinstance(column, Category) else column)
