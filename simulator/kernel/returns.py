# SPDX-License-Identifier: MIT
"""
What a user's functions return
------------------------------

A compiler refuses a C function that returns what it was not declared to; Python does not,
and a None where a 0 or -ENOMEM is wanted would be taken for success.
:func:`attach_return_checks` holds what each function of a user's kernel returns against the
annotation of the function of the package that it replaces.

Checked: whole numbers (error codes, counts, page tables), truth values, and nothing.

Not checked: functions that return objects, such as folios and lists of them; functions that
replace none of the package.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any, Final

import numpy as np

from simulator.errors import KernelError
from simulator.kernel.base import KernelBase
from simulator.kernel.replaced import replacements

__all__ = ("attach_return_checks",)

_Kinds = tuple[type, ...]
_WANTED: Final[dict[str, tuple[_Kinds, str]]] = {
    "int": ((int, np.integer), "a whole number"),
    "bool": ((bool, np.bool_), "True or False"),
    "None": ((type(None),), "nothing"),
}

Function = Callable[..., Any]


def attach_return_checks(k: KernelBase) -> None:
    """
    Let functions of a user's kernel raise KernelError for what they must not return.

    A kernel of the package is left as it is.
    """
    for name, (own, replaced) in replacements(k.version).items():
        declared = replaced.__annotations__.get("return")
        if declared in _WANTED:
            k.attach(name, partial(_checked, own, *_WANTED[declared]))


def _checked(own: FunctionType, kinds: _Kinds, wanted: str, function: Function) -> Function:
    code = own.__code__

    def checked(*args: Any, **named: Any) -> Any:
        found = function(*args, **named)
        if not isinstance(found, kinds):
            where = f"{code.co_filename}, line {code.co_firstlineno}, in {code.co_name}()"
            raise KernelError(f"it returned {found!r:.80} and must return {wanted}", where)
        return found

    return checked
