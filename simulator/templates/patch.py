# SPDX-License-Identifier: MIT
"""
A patch to start from
---------------------

A kernel class on top of a version, with functions of that version word for word, to be
changed.  A function that goes on to that of its parent (``super()``) would do so twice if
it were restated: it is wrapped, with its code beside it.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence

from simulator.errors import InputError, nearest
from simulator.kernel import Kernel
from simulator.kernel.listing import Listed, listing

__all__ = ("default_function", "patch_template")

# Where batching, splitting and flushing are decided, the newer code first.
_USUAL = ("split_folios", "vmemmap_remap_range")


def default_function(kernel: type[Kernel]) -> str:
    """
    Return the function that a patch of this version most likely changes.

    >>> from simulator.kernel import load_kernel
    >>> default_function(load_kernel("v7.3")), default_function(load_kernel("v6.1"))
    ('split_folios', 'vmemmap_remap_range')
    """
    known = {listed.name for listed in listing(kernel)}
    return next(name for name in _USUAL if name in known)


def patch_template(kernel: type[Kernel], stem: str, functions: Sequence[str]) -> str:
    """
    Return a Python file with a kernel on top of `kernel`, a class of the package.

    :param stem: the name of the file without its ending, which names the kernel.
    :param functions: what the file has of the kernel's functions, to be changed.
    :raises InputError: for a function that the kernel has not.
    """
    known = {listed.name: listed for listed in listing(kernel)}
    for name in functions:
        if name not in known:
            raise InputError(
                f"function: {kernel.name} has no {name!r}{nearest(name, known)};"
                f" tlbsim kernels {kernel.name} --all prints what it has"
            )
    chosen = [known[name] for name in dict.fromkeys(functions)]
    name = json.dumps(f"{kernel.name}+{stem}")
    texts = "\n\n".join(textwrap.indent(_restated(kernel, listed), "    ") for listed in chosen)
    return f'''"""
A patch on top of {kernel.name}
{"-" * len(f"A patch on top of {kernel.name}")}

Say here what it changes, and why.

    tlbsim kernels {kernel.name} --all    prints the kernel that it changes, as it runs
    tlbsim kernels FILE    prints what it replaces
    tlbsim compare --kernel {kernel.name} --kernel FILE --machine laptop-8 --pages 64

A function is plain code with the kernel's names; `k` is the running kernel, `k.current` its
task. What takes time (locks, flushes, pages, page tables) is called by its kernel name and
costs what it costs; nothing is recorded by hand. Every run is held against what must be
safe: see the line "safety" of a report.
"""

from __future__ import annotations

{_imports(kernel, chosen)}


class {_class_name(stem)}({kernel.__name__}):
    """One line: what is different from {kernel.name}."""

    name = {name}  # what tables call it
    base = {json.dumps(kernel.base)}
    subject = "mm: not described yet"  # as the subject of the mail
    commit = ""  # none: it is not merged
    summary = "{kernel.name}, nothing changed yet"  # in a few words, for reports

{texts}
'''


def _class_name(stem: str) -> str:
    words = re.findall(r"[A-Za-z0-9]+", stem)
    name = "".join(word[0].upper() + word[1:] for word in words)
    return name if name[:1].isalpha() else f"Patch{name}"


def _restated(kernel: type[Kernel], listed: Listed) -> str:
    first, *above = listed.definitions
    if not above:
        return f"# As in {kernel.name} (since {first.version}). Change it.\n{first.source}"
    code = "\n\n".join(f"{d.version}:\n{d.source}" for d in listed.definitions)
    head, parameters = _head(first.source)
    return (
        f"# In {kernel.name} this goes on to older versions of itself:\n#\n"
        + textwrap.indent(code, "# ", lambda _line: True).replace("# \n", "#\n")
        + f"\n#\n# Add what comes before or after.\n{head}\n"
        + f"    return super().{listed.name}({', '.join(parameters)})"
    )


# The first lines of a function up to its colon, and the names of its parameters after k.
def _head(source: str) -> tuple[str, list[str]]:
    function = ast.parse(source).body[0]
    if not isinstance(function, ast.FunctionDef):
        raise TypeError(f"no function: {source}")
    lines = source.splitlines()[: function.body[0].lineno - 1]
    return "\n".join(lines), [argument.arg for argument in function.args.args[1:]]


def _imports(kernel: type[Kernel], chosen: Sequence[Listed]) -> str:
    modules: dict[str, set[str]] = {kernel.__module__: {kernel.__name__}}
    for listed in chosen:
        defined_in = getattr(kernel, listed.name).__module__
        for name, module in _needed(listed, defined_in):
            modules.setdefault(module, set()).add(name)
    return "\n".join(f"from {m} import {', '.join(sorted(modules[m]))}" for m in sorted(modules))


# The names that a function takes from its module, and the module that each comes from.
def _needed(listed: Listed, module: str) -> Iterator[tuple[str, str]]:
    [first, *above] = listed.definitions
    tree = ast.parse(_head(first.source)[0] + "\n    ..." if above else first.source)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    origins: dict[str, str] = {}
    source = ast.parse(inspect.getsource(sys.modules[module]))
    for node in source.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            origins[node.name] = module
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            origins |= {target.id: module for target in targets if isinstance(target, ast.Name)}
    # Also what is imported for type checkers alone, since signatures name it.
    imports = (node for node in ast.walk(source) if isinstance(node, ast.ImportFrom))
    for imported in imports:
        if imported.module and imported.module != "__future__":
            origins |= {alias.name: imported.module for alias in imported.names}
    for name in sorted(used & origins.keys() - set(dir(builtins))):
        yield name, origins[name]
