# SPDX-License-Identifier: MIT
"""
What is compiled once
---------------------

The oracle is arithmetic: compiled functions of a package of three lines, which
start in processes of their own.
"""

from __future__ import annotations

import ast
import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import simulator

pytest.importorskip("numba")

from simulator.engine.compiled import cache
from simulator.engine.compiled.alone.broadcast import broadcast_alone
from simulator.engine.compiled.machine_code import bound, is_compiled

PACKAGE = Path(simulator.__file__).parent
COMPILED = PACKAGE / "engine" / "compiled"


def write(package, name, *lines):
    file = package.joinpath(*name.split(".")).with_suffix(".py")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def package(tmp_path):
    """Return a package whose only function multiplies by a constant of another module."""
    package = tmp_path / "simulator"
    (package / "engine" / "compiled").mkdir(parents=True)
    for name in ("bitcode.py", "cache.py", "jit.py", "machine_code.py"):
        shutil.copy(COMPILED / name, package / "engine" / "compiled")
    for name in ("__init__", "engine.__init__", "engine.compiled.__init__", "constants.__init__"):
        write(package, name)
    write(package, "constants.far", "FACTOR = 3")
    write(package, "constants.near", "from simulator.constants.far import FACTOR as TIMES")
    write(
        package,
        "engine.compiled.rules",
        "from simulator.constants import (",
        "    near,",
        ")",
        "from simulator.engine.compiled.jit import entry",
        "",
        "@entry",
        "def times(x: int) -> int:",
        "    return x * near.TIMES",
    )
    return package


def multiplied(package, env=None, before="", *, without_numba=False):
    """Return what ``times(7)`` is in a new process, which must have nothing else to say."""
    code = [
        before,
        "import sys",
        "from simulator.engine.compiled.machine_code import bound, is_compiled",
        "from simulator.engine.compiled.rules import times",
        "assert is_compiled(times)",
        "product = bound(times)(7)",
        f"assert {without_numba} <= ('numba' not in sys.modules)",
        "print(product)",
    ]
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", "\n".join(code)],
        env={**os.environ, "PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"}
        if env is None
        else env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return int(done.stdout)


def kept(folder):
    return {file: file.stat().st_mtime_ns for file in folder.rglob("*.rules-*") if file.is_file()}


def test_a_constant_that_another_module_imports_from_a_third_is_seen_to_change(package):
    assert multiplied(package) == 21
    before = kept(package)
    assert sorted(file.suffix for file in before) == [".bc", ".o"]
    assert multiplied(package, without_numba=True) == 21
    assert kept(package) == before  # compiled once
    # Another CPU needs no numba either.
    next(file for file in before if file.suffix == ".o").unlink()
    assert multiplied(package, without_numba=True) == 21
    write(package, "constants.far", "FACTOR = 5")
    assert multiplied(package) == 35
    # What is out of date is not kept.
    assert len(kept(package)) == 2
    assert not kept(package).keys() & before.keys()


def test_where_nothing_can_be_written_nothing_is_kept(package):
    """Neither in the package nor elsewhere: no HOME, and no such user."""
    pycache = package / "engine" / "compiled" / "__pycache__"
    pycache.write_text("not a folder, so that root cannot write there either")
    env = {"PYTHONPATH": str(package.parent), "PATH": os.environ["PATH"]}
    nobody = "import pwd\ndef getpwuid(uid):\n    raise KeyError(uid)\npwd.getpwuid = getpwuid"
    assert multiplied(package, env, nobody) == 21
    assert kept(package.parent) == {}


def test_a_package_that_cannot_be_written_to_is_kept_in_the_users_cache(package):
    pycache = package / "engine" / "compiled" / "__pycache__"
    pycache.write_text("not a folder")
    home = package.parent / "home"
    env = {"PYTHONPATH": str(package.parent), "PATH": os.environ["PATH"], "HOME": str(home)}
    assert multiplied(package, env) == 21
    files = kept(home / ".cache" / "tlbsim")
    assert len(files) == 2
    # What was cut short, or changed, is compiled again.
    for damaged in (lambda kept: kept[:100], lambda kept: kept[:-1] + bytes([kept[-1] ^ 1])):
        for file in files:
            file.write_bytes(damaged(file.read_bytes()))
        assert multiplied(package, env) == 21


def test_what_was_built_ahead_is_found_without_numba_and_left_alone(package):
    assert multiplied(package) == 21
    compiled = package / "engine" / "compiled"
    (bitcode,) = (compiled / "__pycache__").glob("*.bc")
    (compiled / "built").mkdir()
    built = bitcode.rename(compiled / "built" / bitcode.name)
    for file in (compiled / "__pycache__").glob("*.o"):
        file.unlink()
    before = kept(compiled / "built")
    assert multiplied(package, without_numba=True) == 21
    assert kept(compiled / "built") == before
    # It is of other sources now.
    write(package, "constants.far", "FACTOR = 5")
    assert multiplied(package) == 35
    assert built.exists()


def test_compilation_is_switched_off_as_numba_s_is(monkeypatch):
    assert is_compiled(broadcast_alone)
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert not is_compiled(broadcast_alone)
    numbers = np.arange(3)
    assert bound(sum, numbers)(4) == 7


@pytest.mark.parametrize("relative", ["", "cache", "../cache"])
def test_a_cache_home_that_is_not_absolute_does_not_count(monkeypatch, tmp_path, relative):
    monkeypatch.setenv("XDG_CACHE_HOME", relative)
    monkeypatch.setenv("HOME", str(tmp_path))
    places = [parent for parent, _ in cache._parents()]
    assert places == [COMPILED / "__pycache__", tmp_path / ".cache" / "tlbsim"]


@functools.cache
def imported(file):
    """Return the files of this package that a file imports when it runs, by its syntax tree."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    files = set()
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom):
            names = [(f"{node.module}.{alias.name}", node.module) for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [(alias.name,) for alias in node.names]
        for choices in names:
            for name in choices:
                path = PACKAGE.parent.joinpath(*name.split("."))
                found = [f for f in (path.with_suffix(".py"), path / "__init__.py") if f.exists()]
                if found:
                    files.add(found[0])
                    break
    return files


@pytest.mark.parametrize(
    "file", sorted(COMPILED.rglob("*.py")), ids=lambda file: str(file.relative_to(COMPILED))
)
def test_what_a_module_is_made_of_is_what_its_syntax_trees_import(file):
    found, left = {file}, [file]
    while left:
        new = imported(left.pop()) - found
        found |= new
        left += new
    assert cache.sources(file) == sorted(found)
