# SPDX-License-Identifier: MIT
"""
C, compiled at run time
-----------------------

Builds the sources of this folder with the system compiler.  The compiler is told
the offsets of :mod:`simulator.engine.compiled.flat`, so that C and the
compiled engine read the same flat arrays.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import sysconfig
import tempfile
from functools import lru_cache
from pathlib import Path

from simulator.engine.compiled.flat import machine, state

__all__ = ("compiler", "compiler_version", "library")

_HERE = Path(__file__).parent
# All that numba has, too: the instructions of this very machine.
_FLAGS = ("-O3", "-march=native", "-std=gnu11", "-Wall", "-Werror", "-shared", "-fPIC")


def compiler() -> str | None:
    """Return the path of the system's C compiler, or None."""
    names = (os.environ.get("CC", ""), "gcc", "cc", "clang")
    return next((path for name in names if name and (path := shutil.which(name))), None)


def compiler_version() -> str:
    """Return the compiler's own first line about itself."""
    found = compiler()
    if found is None:
        return "none"
    command = [found, "--version"]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return text.splitlines()[0] if text else found


@lru_cache
def library(name: str) -> ctypes.CDLL:
    """Return a source of this folder as a loaded library."""
    found = compiler()
    if found is None:
        raise RuntimeError("no C compiler")
    offsets = [
        f"-DAT_{name}_{field}={offset}"
        for name, words in {**vars(machine), **vars(state)}.items()
        if name.isupper() and isinstance(words, tuple)
        for field, offset in zip(words._fields, words, strict=True)
    ]
    digest = hashlib.sha256(" ".join((found, *_FLAGS, *offsets)).encode())
    for source in ("rules.h", f"{name}.c"):
        digest.update((_HERE / source).read_bytes())
    suffix = sysconfig.get_config_var("SHLIB_SUFFIX") or ".so"
    with tempfile.TemporaryDirectory(prefix="tlbsim-") as folder:
        # Once it is loaded, the file is not needed any more.
        made = Path(folder, f"{name}-{digest.hexdigest()[:12]}{suffix}")
        command = [found, *_FLAGS, *offsets, str(_HERE / f"{name}.c"), "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{name}.c: {done.stderr}")
        return ctypes.CDLL(str(made))
