# SPDX-License-Identifier: MIT
"""
Reading profiles
----------------

Profiles are TOML files, in the package or the user's own.  A profile may
inherit from another (``inherits = "x86-64"``) and then states only what
differs.  Whatever is wrong with a file becomes a line that names the file,
the field and the nearest valid value; all that is wrong is said at once.
"""

from __future__ import annotations

import pickle
import tomllib
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from simulator.errors import InputError, nearest
from simulator.inputs import read_text, user_path
from simulator.machine.inherit import inherited, unsourced
from simulator.machine.model import Machine

__all__ = ("load_machine", "machines", "profile_files", "read_toml")

# Tables in tables in tables: a profile has five.
_DEEPEST = 20
_TOO_DEEP = "not a profile: lists or tables stand too deep inside one another"
# Parents of parents: no path of inheritance is that long.
_MOST_PARENTS = 20


def machines() -> tuple[str, ...]:
    """Return the names of the profiles in the package, abstract ones left out."""
    return tuple(n for n in _shipped() if not read_toml(_profile_path(n), n).get("abstract"))


def load_machine(machine: str | Path) -> Machine:
    """
    Return a machine by the name of a profile or by the path of a file.

    A text with a slash or the ending ``.toml`` is a path.
    """
    path = _path_of(machine, where="", directory=None)
    wrong: list[str] = []
    data = _resolve(path, (), wrong)
    label = _label(path)
    if data.pop("abstract", False):
        raise InputError(f"machine {label!r} is abstract: it can only be inherited from")
    data.setdefault("name", path.stem)
    return Machine.of(data, label, wrong)


def profile_files(machine: str | Path) -> tuple[Path, ...]:
    """Return the files that a machine, which can be loaded, is made of: its own, its parents'."""
    path = _path_of(machine, where="", directory=None)
    files = [path]
    while (parent := read_toml(path, _label(path)).get("inherits")) is not None:
        path = _path_of(parent, f"{_label(path)}: inherits: ", path.parent)
        files.append(path)
    return tuple(files)


def read_toml(path: Path, label: str) -> dict[str, Any]:
    """Return what a TOML file says."""
    text = read_text(path, label)
    try:
        data: dict[str, Any] = pickle.loads(_parsed(text))  # noqa: S301 - made below
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{label}: not TOML: {' '.join(str(error).split())}") from None
    except ValueError:
        # Python's own limit for the conversion of decimal digits.
        raise InputError(f"{label}: not TOML: a number has too many digits") from None
    except RecursionError:
        raise InputError(f"{label}: {_TOO_DEEP}") from None
    if _depth(data) > _DEEPEST:
        raise InputError(f"{label}: {_TOO_DEEP}")
    return data


# Replications read the same files again and again; each reader has objects of its own.
@lru_cache(maxsize=64)
def _parsed(text: str) -> bytes:
    return pickle.dumps(tomllib.loads(text))


def _depth(data: object) -> int:
    depth, level = 0, [data]
    while level:
        depth += 1
        level = [
            item
            for node in level
            if isinstance(node, dict | list)
            for item in (node.values() if isinstance(node, dict) else node)
        ]
    return depth


def _shipped() -> tuple[str, ...]:
    folder = resources.files("simulator.machine") / "profiles"
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml")))


def _profile_path(name: str) -> Path:
    return Path(str(resources.files("simulator.machine") / "profiles" / f"{name}.toml"))


def _label(path: Path) -> str:
    return path.stem if path == _profile_path(path.stem) else str(path)


def _path_of(machine: str | Path, where: str, directory: Path | None) -> Path:
    if isinstance(machine, str) and "/" not in machine and not machine.endswith(".toml"):
        if machine not in _shipped():
            # Abstract profiles are of use to a profile only.
            names = _shipped() if where else machines()
            known = nearest(machine, names) or f"; known: {', '.join(names)}"
            raise InputError(f"{where}unknown machine {machine!r}{known}")
        return _profile_path(machine)
    path = user_path(machine, where.removesuffix(": ") or "machine")
    return path if directory is None else directory / path


# What is wrong between a profile and its parent goes into `wrong`: it can be read all the same.
def _resolve(path: Path, chain: tuple[Path, ...], wrong: list[str]) -> dict[str, Any]:
    label = _label(path)
    # Read first: what can be read can be resolved.
    data = read_toml(path, label)
    if path.resolve() in chain or len(chain) > _MOST_PARENTS:
        what = "a cycle" if path.resolve() in chain else f"more than {_MOST_PARENTS} parents"
        loop = " -> ".join(_label(p) for p in (*chain, path.resolve()))
        raise InputError(f"{_label(chain[0])}: inherits: {what}: {loop}")
    abstract = data.get("abstract", False)
    if not isinstance(abstract, bool):
        raise InputError(f"{label}: abstract: must be true or false, not {abstract!r}")
    parent_name = data.get("inherits")
    if parent_name is None:
        return data
    if not isinstance(parent_name, str):
        raise InputError(f"{label}: inherits: must be text, not {parent_name!r}")
    parent_path = _path_of(parent_name, f"{label}: inherits: ", path.parent)
    parent = _resolve(parent_path, (*chain, path.resolve()), wrong)
    wrong += [f"{label}: {line}" for line in unsourced(parent, data)]
    return inherited(parent, data)
