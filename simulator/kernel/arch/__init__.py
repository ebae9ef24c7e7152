# SPDX-License-Identifier: MIT
"""
Other architectures
-------------------

A version as it is compiled for one: what its ``arch/`` folder has stands behind the
version's own functions and in front of those of :mod:`simulator.kernel`, which are those of
``arch/x86`` where C has them there.
"""

from __future__ import annotations

from typing import Final

from simulator.kernel.arch.arm64 import Arm64
from simulator.kernel.arch.riscv64 import Riscv64
from simulator.kernel.hugetlb import Hugetlb

__all__ = ("built_for",)

_PARTS: Final[dict[str, type[Arm64 | Riscv64]]] = {"arm64": Arm64, "riscv64": Riscv64}


def built_for(kernel: type[Hugetlb], isa: str) -> type[Hugetlb]:
    """Return a version as it is compiled for an architecture; on x86-64 it is what it is."""
    part = _PARTS.get(isa)
    if part is None:
        return kernel
    tunables = {
        name: value for name, value in kernel.TUNABLES.items() if name not in part.LACKS_TUNABLES
    }
    own = {"__module__": kernel.__module__, "TUNABLES": tunables, "own_file": kernel.own_file}
    return type(kernel.__name__, (kernel, part), own)
