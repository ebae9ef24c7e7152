# SPDX-License-Identifier: MIT
"""
The kernel side as mypyc wants it
---------------------------------

:func:`translate` writes the package ``simulator.twin`` from the modules of ``simulator``: the
same functions, in classes with one base each, which is the next one of the method resolution
order of the newest kernel.  So every kernel of that row has its twin.

What records and checker attach to (:meth:`simulator.kernel.base.KernelBase.attach`) asks for a
hook first: methods of compiled classes cannot be replaced.  Everything else is as it was written.
"""

from __future__ import annotations

import ast
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from simulator.boot import boot
from simulator.kernel import load_kernel
from simulator.kernel.base import KernelBase
from simulator.native import digest_of_sources
from simulator.ordering.checker import Checker, Checks
from simulator.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("translate",)

#: The last of the kernels that each add to the one before.
NEWEST = "v7.3"
TWIN = "simulator.twin"
_CHAIN = [cls for cls in load_kernel(NEWEST).__mro__ if issubclass(cls, KernelBase)]
_NEXT = {cls.__name__: base for cls, base in pairwise(_CHAIN)}
_OF_CHAIN = list(dict.fromkeys(cls.__module__ for cls in _CHAIN))
_COMPILED = [
    *(
        f"simulator.engine.{name}"
        for name in ("task", "locks", "compiled.turns", "compiled.tasks", "compiled.engine")
    ),
    "simulator.engine.compiled.alone.cpu",
    "simulator.engine.compiled.together.tasks",
    *(f"simulator.kernel.{name}" for name in ("structs", "records", "requests")),
    "simulator.trace.tables",
    *(
        f"simulator.ordering.checker.{name}"
        for name in ("accounting", "barriers", "held_locks", "stores", "translations")
    ),
    *_OF_CHAIN,
]
# They use classes of the others, and are not worth it, or no classes that mypyc takes.
_INTERPRETED = [
    "simulator.engine.ending",
    "simulator.engine.hardware",
    "simulator.engine.timeline",
    "simulator.ordering.checker.checker",
    "simulator.trace.recorder",
    "simulator.boot",
    "simulator.run",
]
_COPIED = {*_COMPILED, *_INTERPRETED}
_OWN = ("__new__", "version", "attach", "detach", "_rename")  # of KernelBase, which the twin has
_LEFT_OUT = ("file_of", "source", "digest", "flush_mechanism")  # super() of a class is none
_ATTACH = '''
@property
def version(k) -> Any:
    """The class that it was made of."""
    return type(k)

def attach(k, name: str, around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Put ``around(function)`` in the place of a function that has a hook."""
    hook = getattr(k, f"{name}_hook")
    setattr(k, f"{name}_hook", around(getattr(k, f"{name}_") if hook is None else hook))
    k._attached.add(name)

def detach(k) -> None:
    """Put back all functions as they were, and let go of the engine."""
    for name in k._attached:
        setattr(k, f"{name}_hook", None)
    k._attached.clear()
    if k.resumes in k._timeline.watchers:
        k._timeline.watchers.remove(k.resumes)

def _rename(k) -> None:
    pass
'''


