# SPDX-License-Identifier: MIT
"""
Imports point downward
----------------------

The order is that of CONTRIBUTING.md, which this test reads.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "simulator"


def layers():
    """Return the parts of the package by layer, the uppermost first."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    lines = text.split("## Where things go\n\n")[1].split("\n\n")[0].splitlines()
    return [[part.strip() for part in line.strip().split("  ")[0].split(",")] for line in lines]


def layer_of(part):
    return next((n for n, parts in enumerate(layers()) if part in parts), None)


def imports(path):
    """Yield the parts of the package that a module imports when it is used."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        # Imports for type checkers alone are no imports.
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom):
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("simulator."))


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent != PACKAGE]
MODULES += [path for path in sorted(PACKAGE.glob("*.py")) if not path.name.startswith("__")]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downward(path):
    here = layer_of(part_of(path))
    assert here is not None, f"CONTRIBUTING.md does not say where {part_of(path)} goes"
    for part in imports(path):
        there = layer_of(part)
        assert there is not None, f"CONTRIBUTING.md does not say where {part} goes"
        assert there >= here, f"{part_of(path)} imports {part}, which is above it"
