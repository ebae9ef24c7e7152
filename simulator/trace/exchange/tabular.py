# SPDX-License-Identifier: MIT
"""
Frames as CSV and Parquet
-------------------------

Every frame that a result has becomes a file of its name in a folder; words are
text in CSV and dictionaries in Parquet.  ``provenance.json`` beside them says what
it takes to make the numbers again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.errors import InputError
from simulator.trace.contract import FRAMES

if TYPE_CHECKING:
    import pandas as pd

__all__ = ("FORMATS", "frames_of", "write_frames")

#: The formats, which are the endings of the files too.
FORMATS = ("csv", "parquet")
_PROVENANCE = "provenance.json"


def frames_of(result: object) -> dict[str, pd.DataFrame]:
    """Return the frames that a result, or the trace of a real machine, has, by name."""
    return {name: getattr(result, name) for name in FRAMES if hasattr(result, name)}


def write_frames(result: object, folder: Path, form: str) -> list[str]:
    """
    Write every frame to a file in ``folder``, which exists; return the names of the files.

    Raises InputError where Parquet is asked for and pyarrow is missing.
    """
    written = []
    for name, frame in frames_of(result).items():
        file = folder / f"{name}.{form}"
        if form == "csv":
            frame.to_csv(file, index=False, lineterminator="\n")
        else:
            _write_parquet(frame, file)
        written.append(file.name)
    provenance: Mapping[str, Any] | None = getattr(result, "provenance", None)
    if provenance:
        text = json.dumps(dict(provenance), indent=1, sort_keys=True, allow_nan=False)
        (folder / _PROVENANCE).write_text(text + "\n", encoding="utf-8")
        written.append(_PROVENANCE)
    return written


def _write_parquet(frame: pd.DataFrame, file: Path) -> None:
    try:
        frame.to_parquet(file, engine="pyarrow", index=False)
    except ImportError:
        raise InputError("parquet: needs pyarrow; pip install 'tlbsim[parquet]'") from None