def translate(folder: Path) -> list[Path]:
    """Write the package below a folder; return the files that are to be compiled."""
    hooked = _attached()
    found = {}
    for module in (*_COMPILED, *_INTERPRETED):
        tree = _Twin(module, hooked).visit(_tree(module))
        path = found[module] = folder / Path(*_twin_of(module).split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(ast.unparse(ast.fix_missing_locations(tree)) + "\n", encoding="utf-8")
    for path in found.values():
        for parent in path.relative_to(folder).parents[:-2]:
            (folder / parent / "__init__.py").touch()
    kernels = tuple(cls.name for cls in _kernels())
    text = f"MADE_FROM = {digest_of_sources()!r}\nKERNELS = {kernels}\n"
    (folder / Path(*TWIN.split(".")) / "__init__.py").write_text(text, encoding="utf-8")
    return [found[module] for module in _COMPILED]


def _attached() -> set[str]:
    # What records and checker attach to, on any machine and in any kernel of the chain.
    names = set()
    for cls in _kernels():
        _, k, _ = boot(Scenario(machine="laptop-8", kernel=cls.name, pages=1))
        Checker(k, Checks(isa="arm64", head_writer=True), "x86-64")
        names |= k._attached - set(k.RENAMED)  # noqa: SLF001 - there is no other door
    return names


def _file(module: str) -> Path:
    return Path(str(import_module(module).__file__))


def _tree(module: str) -> ast.Module:
    return ast.parse(_file(module).read_text(encoding="utf-8"))


def _twin_of(module: str) -> str:
    return module.replace("simulator", TWIN, 1) if module in _COPIED else module


def _home(module: str, name: str) -> str:
    # Where a class is, that is imported from the package that its module is in.
    home = getattr(getattr(import_module(module), name, None), "__module__", "")
    return home if home in _COPIED and hasattr(import_module(home), name) else module


def _methods(cls: ast.ClassDef) -> dict[str, ast.stmt]:
    # What a class defines, as functions or as other names of functions.
    found: dict[str, ast.stmt] = {}
    for stmt in cls.body:
        if isinstance(stmt, ast.FunctionDef):
            found[stmt.name] = stmt
        elif (alias := _alias(stmt)) is not None:
            found[alias[0]] = stmt
    return found


def _alias(stmt: ast.stmt) -> tuple[str, str, str] | None:
    # NAME = Base.OTHER, or NAME = calls("OTHER"): both names, and what is called.
    match stmt:
        case ast.Assign([ast.Name(name)], ast.Attribute(ast.Name(), other)):
            return name, other, f"super().{other}"
        case ast.Assign([ast.Name(name)], ast.Call(ast.Name("calls"), [ast.Constant(str(other))])):
            return name, other, f"k.{other}"
    return None


_METHODS = {
    cls.__name__: _methods(node)
    for cls in _CHAIN
    for node in _tree(cls.__module__).body
    if isinstance(node, ast.ClassDef) and node.name == cls.__name__
}
_BASEMOST = {name: cls for cls, methods in _METHODS.items() for name in methods}


def _kernels() -> list[type[KernelBase]]:
    # Those of the chain to which all classes below mean the same: they are its own, in its
    # order, or others that replace nothing.
    found = []
    for nth, cls in enumerate(_CHAIN):
        below = _CHAIN[nth:]
        others = [other for other in below if other not in cls.__mro__]
        own = [other for other in below if other in cls.__mro__]
        replaced = {
            name
            for other in others
            for name in vars(other)
            if not name.startswith("__") and hasattr(cls, name)
        }
        if "name" in vars(cls) and (*own, object) == cls.__mro__ and not replaced:
            found.append(cls)
    return found


def _definition(names: tuple[str, ...], classes: list[dict[str, ast.stmt]]) -> ast.FunctionDef:
    # The first function that has one of these names: all have the same parameters.
    stmts = (methods.get(name) for methods in classes for name in names)
    return next(stmt for stmt in stmts if isinstance(stmt, ast.FunctionDef))


def _calling(name: str, like: ast.FunctionDef, body: str) -> ast.FunctionDef:
    # A function of a name, with the parameters of another; %s in its body are the arguments.
    args = [arg.arg for arg in like.args.args[1:]]
    args += [f"{arg.arg}={arg.arg}" for arg in like.args.kwonlyargs]
    returns = "None" if like.returns is None else ast.unparse(like.returns)
    text = f"def {name}({ast.unparse(like.args)}) -> {returns}:\n" + body.replace(
        "%s", ", ".join(args)
    )
    return cast("ast.FunctionDef", ast.parse(text).body[0])


class _Twin(ast.NodeTransformer):
    # Makes a module of the twin of one of the package.

    def __init__(self, module: str, hooked: set[str]) -> None:
        self._in_chain = module in _OF_CHAIN
        self._hooked = hooked
        self._bases: list[ast.stmt] = []
        self._classes = {
            node.name: _methods(node) for node in _tree(module).body
            if isinstance(node, ast.ClassDef)
        }  # fmt: skip

    def visit_Module(self, node: ast.Module) -> ast.Module:
        self.generic_visit(node)
        text = "from simulator.native import python_of, twin_of\nfrom typing import Any, ClassVar"
        self._bases += ast.parse(text).body
        future = next(i for i, stmt in enumerate(node.body) if isinstance(stmt, ast.ImportFrom))
        node.body[future + 1 : future + 1] = self._bases
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        module = str(node.module)
        if not module.startswith("simulator"):
            return node
        return [
            ast.ImportFrom(_twin_of(_home(module, alias.name)), [alias], 0) for alias in node.names
        ]

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        # A base's function is called as it is, past its hook.
        self.generic_visit(node)
        match node.value:
            case ast.Call(ast.Name("super")) if self._in_chain and node.attr in self._hooked:
                node.attr += "_"
            case ast.Name(name) if name in _METHODS and node.attr in self._hooked:
                node.attr += "_"
            case ast.Name("k") if node.attr == "flush_mechanism":
                return ast.parse("python_of(k).flush_mechanism", mode="eval").body
            case ast.Name("scenario") if node.attr == "built_kernel":
                return ast.parse("twin_of(scenario.built_kernel)", mode="eval").body
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        if not (self._in_chain and node.name in _METHODS):
            node.body = [self._alias(stmt, list(self._classes.values())) for stmt in node.body]
            if any(ast.unparse(base) == "Timeline" for base in node.bases):
                # What narrows an attribute of a class that is not compiled would be a second one.
                node.body = [stmt for stmt in node.body if not isinstance(stmt, ast.AnnAssign)]
            self.generic_visit(node)
            return node
        if node.name in _NEXT:
            base = _NEXT[node.name]
            node.bases = [ast.Name(base.__name__)]
            text = f"from {_twin_of(base.__module__)} import {base.__name__}"
            self._bases += ast.parse(text).body
        later = list(_METHODS.values())[list(_METHODS).index(node.name) :]
        node.body = [self._alias(stmt, later) for stmt in node.body]
        self.generic_visit(node)
        node.body = [found for stmt in node.body for found in self._of_chain(stmt, node.name)]
        if node.name == "KernelBase":
            node.body += ast.parse(_ATTACH).body
        return node

    def _alias(self, stmt: ast.stmt, classes: list[dict[str, ast.stmt]]) -> ast.stmt:
        alias = _alias(stmt)
        if alias is None or alias[1] not in {name for methods in classes for name in methods}:
            return stmt
        name, other, called = alias
        like = _definition((name, other), classes)
        return _calling(name, like, f"    return {called}(%s)")

    def _of_chain(self, stmt: ast.stmt, cls: str) -> Iterator[ast.stmt]:
        if isinstance(stmt, ast.Assign):
            if ast.unparse(stmt.targets[0]) == "__slots__":
                return
            # A constant of the class, which objects do not have.
            any_class_var = ast.parse("ClassVar[Any]", mode="eval").body
            stmt = ast.AnnAssign(cast("ast.Name", stmt.targets[0]), any_class_var, stmt.value, 1)
        if not isinstance(stmt, ast.FunctionDef):
            yield stmt
            return
        if stmt.name in (*_LEFT_OUT, *_OWN):
            return
        if cls == "KernelBase" and stmt.name == "__init__":
            self._begin(stmt)
        if stmt.name in self._hooked:
            name = stmt.name
            if cls == _BASEMOST[name]:
                yield _calling(
                    name, stmt,
                    f"    if k.{name}_hook is None:\n        return k.{name}_(%s)\n"
                    f"    return k.{name}_hook(%s)",
                )  # fmt: skip
            stmt.name += "_"
        yield stmt

    def _begin(self, function: ast.FunctionDef) -> None:
        for stmt in function.body:
            match stmt:
                case ast.AnnAssign(ast.Attribute(attr="current")):
                    stmt.value = None  # no task, until one runs
        hooks = [f"k.{name}_hook: Any = None" for name in sorted(self._hooked)]
        function.body[:0] = ast.parse("\n".join(hooks)).body
