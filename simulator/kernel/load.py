# SPDX-License-Identifier: MIT
"""
Which kernels there are, and users' own
---------------------------------------

The versions in their order, and kernels from users' files.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from simulator.errors import InputError, nearest
from simulator.inputs import what_was_raised
from simulator.kernel.hugetlb import Hugetlb as Kernel
from simulator.kernel.versions.batching.enomem import (
    EnomemAbort,
    EnomemGoOn,
    EnomemIgnore,
    EnomemRetry,
)
from simulator.kernel.versions.batching.patch1 import V6_6_1
from simulator.kernel.versions.batching.patch2 import V6_6_2
from simulator.kernel.versions.batching.patch3 import V6_6_3
from simulator.kernel.versions.batching.patch4 import V6_6_4
from simulator.kernel.versions.batching.patch5 import V6_6_5
from simulator.kernel.versions.batching.patch6 import V6_6_6
from simulator.kernel.versions.batching.patch7 import V6_6_7
from simulator.kernel.versions.batching.patch8 import V6_6_8
from simulator.kernel.versions.batching.posted_v1 import V6_6_6_V1, V6_6_7_V1
from simulator.kernel.versions.batching.posted_v2 import V6_6_5_V2, V6_6_6_V2, V6_6_7_V2
from simulator.kernel.versions.batching.posted_v3 import V6_6_5_V3, V6_6_6_V3, V6_6_7_V3
from simulator.kernel.versions.batching.posted_v8 import V6_6_6_V8
from simulator.kernel.versions.v5_14 import V5_14
from simulator.kernel.versions.v6_1 import V6_1
from simulator.kernel.versions.v6_6 import V6_6
from simulator.kernel.versions.v6_7 import V6_7
from simulator.kernel.versions.v6_12 import V6_12

__all__ = ("kernels", "load_kernel", "proposals")

# A form that was posted (@vN) stands before the one that was merged in its stead.
_VERSIONS: tuple[type[Kernel], ...] = (
    V5_14, V6_1, V6_6, V6_6_1, V6_6_2, V6_6_3, V6_6_4,
    V6_6_5_V2, V6_6_5_V3, V6_6_5,
    V6_6_6_V1, V6_6_6_V2, V6_6_6_V3, V6_6_6_V8, V6_6_6,
    V6_6_7_V1, V6_6_7_V2, V6_6_7_V3, V6_6_7,
    V6_6_8, V6_7, V6_12,
)  # fmt: skip
_PROPOSALS: tuple[type[Kernel], ...] = (EnomemAbort, EnomemIgnore, EnomemGoOn, EnomemRetry)

# Postings without a module of their own, and the one that flushes alike.
_ALIKE = {
    "v6.6+6@v4": "v6.6+6@v3",
    "v6.6+6@v5": "v6.6+6@v8",
    "v6.6+6@v6": "v6.6+6@v8",
    "v6.6+6@v7": "v6.6+6@v8",
}


def kernels() -> tuple[str, ...]:
    """
    Return the names of the kernels, oldest first.

    >>> kernels()[:3]
    ('v5.14', 'v6.1', 'v6.6')
    """
    return tuple(version.name for version in _VERSIONS)


def proposals() -> tuple[str, ...]:
    """
    Return the names of the kernels that were proposed but never posted as a patch.

    >>> proposals()[0]
    'v6.7+enomem-abort'
    """
    return tuple(version.name for version in _PROPOSALS)


def load_kernel(kernel: str | Path | type[Kernel]) -> type[Kernel]:
    """
    Return a kernel by its name, from a Python file, or as it is.

    Raises InputError, with one line, for an unknown name or a file without
    exactly one kernel.
    """
    if isinstance(kernel, type):
        return kernel
    by_name = {version.name: version for version in (*_VERSIONS, *_PROPOSALS)}
    if isinstance(kernel, str) and kernel in by_name:
        return by_name[kernel]
    path = Path(kernel)
    if isinstance(kernel, str) and path.suffix != ".py":
        near = _ALIKE.get(kernel)
        hint = f" (did you mean {near!r}?)" if near else nearest(kernel, by_name)
        known = f"; known: {', '.join(kernels())}"
        raise InputError(f"kernel: there is no {kernel!r}{hint or known}")
    return _from_file(path)


def _from_file(path: Path) -> type[Kernel]:
    # Importing by hand: the file is no module of any package, and its class must find
    # its own source again.
    try:
        source = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"kernel: cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"kernel: {path} is not text") from None
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102 - a user's own kernel code is run, as asked
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's code raises anything
        raise InputError(f"kernel: {path}{what_was_raised(error, path)}") from None
    known = (*_VERSIONS, *_PROPOSALS)
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Kernel) and value not in known
    ]
    own = [c for c in found if c.__module__ == path.stem]
    if len(own) != 1:
        raise InputError(f"kernel: {path} must define one kernel class, not {len(own)}")
    # inspect finds no file for a class of a module that is not imported.
    own[0].own_file = str(path)
    return own[0]
