# SPDX-License-Identifier: MIT
"""
Bitcode ahead of time
---------------------

``python -m simulator.engine.compiled.build`` puts the bitcode of all entries beside this file,
where a wheel takes it along: who installs that waits for LLVM alone, a second or two, when
something is run for the first time, and not for numba.
"""

from __future__ import annotations

import shutil

from simulator.engine.compiled.cache import BUILT
from simulator.engine.compiled.engine import CompiledEngine
from simulator.engine.compiled.jit import MARKED
from simulator.engine.compiled.machine_code import bitcode, kept

__all__ = ("main",)


def main() -> None:
    """Build it; SystemExit without numba."""
    shutil.rmtree(BUILT, ignore_errors=True)
    # The engine imports whatever has an entry.
    package = CompiledEngine.__module__.rpartition(".")[0]
    modules = {marked.function.__module__ for marked in MARKED if marked.entered}
    for module in sorted(name for name in modules if name.startswith(package)):
        code = bitcode(module)
        if code is None:
            raise SystemExit("no numba here")
        kept(module).write_to(BUILT, "bc", code)


if __name__ == "__main__":
    main()
