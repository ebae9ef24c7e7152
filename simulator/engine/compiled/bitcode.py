# SPDX-License-Identifier: MIT
"""
From Python to LLVM
-------------------

What numba makes of entries (:mod:`simulator.engine.compiled.jit`): LLVM bitcode, the same for
every CPU, that needs nothing but the memory that its arguments point to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import signature
from typing import Any
from unittest.mock import patch

import llvmlite.binding as llvm
import numba
from numba.core import types
from numba.core.codegen import AOTCodeLibrary, AOTCPUCodegen
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from simulator.engine.compiled.jit import MARKED

__all__ = ("bitcode_of",)

_ARRAYS: Mapping[str, Any] = {
    "Int64s": types.Array(types.int64, 1, "C"),
    "Int8s": types.Array(types.int8, 1, "C"),
}
_DEFINITION = re.compile(r"^define .*$", re.MULTILINE)
# The address of an array, among what numba takes it apart into.
_ADDRESS = re.compile(r"\bptr (%arg\.\w+\.4)\b")
# Called where an exception was raised, and defined nowhere: LLVM has to see that none is.
_RAISES = "tlbsim_raises"


def bitcode_of(entries: Sequence[Callable[..., Any]]) -> bytes:
    """Return the bitcode of entries and of all that they call; each is there by its own name."""
    _show_to_numba()
    module = llvm.parse_assembly("")
    with _unoptimised():
        for function in entries:
            module.link_in(llvm.parse_assembly(_assembly_of(function)))
    names = {function.__name__ for function in entries}
    for function in module.functions:
        if not function.is_declaration:
            function.linkage = "external" if function.name in names else "internal"
    for variable in module.global_variables:
        variable.linkage = "internal"
    _simplify(module)
    return bytes(module.as_bitcode())


def _simplify(module: llvm.ModuleRef) -> None:
    # What serves every CPU: that no exception is raised, above all, and what numba left goes.
    llvm.initialize_native_target()
    target = llvm.Target.from_default_triple().create_target_machine()
    builder = llvm.create_pass_builder(target, llvm.create_pipeline_tuning_options(0))
    passes = llvm.create_new_module_pass_manager()
    passes.add_always_inliner_pass()
    passes.add_sroa_pass()
    passes.add_instruction_combine_pass()
    passes.add_simplify_cfg_pass()
    passes.add_ipsccp_pass()
    passes.add_simplify_cfg_pass()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, builder)


def _show_to_numba() -> None:
    # A name of a compiled function, in another, is a plain function to Python.
    for marked in MARKED:
        known = vars(marked.function)
        if "_numba_type_" not in known:
            # Arrays are never kept or made here: without reference counts, which are atomic
            # operations, the code is three times as fast.
            options: dict[str, Any] = {"_nrt": False, "forceinline": marked.inlined}
            # Only LLVM calls it.
            options |= {"no_cfunc_wrapper": True, "no_cpython_wrapper": True}
            known["dispatcher"] = numba.njit(error_model="numpy", **options)(marked.function)
            known["_numba_type_"] = types.Dispatcher(known["dispatcher"])


class _Library(AOTCodeLibrary):
    # As numba writes it down.
    def _optimize_functions(self, ll_module: Any) -> None:
        pass

    def _optimize_final_module(self) -> None:
        pass

    def get_pointer_to_function(self, name: str) -> int:  # noqa: ARG002 - there is no machine code
        self.finalize()  # type: ignore[no-untyped-call]
        return 0


class _Codegen(AOTCPUCodegen):
    _library_class = _Library

    def set_env(self, name: str, env: Any) -> None:
        """Do nothing: no code here asks for Python's globals."""


@contextmanager
def _unoptimised() -> Iterator[None]:
    # LLVM optimises once, all of it and for the CPU that it runs on. Loops that have been made for
    # another one, or before it is said that arrays do not overlap, stay as they are.
    with global_compiler_lock:
        codegen = _Codegen("tlbsim")  # type: ignore[no-untyped-call]
        with patch.object(cpu_target.target_context, "codegen", lambda: codegen):
            yield


def _assembly_of(function: Callable[..., Any]) -> str:
    # Of an entry, of all that it calls, and of a function of its name to enter it by.
    kinds = [parameter.annotation for parameter in signature(function).parameters.values()]
    dispatcher = vars(function)["dispatcher"]
    dispatcher.compile(tuple(_ARRAYS.get(kind, types.int64) for kind in kinds))
    (made,) = dispatcher.overloads.values()
    (assembly,) = dispatcher.inspect_llvm().values()
    return _without_overlaps(assembly) + _entering(
        function.__name__, made.fndesc.llvm_func_name, kinds
    )


def _entering(name: str, numbas: str, kinds: Sequence[str]) -> str:
    # Arrays come as an array of their addresses and lengths: C's calls take long by arguments.
    numbers: list[str] = []
    steps: list[str] = []
    given = ["ptr %result", "ptr %error"]
    for i, kind in enumerate(kinds):
        if kind in _ARRAYS:
            steps += [
                f"%place{i} = getelementptr {{ptr, i64}}, ptr %places, i64 {i}",
                f"%address{i} = load ptr, ptr %place{i}",
                f"%behind{i} = getelementptr i64, ptr %place{i}, i64 1",
                f"%length{i} = load i64, ptr %behind{i}",
            ]
            length, width = f"i64 %length{i}", f"i64 {_ARRAYS[kind].dtype.bitwidth // 8}"
            # What numba takes an array apart into.
            given += ["ptr null", "ptr null", length, width, f"ptr %address{i}", length, width]
        else:
            numbers.append(f"i64 %number{i}")
            given.append(f"i64 %number{i}")
    lines = [
        f"define i64 @{name}({', '.join(['ptr %places', *numbers])}) {{",
        "%result = alloca i64",
        "%error = alloca ptr",
        *steps,
        f"%status = call i32 @{numbas}({', '.join(given)})",
        "%well = icmp eq i32 %status, 0",
        "br i1 %well, label %returns, label %raises",
        "raises:",
        f"call void @{_RAISES}()",
        "unreachable",
        "returns:",
        "%returned = load i64, ptr %result",
        "ret i64 %returned",
        "}",
        f"declare void @{_RAISES}()",
    ]
    return "\n".join(lines)


def _without_overlaps(assembly: str) -> str:
    # Arrays never overlap: LLVM vectorises what reads from one and writes to another.
    return _DEFINITION.sub(lambda line: _ADDRESS.sub(r"ptr noalias \1", line[0]), assembly)
