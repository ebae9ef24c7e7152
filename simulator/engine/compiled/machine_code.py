# SPDX-License-Identifier: MIT
"""
Compiled functions as Python calls them
---------------------------------------

:func:`bound` gives out an entry (:mod:`simulator.engine.compiled.jit`) with its arrays, as
machine code for this CPU where there is a compiler, and interpreted where there is none.
Machine code is made of bitcode by LLVM, and bitcode of Python by numba; what has been made
before is found on disk (:mod:`simulator.engine.compiled.cache`), and then numba, which
takes longer to import than a small simulation runs, is not needed.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from inspect import signature
from threading import Lock
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from simulator.engine.compiled.cache import Kept
from simulator.engine.compiled.jit import MARKED

try:
    import llvmlite.binding as llvm
except ImportError:
    llvm = None

__all__ = ("bitcode", "bound", "is_compiled", "kept")

Array = npt.NDArray[np.int64] | npt.NDArray[np.int8]

_LOCK: Final = Lock()


def bound(function: Callable[..., Any], *arrays: Array) -> Callable[..., Any]:
    """Return an entry as a function of the arguments that come after its arrays."""
    code = _entries_in(function.__module__).get(function.__name__)
    if code is None:
        return partial(function, *arrays)
    places = np.array([[array.ctypes.data, array.size] for array in arrays], dtype=np.int64)
    call = partial(code, places.ctypes.data)
    call.arrays = places, arrays  # type: ignore[attr-defined]  # kept as long as it is
    return call


def is_compiled(function: Callable[..., Any]) -> bool:
    """Return whether an entry is machine code here."""
    return function.__name__ in _entries_in(function.__module__)


def bitcode(module: str) -> bytes | None:
    """Return the bitcode of a module's entries, made if need be; None without numba."""
    functions = _marked_in(module)
    file = kept(module)
    code = file.read("bc")
    if code is None:
        try:
            from simulator.engine.compiled.bitcode import bitcode_of
        except ImportError:
            return None
        code = bitcode_of(list(functions.values()))
        file.write("bc", code)
    return code


@dataclass(frozen=True, eq=False)
class _Loaded:
    entries: Mapping[str, Callable[..., Any]]
    engine: Any  # whose memory the code lies in


def _entries_in(module: str) -> Mapping[str, Callable[..., Any]]:
    # Tests and users switch compilation off as they do with numba.
    if llvm is None or os.environ.get("NUMBA_DISABLE_JIT", "0") not in {"", "0"}:
        return {}
    with _LOCK:
        loaded = _load(module)
    return {} if loaded is None else loaded.entries


@cache
def _load(module: str) -> _Loaded | None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=cpu, features=features, opt=3, jit=True, codemodel="jitdefault"
    )
    compiler = f"{llvm.llvm_version_info} {cpu} {features}"
    kind = f"{hashlib.sha256(compiler.encode()).hexdigest()[:16]}.o"
    file = kept(module)
    code = file.read(kind)
    if code is None:
        of_llvm = bitcode(module)
        if of_llvm is None:
            return None
        code = _machine_code(of_llvm, target)
        file.write(kind, code)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    entries = {
        name: _prototype(function)(engine.get_function_address(name))
        for name, function in _marked_in(module).items()
    }
    return _Loaded(entries, engine)


def _machine_code(of_llvm: bytes, target: Any) -> bytes:
    module = llvm.parse_bitcode(of_llvm)
    module.triple, module.data_layout = target.triple, str(target.target_data)
    tuning = llvm.create_pipeline_tuning_options(speed_level=3)
    tuning.loop_vectorization = tuning.slp_vectorization = True
    builder = llvm.create_pass_builder(target, tuning)
    builder.getModulePassManager().run(module, builder)
    # It would end the process to load what is not complete.
    foreign = [f.name for f in module.functions if f.is_declaration and f.name[:5] != "llvm."]
    if foreign:
        raise RuntimeError(f"machine code that needs {', '.join(foreign)}")
    return bytes(target.emit_object(module))


def _prototype(function: Callable[..., Any]) -> Any:
    parameters = signature(function).parameters.values()
    numbers = [ctypes.c_int64 for parameter in parameters if parameter.annotation == "int"]
    returned = None if signature(function).return_annotation == "None" else ctypes.c_int64
    # As ctypes has it, Python's other threads run meanwhile.
    return ctypes.CFUNCTYPE(returned, ctypes.c_void_p, *numbers)


def _marked_in(module: str) -> dict[str, Callable[..., Any]]:
    functions = [marked.function for marked in MARKED if marked.entered]
    return {one.__name__: one for one in functions if one.__module__ == module}


def kept(module: str) -> Kept:
    """Return what is kept on disk of a module's entries."""
    (file, *_) = (one.__code__.co_filename for one in _marked_in(module).values())
    return Kept.of(file)
