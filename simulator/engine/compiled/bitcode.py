# SPDX-License-Identifier: MIT
"""
From Python to LLVM
-------------------

What numba makes of entries (:mod:`simulator.engine.compiled.jit`): LLVM bitcode, the same for
every CPU, that needs nothing but the memory that its arguments point to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any

import llvmlite.binding as llvm
import numba
from numba import carray  # type: ignore[attr-defined]
from numba.core import types
from numba.extending import intrinsic

from simulator.engine.compiled.jit import MARKED

__all__ = ("bitcode_of",)

_POINTERS = {"Int64s": "int64s_at", "Int8s": "int8s_at"}


def bitcode_of(entries: Sequence[Callable[..., Any]]) -> bytes:
    """
    Return the bitcode of entries and of all that they call; each is there by its own name.

    Raises RuntimeError where it would need what is not in it, such as Python.
    """
    _show_to_numba()
    module = llvm.parse_assembly("")
    for function in entries:
        made = _callable_from_c(function)
        part = llvm.parse_assembly(made.inspect_llvm())
        part.get_function(made.native_name).name = function.__name__
        module.link_in(part)
    names = {function.__name__ for function in entries}
    for function in module.functions:
        if not function.is_declaration:
            function.linkage = "external" if function.name in names else "internal"
    for variable in module.global_variables:
        variable.linkage = "internal"
    # What numba left for its own bookkeeping goes, and with it what Python would have to be for.
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    return bytes(module.as_bitcode())


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


@intrinsic
def _int64s_at(_typing: Any, address: Any) -> Any:
    return _pointer(types.int64, address)


@intrinsic
def _int8s_at(_typing: Any, address: Any) -> Any:
    return _pointer(types.int8, address)


def _pointer(element: Any, address: Any) -> Any:
    # How numba types and makes a pointer of a number.
    pointer = types.CPointer(element)  # type: ignore[no-untyped-call]

    def make(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(address), make


def _callable_from_c(function: Callable[..., Any]) -> Any:
    # Arrays come as an array of their addresses and lengths: C's calls take long by arguments.
    kinds = [parameter.annotation for parameter in signature(function).parameters.values()]
    arrays = [_POINTERS[kind] for kind in kinds if kind in _POINTERS]
    numbers = [f"number_{i}" for i in range(len(kinds) - len(arrays))]
    places = f"carray(places, {2 * len(arrays)})"
    given = [
        f"carray({pointer}({places}[{2 * i}]), {places}[{2 * i + 1}])"
        for i, pointer in enumerate(arrays)
    ]
    # numba takes no function of any number of arguments.
    source = f"lambda {', '.join(['places', *numbers])}: function({', '.join(given + numbers)})"
    names = {"function": function, "carray": carray}
    enter = eval(source, names | {"int64s_at": _int64s_at, "int8s_at": _int8s_at})  # noqa: S307
    returns = types.void if signature(function).return_annotation == "None" else types.int64
    addresses = types.CPointer(types.int64)  # type: ignore[no-untyped-call]
    return numba.cfunc(returns(addresses, *[types.int64] * len(numbers)), error_model="numpy")(
        enter
    )
