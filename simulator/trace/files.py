# SPDX-License-Identifier: MIT
"""
Saved results
-------------

A saved result is a folder of three files: ``scenario.json`` (everything
resolved), ``provenance.json`` and ``frames.npz`` (arrays only, no pickles).
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from simulator.errors import InputError
from simulator.trace.frames import Category, Columns

__all__ = ("load_columns", "load_json", "save_result")

_SCENARIO, _PROVENANCE, _FRAMES = "scenario.json", "provenance.json", "frames.npz"
_FILES = {_SCENARIO, _PROVENANCE, _FRAMES}


def save_result(
    directory: Path,
    scenario: Mapping[str, Any],
    provenance: Mapping[str, Any],
    frames: Mapping[str, Columns],
) -> None:
    """Write a result under a temporary name, then rename it."""
    arrays: dict[str, Any] = {}
    for frame, columns in frames.items():
        for name, column in columns.items():
            if isinstance(column, Category):
                arrays[f"{frame}/{name}"] = column.codes
                arrays[f"{frame}/{name}/names"] = np.array(column.names)
            else:
                arrays[f"{frame}/{name}"] = column
    temporary: Path | None = None
    try:
        if directory.exists() and not {p.name for p in directory.iterdir()} <= _FILES:
            raise InputError(f"out: {directory} holds other things; name a new folder")
        directory.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
        for name, content in ((_SCENARIO, scenario), (_PROVENANCE, provenance)):
            text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False)
            (temporary / name).write_text(text + "\n", encoding="utf-8")
        np.savez_compressed(temporary / _FRAMES, **arrays)
        temporary.chmod(0o755)
        _swap(temporary, directory)
    except OSError as error:
        raise InputError(f"out: cannot write {directory}: {error.strerror}") from None
    finally:
        # Gone already when it was renamed; left behind by an error or an interrupt.
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _swap(new: Path, directory: Path) -> None:
    # A folder cannot be renamed over one that is not empty: move an old result aside first.
    if not directory.exists():
        new.replace(directory)
        return
    old = new.with_name(f"{new.name}-old")
    directory.replace(old)
    new.replace(directory)
    shutil.rmtree(old)


def load_json(directory: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return scenario and provenance of a saved result; InputError if there is none."""
    try:
        scenario, provenance = (
            json.loads((directory / name).read_text(encoding="utf-8"))
            for name in (_SCENARIO, _PROVENANCE)
        )
    except (OSError, ValueError) as error:
        raise _no_result(directory, error) from None
    if not (isinstance(scenario, dict) and isinstance(provenance, dict) and "key" in provenance):
        raise _no_result(directory, f"{_SCENARIO} and {_PROVENANCE} say something else")
    return scenario, provenance


def _no_result(directory: Path, reason: object) -> InputError:
    return InputError(f"result: {directory} holds no saved result: {reason}")


def load_columns(directory: Path) -> Callable[[str], Columns]:
    """Return the columns of a saved result, by frame."""
    try:
        with np.load(directory / _FRAMES, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, BadZipFile, zlib.error) as error:
        # numpy speaks of pickles when a file is none of its own.
        reason = error if isinstance(error, OSError) else f"{_FRAMES} is damaged"
        raise _no_result(directory, reason) from None

    def columns(frame: str) -> Columns:
        found: Columns = {}
        for path, array in arrays.items():
            owner, name, *rest = path.split("/")
            if owner == frame and not rest:
                names = arrays.get(f"{path}/names")
                found[name] = array if names is None else Category(array, tuple(names.tolist()))
        return found

    return columns
