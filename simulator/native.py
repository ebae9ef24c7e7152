# SPDX-License-Identifier: MIT
"""
Compiled runs
-------------

``make native``, or a wheel, has a twin of the kernel side that mypyc compiled from the same
sources: ``simulator.twin``, written by ``native/translate.py``.  It runs what it has a class
for, exactly: a kernel of the package in which nothing was replaced.  All else runs in Python,
with the same answers: users' kernels, kernels with other bases, the events engine, traces.

``TLBSIM_PURE=1`` in the environment leaves it alone; so does any change to what it was made of.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FunctionType, MemberDescriptorType
from typing import TYPE_CHECKING, Any

from simulator.geometry import splits_of_placement

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.kernel import Kernel
    from simulator.scenario import Scenario

__all__ = ("compiled_run", "digest_of_sources", "is_compiled", "kind", "python_of", "twin_of")

_PACKAGE = __name__.partition(".")[0]
_TWIN = f"{_PACKAGE}.twin"


def kind() -> str:
    """Return ``native`` if there is a twin of this code and it may be used, or ``pure``."""
    pure = os.environ.get("TLBSIM_PURE", "") not in ("", "0")
    return "pure" if pure or not _kernels() else "native"


def compiled_run(scenario: Scenario) -> Callable[..., Any] | None:
    """Return the twin of what runs a scenario; None if that has to run in Python."""
    from simulator.kernel import load_kernel
    from simulator.kernel.one_memory import ONE_MEMORY

    kernel = scenario.built_kernel
    placement = scenario.placement
    if (
        kind() == "pure"
        or scenario.engine == "events"
        or kernel.name not in _kernels()
        or kernel is not load_kernel(kernel.name)  # of another architecture, it has other bases
        or not _is_of_package(kernel)
        or placement == ONE_MEMORY
        or (isinstance(placement, str) and splits_of_placement(placement) is not None)
    ):
        return None
    run: Callable[..., Any] = import_module(f"{_TWIN}.run")._run  # noqa: SLF001 - the twin's own
    return run


def is_compiled(kernel: Kernel) -> bool:
    """Whether a kernel is of the twin."""
    return type(kernel).__module__.startswith(f"{_TWIN}.")


def twin_of(kernel: type[Kernel]) -> type[Kernel]:
    """Return the compiled class of a kernel."""
    module = kernel.__module__.replace(_PACKAGE, _TWIN, 1)
    twin: type[Kernel] = getattr(import_module(module), kernel.__name__)
    return twin


def digest_of_sources() -> str:
    """Return the SHA-256 of all that compiled code is made of: constants and types, too."""
    here = Path(__file__).parent
    folders = ("engine", "kernel", "trace", "ordering")
    files = [file for folder in folders for file in sorted((here / folder).rglob("*.py"))]
    files += [here / f"{module}.py" for module in ("boot", "run", "errors", "geometry")]
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def python_of(kernel: Kernel) -> type[Kernel]:
    """Return the class in Python that a compiled kernel is of."""
    module = type(kernel).__module__.replace(_TWIN, _PACKAGE, 1)
    python: type[Kernel] = getattr(import_module(module), type(kernel).__name__)
    return python


@cache
def _kernels() -> tuple[str, ...]:
    # Of which there are twins; none if there is no twin, or it is not of these sources.
    try:
        twin = import_module(_TWIN)
        import_module(f"{_TWIN}.compiled__mypyc")
    except ImportError:
        return ()
    if digest_of_sources() != twin.MADE_FROM:
        return ()
    kernels: tuple[str, ...] = twin.KERNELS
    return kernels


def _is_of_package(kernel: type[Kernel]) -> bool:
    # With all its bases, and as they were written: nothing was put in.
    owners = [owner for owner in kernel.__mro__ if owner is not object]
    return all(owner.__module__.partition(".")[0] == _PACKAGE for owner in owners) and all(
        _is_as_written(twin_of(owner), name, value)
        for owner in owners
        for name, value in vars(owner).items()
    )


def _is_as_written(twin: type, name: str, value: object) -> bool:
    function = getattr(value, "__func__", getattr(value, "fget", value))
    if isinstance(function, FunctionType):
        return (function.__module__ or "").partition(".")[0] == _PACKAGE
    # Constants that the twin has, too, and what Python puts in.
    known = isinstance(value, MemberDescriptorType) or name.startswith("__")
    return known or getattr(twin, name, value) == value
