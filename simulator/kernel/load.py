# SPDX-License-Identifier: MIT
"""
Which kernels there are, and users' own
---------------------------------------

The versions in their order, and kernels from users' files.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

from simulator.errors import InputError, nearest
from simulator.inputs import read_text, user_path, what_was_raised
from simulator.kernel.blame import raised_on_purpose
from simulator.kernel.hugetlb import Hugetlb as Kernel
from simulator.kernel.replaced import check_functions
from simulator.kernel.source import TEXT
from simulator.kernel.versions.arm64_hvo import Arm64Bbm2, Arm64PauseV1, Arm64PauseV2
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
from simulator.kernel.versions.deferral import Deferral, DeferralHvo
from simulator.kernel.versions.mutants import (
    Arm64NoBbm,
    Arm64OtherDsb,
    EarlyFree,
    EarlyTlbsync,
    LateFlag,
    NoEnomemFlush,
    NoFinalFlush,
    NoPmdWmb,
    NoPteWmb,
    NoRecheck,
    NoRestoreFlush,
    NoSplitFlush,
    OtherTlbsync,
)
from simulator.kernel.versions.rar import Rar
from simulator.kernel.versions.unbatched import Unbatched
from simulator.kernel.versions.v5_14 import V5_14
from simulator.kernel.versions.v6_1 import V6_1
from simulator.kernel.versions.v6_6 import V6_6
from simulator.kernel.versions.v6_7 import V6_7
from simulator.kernel.versions.v6_11 import V6_11
from simulator.kernel.versions.v6_12 import V6_12
from simulator.kernel.versions.v6_12_117 import V6_12_117
from simulator.kernel.versions.v6_15 import V6_15
from simulator.kernel.versions.v6_18 import V6_18
from simulator.kernel.versions.v7_1 import V7_1
from simulator.kernel.versions.v7_3 import V7_3

__all__ = ("kernel_named", "kernels", "load_kernel", "mutants", "proposals", "what_ifs")

# A form that was posted (@vN) stands before the one that was merged in its stead.
_VERSIONS: tuple[type[Kernel], ...] = (
    V5_14, V6_1, V6_6, V6_6_1, V6_6_2, V6_6_3, V6_6_4,
    V6_6_5_V2, V6_6_5_V3, V6_6_5,
    V6_6_6_V1, V6_6_6_V2, V6_6_6_V3, V6_6_6_V8, V6_6_6,
    V6_6_7_V1, V6_6_7_V2, V6_6_7_V3, V6_6_7,
    V6_6_8, V6_7, V6_11, V6_12, V6_12_117, V6_15, V6_18, V7_1, V7_3,
)  # fmt: skip
_PROPOSALS: tuple[type[Kernel], ...] = (
    EnomemAbort, EnomemIgnore, EnomemGoOn, EnomemRetry, Rar, Arm64PauseV1, Arm64PauseV2, Arm64Bbm2,
    Unbatched, Deferral, DeferralHvo,
)  # fmt: skip
_MUTANTS: tuple[type[Kernel], ...] = (
    NoSplitFlush, NoFinalFlush, EarlyFree, NoEnomemFlush, NoRestoreFlush, LateFlag, NoRecheck,
    NoPmdWmb, NoPteWmb, EarlyTlbsync, OtherTlbsync, Arm64OtherDsb, Arm64NoBbm,
)  # fmt: skip
_ALL = (*_VERSIONS, *_PROPOSALS, *_MUTANTS)

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


def mutants() -> tuple[str, ...]:
    """
    Return the names of the kernels with a mistake, which show that checks find it.

    >>> mutants()[0]
    'v6.7-no-split-flush'
    """
    return tuple(version.name for version in _MUTANTS)


def what_ifs(isa: str) -> tuple[str, ...]:
    """Return the names of the kernels that have HVO on an architecture without it in Linux."""
    return tuple(version.name for version in _PROPOSALS if (isa,) == version.RUNS_ON)


def kernel_named(name: str) -> type[Kernel]:
    """
    Return a kernel of the package by its name; InputError for any other text.

    For names in data, which never lead to a file: a file is code.
    """
    by_name = {version.name: version for version in _ALL}
    if name in by_name:
        return by_name[name]
    near = _ALIKE.get(name)
    hint = f" (did you mean {near!r}?)" if near else nearest(name, by_name)
    known = f"; known: {', '.join(kernels())}"
    raise InputError(f"kernel: there is no {name!r}{hint or known}")


def load_kernel(kernel: str | Path | type[Kernel]) -> type[Kernel]:
    """
    Return what a user gave as a kernel: a name, a Python file, which is run, or a class.

    Raises InputError, with one line, for an unknown name or a file without
    exactly one kernel, and for functions that would not do what they seem to.
    """
    if isinstance(kernel, type):
        check_functions(kernel)
        return kernel
    if isinstance(kernel, str) and not kernel.endswith(".py"):
        return kernel_named(kernel)
    return _from_file(user_path(kernel, "kernel"))


def _from_file(path: Path) -> type[Kernel]:
    # Importing by hand: the file is no module of any package, and its class keeps its source.
    source = read_text(path, f"kernel: {path}")
    module = _new_module(path, source)
    # Dataclasses look for the module of their class.
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102 - a user's own kernel code is run, as asked
    except BaseException as error:  # a user's code raises anything
        if isinstance(error, KeyboardInterrupt) and not raised_on_purpose(error):
            raise
        raise InputError(f"kernel: {path}{what_was_raised(error, path)}") from None
    finally:
        del sys.modules[module.__name__]
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Kernel)
        and value.__module__ == module.__name__
    ]
    if len(own) != 1:
        raise InputError(f"kernel: {path} must define one kernel class, not {len(own)}")
    _check(path, own[0])
    # inspect finds no file for a class of a module that is not imported.
    own[0].own_file = str(path)
    own[0].own_text = source
    check_functions(own[0])
    return own[0]


def _new_module(path: Path, text: str) -> ModuleType:
    module = ModuleType(path.stem)
    # Whatever the file is called, this is not a module that there is already.
    module.__name__ = f"{path.stem}@{id(module):x}"
    module.__file__ = str(path)
    vars(module)[TEXT] = text
    return module


# What reports print of it, and options set, has to be what they expect.
def _check(path: Path, kernel: type[Kernel]) -> None:
    for field in ("name", "base", "subject", "commit", "summary", "proposed_in"):
        value = getattr(kernel, field, None)
        if not isinstance(value, str):
            raise InputError(f"kernel: {path}: {field} must be text, not {value!r}")
        if not value.isprintable():
            raise InputError(f"kernel: {path}: {field} must be one line of text, not {value!r}")
    if not kernel.name:
        raise InputError(f"kernel: {path}: name is empty")
    if kernel.name in (version.name for version in _ALL):
        raise InputError(
            f"kernel: {path}: name: {kernel.name!r} is a kernel of the package; give this one a"
            f" name of its own, such as {kernel.name + '+mine'!r}"
        )
    if not isinstance(kernel.TUNABLES, dict):
        raise InputError(f"kernel: {path}: TUNABLES must be a dict, not {kernel.TUNABLES!r}")
    # Of what it builds on: some versions have no static key to tune.
    parent = next(base for base in kernel.__mro__ if base in _ALL or base is Kernel)
    for name in parent.TUNABLES.keys() - kernel.TUNABLES.keys():
        raise InputError(
            f"kernel: {path}: TUNABLES has no {name!r}; add to those of the parent:"
            " TUNABLES = Parent.TUNABLES | {...}"
        )
    for name, value in kernel.TUNABLES.items():
        match value:
            case (int(default), int(low), int(high), str()) if isinstance(name, str):
                if low <= default <= high:
                    continue
        raise InputError(
            f"kernel: {path}: TUNABLES[{name!r}] must be (default, lowest, highest, text), such as"
            f" (33, 0, 1000, 'pages'), not {value!r}"
        )
