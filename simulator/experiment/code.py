# SPDX-License-Identifier: MIT
"""
The version of the code that decides numbers
--------------------------------------------

A commit says too little: a checkout may be changed. What counts is the content
of every file of the package that a simulation runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

__all__ = ("code_files", "code_key")

_PACKAGE = Path(__file__).resolve().parents[1]
# What stands above a simulation reads its numbers and changes none.
_ABOVE = {
    "analysis", "calibration", "cli", "experiment", "measure", "published", "report", "studies",
    "validation",
}  # fmt: skip


@cache
def code_files() -> Mapping[str, str]:
    """Return the SHA-256 of every file that bears on numbers, by its path in the package."""
    files = [path for path in _PACKAGE.rglob("*") if path.suffix in (".py", ".toml", ".npy")]
    return {
        path.relative_to(_PACKAGE).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(files)
        if path.relative_to(_PACKAGE).parts[0] not in _ABOVE
        # A profile is content of the scenario, and so part of its key.
        and path.parent.name != "profiles"
    }


@cache
def code_key() -> str:
    """Return the SHA-256 of all of them."""
    text = "\n".join(f"{name} {digest}" for name, digest in code_files().items())
    return hashlib.sha256(text.encode()).hexdigest()
