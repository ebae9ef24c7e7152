# SPDX-License-Identifier: MIT
"""
Where compiled code is kept
---------------------------

numba takes a cached function for current as long as the one file that defines it is
unchanged, whatever it takes in from others: constants, and functions that are
inlined or linked.  So each module's compiled code lies in a folder that is named
after the contents of every file of this package that the module imports, directly or
not, and after what compiled it: numba, LLVM and the CPU.

The folder is in the package, if that can be written to, or in the user's cache;
if neither can be, nothing is kept.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import llvmlite.binding
import numba

__all__ = ("folder_for", "sources")

_PACKAGE = Path(__file__).parents[2]
_DIGITS = 16
# Imports for type checkers alone are not followed: nothing of them is compiled in.
_TYPES_ONLY = re.compile(r"^if TYPE_CHECKING:\n(?:[ \t].*\n|\n)*", re.MULTILINE)
_IMPORT = re.compile(
    rf"^[ \t]*(?:from[ \t]+({_PACKAGE.name}[.\w]*)[ \t]+import[ \t]+(\([^)]*\)|.*)"
    rf"|import[ \t]+({_PACKAGE.name}[.\w]*))",
    re.MULTILINE,
)


def _file_of(module: str) -> Path | None:
    path = _PACKAGE.parent.joinpath(*module.split("."))
    found = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in found if file.is_file()), None)


@cache
def _read(file: Path) -> tuple[bytes, tuple[Path, ...]]:
    # What a file contains, and the files of this package that it imports.
    content = file.read_bytes()
    text = _TYPES_ONLY.sub("", content.decode())
    files: list[Path | None] = []
    for parent, names, module in _IMPORT.findall(text):
        # What is imported from a module is either a module itself, or defined in the first.
        named = re.findall(r"\w+", re.sub(r"[ \t]as[ \t]+\w+|#.*", "", names))
        files += [_file_of(f"{parent}.{name}") or _file_of(parent) for name in named]
        files += [_file_of(module)] if module else []
    return content, tuple(file for file in files if file is not None)


def sources(file: Path) -> list[Path]:
    """
    Return all files that a module is made of, itself and what it imports of this package.

    Raises OSError where one cannot be read, as in a zip file.
    """
    found = {file}
    left = [file]
    while left:
        for imported in _read(left.pop())[1]:
            if imported not in found:
                found.add(imported)
                left.append(imported)
    return sorted(found)


@cache
def _compiler() -> str:
    settings = vars(numba.config)
    features = settings["CPU_FEATURES"]
    if features is None:
        features = llvmlite.binding.get_host_cpu_features().flatten()
    cpu = settings["CPU_NAME"] or llvmlite.binding.get_host_cpu_name()
    return _digest(
        part.encode() for part in (numba.__version__, llvmlite.__version__, cpu, features)
    )


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:_DIGITS]


def _parents() -> Iterator[tuple[Path, int]]:
    # Where folders may lie, and for how many seconds those of other sources are kept there.
    yield Path(__file__).parent / "__pycache__", 0
    try:
        home = str(Path.home())
    except RuntimeError:  # no HOME, and no such user
        home = ""
    # As the XDG specification has it, what is not absolute does not count.
    for folder in (os.environ.get("XDG_CACHE_HOME", ""), home and f"{home}/.cache"):
        if Path(folder).is_absolute():
            # Other installations may use it.
            yield Path(folder, "tlbsim"), 30 * 86_400
            return


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        os.utime(folder.parent)  # it is in use
    except OSError:
        return False
    return True


def _remove_unused(parent: Path, name: str, keep: Path, after_s: int) -> None:
    for folder in parent.glob(f"{name}-{'[0-9a-f]' * _DIGITS}"):
        try:
            if folder != keep and folder.stat().st_mtime <= time.time() - after_s:
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # another process has removed it


@cache
def folder_for(file: str) -> str | None:
    """Return the folder for the compiled functions of a source file; None: there is none."""
    path = Path(file).resolve()
    try:
        of_sources = _digest(_read(source)[0] for source in sources(path))
    except (OSError, UnicodeDecodeError):
        return None
    name = f"{path.parent.name}.{path.stem}"
    for parent, kept_s in _parents():
        folder = parent / f"{name}-{of_sources}"
        is_new = not folder.exists()
        if _is_writable(folder / _compiler()):
            if is_new:
                _remove_unused(parent, name, folder, kept_s)
            return str(folder / _compiler())
    return None
