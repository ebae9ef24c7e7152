# SPDX-License-Identifier: MIT
"""
A store of cells
----------------

A folder in which every finished cell of an experiment lies under the key of
its content and of the code that made it, so that nothing that was finished is
simulated twice and nothing that has changed is taken for what it was.

Files are written beside their place and renamed: a killed sweep leaves whole
cells, and two sweeps into one store write the same bytes. What failed is kept as
well, as a cell with its error; it is not simulated again, unless it failed for want
of a worker or of memory. Beside the cells lies what machines, noises, kernels and
code said when they were last used, by name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from simulator.errors import InputError
from simulator.experiment.cell import Cell, DamagedError, decode, encode
from simulator.experiment.code import code_files, code_key
from simulator.outputs import hidden_folder, is_hidden
from simulator.scenario import Scenario

__all__ = ("Store", "is_store")

_MARK = "tlbsim-store.json"
_MARK_TEXT = '{"format": 1}\n'
_SUFFIX = ".cell"
# More would not be read.
_MOST_NAMED = 4


def is_store(folder: Path) -> bool:
    """Return whether a folder is a store."""
    return (folder / _MARK).is_file()


class Store:
    """
    The cells in a folder; made if there is none, InputError if it holds other things.

    Cells of runs that were held against what must hold (``check``) and of those that were
    not lie beside each other.
    """

    def __init__(self, folder: str | Path, *, check: bool = True) -> None:
        self.folder = Path(folder)
        self._check = check
        try:
            if not is_store(self.folder):
                other = self.folder.exists() and not all(map(is_hidden, self.folder.iterdir()))
                # Asked again: another sweep may have made it meanwhile.
                if other and not is_store(self.folder):
                    raise InputError(
                        f"store: {folder} holds other things than a store; name a new folder"
                    )
                self.folder.mkdir(parents=True, exist_ok=True)
                _write(self.folder / _MARK, _MARK_TEXT.encode())
            elif (self.folder / _MARK).read_text(encoding="utf-8") != _MARK_TEXT:
                raise InputError(f"store: {folder} was made by another version of tlbsim")
        except OSError as error:
            raise InputError(f"store: cannot use {folder}: {error.strerror}") from None

    def get(self, scenario: Scenario) -> tuple[Cell | None, str]:
        """
        Return the cell of a scenario, or None and what is wrong with the file, if anything.

        None, too, for one that failed and may not fail again.
        """
        path = self._path(scenario)
        try:
            cell = decode(path.read_bytes(), scenario)
        except FileNotFoundError:
            return None, ""
        except (DamagedError, OSError) as error:
            return None, f"{path.name[:12]} is damaged ({error}); simulated anew"
        return (None if cell.lost else cell), ""

    def put(self, cell: Cell) -> None:
        """Keep a cell; InputError if that cannot be done."""
        self._keep(self._path(cell.scenario), encode(cell))

    def cells(self) -> Iterator[Cell]:
        """
        Yield all whole cells, in the order of their keys.

        Of a scenario that several versions of the code have simulated, the cell of the
        one that runs now, if there is one; of its cells, the one that was checked.
        """

        def rank(cell: Cell) -> tuple[bool, bool]:
            return cell.provenance.get("code") == code_key(), bool(cell.provenance.get("checked"))

        found: dict[str, Cell] = {}
        for path in sorted(self.folder.glob(f"cells/*/*{_SUFFIX}")):
            try:
                cell = decode(path.read_bytes())
            except DamagedError:
                continue
            key = str(cell.provenance["key"])
            if key not in found or rank(cell) >= rank(found[key]):
                found[key] = cell
        yield from found.values()

    def notice_changes(self, scenarios: Iterable[Scenario]) -> list[str]:
        """
        Return what says something else than when it was last used in this store, in words.

        From then on, what it says now counts.
        """
        found: list[str] = []
        for (kind, name), content in _inputs(scenarios).items():
            # The name of a file may be no text.
            of_name = f"{kind} {name}".encode(errors="surrogateescape")
            digest = hashlib.sha256(of_name).hexdigest()[:24]
            path = self.folder / "inputs" / f"{kind}-{digest}.json"
            text = json.dumps({"name": name, "content": content}, sort_keys=True, indent=0)
            try:
                before = json.loads(path.read_text(encoding="utf-8"))["content"]
            except (OSError, ValueError, KeyError):
                before = content
            if before != content:
                found.append(f"{kind} {name} has changed ({_difference(before, content)})".strip())
            self._keep(path, text.encode())
        return found

    def _keep(self, path: Path, data: bytes) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, data)
        except OSError as error:
            raise InputError(f"store: cannot write {path}: {error.strerror}") from None

    def _path(self, scenario: Scenario) -> Path:
        unchecked = "" if self._check else " unchecked"
        key = hashlib.sha256(f"{scenario.key} {code_key()}{unchecked}".encode()).hexdigest()
        return self.folder / "cells" / key[:2] / f"{key}{_SUFFIX}"


# Whole or not at all, also where two write at once.
def _write(path: Path, data: bytes) -> None:
    with hidden_folder(path.parent) as folder:
        whole = folder / path.name
        whole.write_bytes(data)
        whole.replace(path)


def _inputs(scenarios: Iterable[Scenario]) -> dict[tuple[str, str], dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {("code", "of tlbsim"): dict(code_files())}
    for scenario in scenarios:
        machine, noise, kernel = (
            scenario.machine_model, scenario.noise_model, scenario.kernel_class,
        )  # fmt: skip
        # What the user set is no change of the profile; it tells two machines apart.
        own = "".join(f" {key}={value}" for key, value in machine.changed().items())
        found["machine", machine.name + own] = _flat(machine.model_dump(mode="json"))
        found["noise", noise.name] = _flat(noise.model_dump(mode="json"))
        if scenario.kernel_class.own_file:
            source = hashlib.sha256(kernel.source().encode()).hexdigest()
            found["kernel", f"{kernel.name} ({Path(kernel.own_file).name})"] = {"source": source}
    return found


def _flat(node: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(node, Mapping):
        pairs = [
            (f"{prefix}.{name}" if prefix else str(name), value) for name, value in node.items()
        ]
    elif isinstance(node, list) and node and isinstance(node[0], Mapping):
        pairs = [(f"{prefix}.{value.get('name', i)}", value) for i, value in enumerate(node)]
    else:
        return {prefix: node}
    return {key: leaf for name, value in pairs for key, leaf in _flat(value, name).items()}


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    keys = [key for key in (*before, *after) if before.get(key) != after.get(key)]
    names = list(dict.fromkeys(keys))
    # What a value is says more than where it comes from.
    values = [name for name in names if name.endswith(".value")] or names
    told = [
        f"{name.removesuffix('.value')} {before.get(name)} -> {after.get(name)}"
        if name.endswith(".value")
        else name
        for name in values[:_MOST_NAMED]
    ]
    more = len(values) - len(told)
    return ", ".join(told) + (f" and {more} more" if more else "")
