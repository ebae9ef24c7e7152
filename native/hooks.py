# SPDX-License-Identifier: MIT
"""
What is put around functions of a compiled kernel
-------------------------------------------------

Records and checker have methods that take a function of the kernel and return one that does
more.  Compiled code calls such a closure slowly.  So for each function of the kernel that one is
put around there is a class here: ``Hook_NAME`` whose ``call()`` has the function's parameters, a
subclass with the body of the closure for each that is put around it, and ``Base_NAME`` for the
function itself.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("ATTACH", "dispatching", "hook_classes", "put_around")

#: Of every kernel.
ATTACH = '''
def attach(k, name: str, around: Any) -> None:
    """Put ``around(function)`` in the place of a function that has a hook."""
    owner = around.__self__
    module = import_module(type(owner).__module__)
    make = getattr(module, f"{type(owner).__name__}_{around.__name__}_{name}")
    hook = getattr(k, f"{name}_hook")
    setattr(k, f"{name}_hook", make(owner, getattr(k, f"{name}_base")() if hook is None else hook))
    k._attached.add(name)
'''
#: What parameters are passed as; others as objects.
_NATIVE = ("int", "str", "bool", "None")


def hook_classes(function: ast.FunctionDef, cls: str) -> list[ast.stmt]:
    """Return the classes for a function of a class of the kernel: ``Hook_`` and ``Base_``."""
    name = function.name
    passed = [f"a{i}" for i in range(len(function.args.args) - 1)]
    passed += [f"{arg.arg}=a{i}" for i, arg in enumerate(function.args.kwonlyargs, len(passed))]
    return ast.parse(f"""
class Hook_{name}:
    {_call(function)}
        raise NotImplementedError

class Base_{name}(Hook_{name}):
    def __init__(self, k: {cls}) -> None:
        self.k = k

    {_call(function)}
        return self.k.{name}_({", ".join(passed)})
""").body


def dispatching(function: ast.FunctionDef) -> list[ast.stmt]:
    """Return the functions of the kernel's class that ask for a hook first, and make the base."""
    name = function.name
    returns = "None" if function.returns is None else ast.unparse(function.returns)
    args = [arg.arg for arg in _parameters(function)]
    named = [f"{arg.arg}={arg.arg}" for arg in function.args.kwonlyargs]
    return ast.parse(f"""
def {name}({ast.unparse(function.args)}) -> {returns}:
    hook: Hook_{name} | None = k.{name}_hook
    if hook is None:
        return k.{name}_({", ".join([*args[: len(args) - len(named)], *named])})
    return hook.call({", ".join(args)})

def {name}_base(k) -> Any:
    return Base_{name}(k)
""").body


def put_around(cls: str, method: ast.FunctionDef, function: ast.FunctionDef) -> Iterator[ast.stmt]:
    """Return the class for what a method of a class puts around a function of the kernel."""
    (inner,) = (stmt for stmt in method.body if isinstance(stmt, ast.FunctionDef))
    # Before the closure stand names for what its object has, and the documentation.
    done = (ast.FunctionDef, ast.Return, ast.Expr)
    outer = [stmt for stmt in method.body if not isinstance(stmt, done)]
    args = inner.args.args
    names = [
        f"{arg.arg}: {ast.unparse(cast('ast.expr', arg.annotation))} = a{i}"
        for i, arg in enumerate(args)
    ]
    if inner.args.vararg is not None:
        rest = range(len(args), len(_parameters(function)))
        names.append(f"{inner.args.vararg.arg} = ({''.join(f'a{i}, ' for i in rest)})")
    (made,) = ast.parse(f"""
class {cls}_{method.name}_{function.name}(Hook_{function.name}):
    def __init__(hook, self: {cls}, function: Hook_{function.name}) -> None:
        hook.self = self
        hook.function = function

    {_call(function).replace("self", "hook", 1)}
        self, function = hook.self, hook.function
        {"; ".join(names) or "pass"}
""").body
    call = cast("ast.FunctionDef", cast("ast.ClassDef", made).body[-1])
    call.body += [
        _Calls().visit(stmt) for stmt in ast.parse(ast.unparse([*outer, *inner.body])).body
    ]
    yield made


class _Calls(ast.NodeTransformer):
    # function(...) is function.call(...).

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        if ast.unparse(node.func) == "function":
            node.func = ast.Attribute(node.func, "call")
        return node


def _parameters(function: ast.FunctionDef) -> list[ast.arg]:
    return [*function.args.args[1:], *function.args.kwonlyargs]


def _plain(annotation: ast.expr | None) -> str:
    text = "None" if annotation is None else ast.unparse(annotation)
    return text if text in _NATIVE else "Any"


def _call(function: ast.FunctionDef) -> str:
    args = (f", a{i}: {_plain(arg.annotation)}" for i, arg in enumerate(_parameters(function)))
    return f"def call(self{''.join(args)}) -> {_plain(function.returns)}:"
