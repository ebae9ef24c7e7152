# SPDX-License-Identifier: MIT
"""
What Linux does
---------------

Kernel code as plain functions, one module per kernel source file, with the kernel's
own names; versions are classes in :mod:`simulator.kernel.versions`.  A patch of
one's own is a file with one class that inherits from the version it applies to
and replaces functions.
"""

from __future__ import annotations

from simulator.kernel.arch import built_for
from simulator.kernel.hugetlb import Hugetlb as Kernel
from simulator.kernel.load import (
    kernel_named,
    kernels,
    load_kernel,
    mutants,
    proposals,
    what_ifs,
)
from simulator.kernel.structs import KernelConfig

__all__ = (
    "Kernel",
    "KernelConfig",
    "built_for",
    "kernel_named",
    "kernels",
    "load_kernel",
    "mutants",
    "proposals",
    "what_ifs",
)
