# SPDX-License-Identifier: MIT
"""
Where a calibrated machine is written
-------------------------------------
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from simulator.errors import InputError
from simulator.outputs import check, writing

__all__ = ("check_profile", "write_profile")


def check_profile(file: Path, inputs: Mapping[str, str | Path | None]) -> None:
    """Raise InputError unless a profile can be written to `file`, which is none of the inputs."""
    from simulator.machine.toml import PROFILE

    if file.suffix != ".toml":
        raise InputError(f"out: {file} must end in .toml, or --machine would take it for a name")
    # A folder that is made for a misspelt path is found by nobody.
    if not file.absolute().parent.exists():
        raise InputError(f"out: {file} cannot be written: there is no folder {file.parent}")
    check("out", file, PROFILE, inputs)


def write_profile(file: Path, text: str) -> None:
    """Write a profile as a whole."""
    from simulator.machine.toml import PROFILE

    with writing("out", file, PROFILE) as temporary:
        temporary.write_text(text, encoding="utf-8")
