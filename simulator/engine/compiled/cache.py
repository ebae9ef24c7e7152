# SPDX-License-Identifier: MIT
"""
Where compiled code is kept
---------------------------

In one file for each module that has entries, named after the contents of every file of this
package that the module imports, directly or not: constants, and functions that are inlined
or linked, are compiled in.

The file is in the package, if that can be written to, or in the user's cache; if neither
can be, nothing is kept.  A wheel brings bitcode along (:mod:`simulator.engine.compiled.build`).
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ("BUILT", "Kept", "sources")

#: What was built ahead; never written to when something is run.
BUILT = Path(__file__).parent / "built"
_PACKAGE = Path(__file__).parents[2]
# What says how code is compiled, and how it is called.
_HOW = ("bitcode.py", "machine_code.py")
_DIGITS = 16
_CHECKSUM_BYTES = 32
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


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:_DIGITS]


def _parents() -> Iterator[tuple[Path, int]]:
    # Where files may lie, and for how many seconds those of other sources are kept there.
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


def _remove_unused(folder: Path, name: str, digest: str, after_s: int) -> None:
    for file in folder.glob(f"{name}-{'[0-9a-f]' * _DIGITS}.*"):
        with suppress(OSError):  # another process has removed it
            if digest not in file.name and file.stat().st_mtime <= time.time() - after_s:
                file.unlink()


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a module, by kind: the last part of a file's name."""

    name: str
    digest: str | None  # of its sources; None: they cannot be read, and nothing is kept

    @classmethod
    def of(cls, file: str) -> Kept:
        """Return what is kept of the module in a source file."""
        path = Path(file).resolve()
        try:
            files = [*sources(path), *(Path(__file__).with_name(name) for name in _HOW)]
            digest = _digest(_read(source)[0] for source in files)
        except (OSError, UnicodeDecodeError):
            digest = None
        return cls(f"{path.parent.name}.{path.stem}", digest)

    def read(self, kind: str) -> bytes | None:
        """Return what was kept; None for nothing, or what was cut short."""
        for folder, kept_s in ((BUILT, 0), *_parents()):
            with suppress(OSError):
                file = folder / self.file(kind)
                kept = file.read_bytes()
                if kept_s:
                    os.utime(file)  # it is in use
                checksum, content = kept[:_CHECKSUM_BYTES], kept[_CHECKSUM_BYTES:]
                if self.digest is not None and hashlib.sha256(content).digest() == checksum:
                    return content
        return None

    def write(self, kind: str, content: bytes) -> None:
        """Keep it in the first place that can be written to, if there is one."""
        if self.digest is None:
            return
        for folder, kept_s in _parents():
            with suppress(OSError):
                self.write_to(folder, kind, content)
                _remove_unused(folder, self.name, self.digest, kept_s)
                return

    def write_to(self, folder: Path, kind: str, content: bytes) -> None:
        """Write it to a folder, whole or not at all; OSError if it cannot be."""
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=f"{self.name}-", delete=False) as new:
            try:
                new.write(hashlib.sha256(content).digest() + content)
                new.close()
                Path(new.name).chmod(0o644)
                Path(new.name).replace(folder / self.file(kind))
            except BaseException:
                Path(new.name).unlink()
                raise

    def file(self, kind: str) -> str:
        """Return the name of a file."""
        return f"{self.name}-{self.digest}.{kind}"
