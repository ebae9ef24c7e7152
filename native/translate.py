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
from collections import defaultdict
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import patch

from native.hooks import ATTACH, dispatching, hook_classes, put_around
from simulator.boot import boot
from simulator.kernel import load_kernel
from simulator.kernel.base import KernelBase
from simulator.machine.lowered.costs import LoweredCosts
from simulator.native import digest_of_sources
from simulator.ordering.checker import Checker, Checks
from simulator.scenario import Scenario
from simulator.trace.words import CATEGORIES

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("translate",)

#: The last of the kernels that each add to the one before.
NEWEST = "v7.3"
TWIN = "simulator.twin"
_CHAIN = [cls for cls in load_kernel(NEWEST).__mro__ if issubclass(cls, KernelBase)]
_NEXT = {cls.__name__: base for cls, base in pairwise(_CHAIN)}
_OF_CHAIN = list(dict.fromkeys(cls.__module__ for cls in _CHAIN))
_COMPILED = [f"simulator.{name}" for name in (
    "engine.keys", "engine.timeline", "engine.task", "engine.locks", "engine.calls",
    "engine.compiled.turns", "engine.compiled.tasks", "engine.compiled.engine",
    "engine.compiled.alone.cpu", "engine.compiled.together.tasks", "kernel.structs",
    "kernel.placement",
    "kernel.records", "kernel.requests",
    "trace.recorder", "trace.tables", "ordering.checker.accounting", "ordering.checker.barriers",
    "ordering.checker.held_locks", "ordering.checker.live_entries",
    "ordering.checker.other_writers", "ordering.checker.report", "ordering.checker.stores",
    "ordering.checker.translations",
)] + _OF_CHAIN  # fmt: skip
# They use classes of the others, and are not worth it, or no classes that mypyc takes.
_INTERPRETED = [
    "simulator.engine.ending",
    "simulator.engine.hardware",
    "simulator.engine.platform",
    "simulator.ordering.checker.checker",
    "simulator.boot",
    "simulator.run",
]
_COPIED = {*_COMPILED, *_INTERPRETED}
_OWN = ("__new__", "version", "attach", "detach", "_rename")  # of KernelBase, which the twin has
_LEFT_OUT = ("file_of", "source", "digest", "flush_mechanism")  # super() of a class is none
_OF_ALL = (
    ATTACH
    + '''
@property
def version(k) -> Any:
    """The class that it was made of."""
    return type(k)

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
)


#: What kernel code asks of a cost, in native integers.
_COSTS = """
class Cost:
    def __init__(self, cost: Any) -> None:
        self.mean_fp: tuple[int, ...] = cost.mean_fp
        self.each_ns: int = cost.each_ns

    def ns(self, n: int = 1, distance: int = 0) -> int:
        return (self.mean_fp[distance] * n + 512) >> 10

class Costs:
    def __init__(self, costs: Any) -> None:
        for name, cost in costs:
            setattr(self, name, Cost(cost))
"""
#: What a task's time went to: an integer each, where compiled code names it.  Names are compared as
#: objects: one that is written out is one object.
_TIME_BY = f"""
CATEGORIES = {CATEGORIES}

class Task:
    def __init__(self) -> None:
        {"; ".join(f"self._by_{name} = 0" for name in CATEGORIES)}

    def work(self, category: str, ns: int) -> None:
        self.planned_ns += ns
        self.spend(category, ns)

    def spend(self, category: str, ns: int) -> None:
        {
    "".join(
        f'''if category is {name!r}:
            self._by_{name} += ns
        el'''
        for name in CATEGORIES
    )
}se:
            self._time_by[category] += ns

    @property
    def time_by(self) -> dict[str, int]:
        for category in CATEGORIES:
            ns: int = getattr(self, "_by_" + category)
            if ns:
                self._time_by[category] += ns
                setattr(self, "_by_" + category, 0)
        return self._time_by
"""


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


def _attached() -> dict[str, set[tuple[str, str]]]:
    # What records and checker attach to, on any machine and in any kernel of the chain: by
    # function of the kernel, the class and the method of what is put around it.
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    attach = KernelBase.attach

    def noting(k: KernelBase, name: str, around: Any) -> None:
        attach(k, name, around)
        if name not in k.RENAMED:
            found[name].add((type(around.__self__).__name__, around.__name__))

    with patch.object(KernelBase, "attach", noting):
        for cls in _kernels():
            _, k, _ = boot(Scenario(machine="laptop-8", kernel=cls.name, pages=1))
            Checker(k, Checks(isa="arm64", head_writer=True), "x86-64")
    return found


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
_MODULES = {cls.__name__: cls.__module__ for cls in _CHAIN}
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


def _like(name: str) -> ast.FunctionDef:
    # A function with the parameters of one of the chain, which may be another name of a function.
    classes = list(_METHODS.values())
    others = [_alias(methods[name]) for methods in classes if name in methods]
    like = _definition((name, *(alias[1] for alias in others if alias is not None)), classes)
    return _calling(name, like, "    pass")


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

    def __init__(self, module: str, hooked: dict[str, set[tuple[str, str]]]) -> None:
        self._in_chain = module in _OF_CHAIN
        self._hooked = hooked
        self._bases: list[ast.stmt] = []
        self._classes = {
            node.name: _methods(node) for node in _tree(module).body
            if isinstance(node, ast.ClassDef)
        }  # fmt: skip

    def visit_Module(self, node: ast.Module) -> ast.Module:
        self.generic_visit(node)
        text = (
            "from simulator.native import python_of, twin_of\nfrom typing import Any, ClassVar\n"
            "from importlib import import_module"
        )
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

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        self.generic_visit(node)
        match node.target:
            case ast.Attribute(attr="current"):
                node.value = None  # no task, until one runs
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        match node:
            case ast.Subscript(ast.Attribute(cost, "times"), nr):
                return ast.Call(ast.Attribute(cost, "ns"), [nr], [])
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        self.generic_visit(node)
        match node.target:
            case ast.Subscript(ast.Attribute(task, "time_by"), ast.Constant(category)):
                node.target = ast.Attribute(task, f"_by_{category}")
            case ast.Subscript(ast.Attribute(task, "time_by"), category):
                return ast.Expr(ast.Call(ast.Attribute(task, "spend"), [category, node.value], []))
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        # A base's function is called as it is, past its hook.
        self.generic_visit(node)
        match node.value:
            case ast.Call(ast.Name("super")) if self._in_chain and node.attr in self._hooked:
                node.attr += "_"
            case ast.Name(name) if name in _METHODS and node.attr in self._hooked:
                node.attr += "_"
            case ast.Name("self") if node.attr == "time_by" and isinstance(node.ctx, ast.Store):
                node.attr = "_time_by"
            case ast.Name("k") if node.attr == "flush_mechanism":
                return ast.parse("python_of(k).flush_mechanism", mode="eval").body
            case ast.Name("scenario") if node.attr == "built_kernel":
                return ast.parse("twin_of(scenario.built_kernel)", mode="eval").body
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        if not (self._in_chain and node.name in _METHODS):
            node.body = [self._alias(stmt, list(self._classes.values())) for stmt in node.body]
            self.generic_visit(node)
            if node.name == "Task":
                self._count_apart(node)
            return [node, *self._put_around(node)]
        if node.name in _NEXT:
            base = _NEXT[node.name]
            node.bases = [ast.Name(base.__name__)]
            text = f"from {_twin_of(base.__module__)} import {base.__name__}"
            self._bases += ast.parse(text).body
        later = list(_METHODS.values())[list(_METHODS).index(node.name) :]
        node.body = [self._alias(stmt, later) for stmt in node.body]
        self.generic_visit(node)
        hooks = [
            made
            for stmt in node.body
            if isinstance(stmt, ast.FunctionDef) and node.name == _BASEMOST.get(stmt.name)
            if stmt.name in self._hooked
            for made in hook_classes(stmt, node.name)
        ]
        node.body = [found for stmt in node.body for found in self._of_chain(stmt, node.name)]
        if node.name == "KernelBase":
            node.body += ast.parse(_OF_ALL).body
            costs = ast.parse(_COSTS).body
            fields = "\n".join(f"{name}: Cost" for name in LoweredCosts.model_fields)
            cast("ast.ClassDef", costs[-1]).body[:0] = ast.parse(fields).body
            self._bases += costs
        return [*hooks, node]

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
                yield from dispatching(stmt)
            stmt.name += "_"
        yield stmt

    def _count_apart(self, task: ast.ClassDef) -> None:
        words, more = ast.parse(_TIME_BY).body
        begin, *functions = cast("ast.ClassDef", more).body
        self._bases.append(words)
        cast("Any", _methods(task)["__init__"]).body[:0] = cast("ast.FunctionDef", begin).body
        names = [cast("ast.FunctionDef", function).name for function in functions]
        task.body = [stmt for stmt in task.body if getattr(stmt, "name", "") not in names]
        task.body += functions

    def _put_around(self, cls: ast.ClassDef) -> Iterator[ast.stmt]:
        for method in _methods(cls).values():
            for name in sorted(self._hooked):
                if (cls.name, cast("ast.FunctionDef", method).name) in self._hooked[name]:
                    module = _twin_of(_MODULES[_BASEMOST[name]])
                    self._bases += ast.parse(f"from {module} import Hook_{name}").body
                    function = _like(name)
                    yield from put_around(cls.name, cast("ast.FunctionDef", method), function)
        # What these methods make are the classes.
        for method in _methods(cls).values():
            if any(
                (cls.name, cast("ast.FunctionDef", method).name) in pairs
                for pairs in self._hooked.values()
            ):
                cast("ast.FunctionDef", method).body = ast.parse("return function").body

    def _begin(self, function: ast.FunctionDef) -> None:
        for stmt in function.body:
            match stmt:
                case ast.Assign([ast.Attribute(attr="cost")]):
                    stmt.value = ast.parse("Costs(platform.costs)", mode="eval").body
        hooks = [f"k.{name}_hook: Any = None" for name in sorted(self._hooked)]
        function.body[:0] = ast.parse("\n".join(hooks)).body
