# SPDX-License-Identifier: MIT
"""
Another revision against the tree
---------------------------------

``--against REV`` checks the revision out beside, runs both in turn in processes of their own,
with the packages that are installed here, and says how many times as fast this tree is: in
Python, and with the kernel side compiled as ``make native`` does, where that is possible.
CPU time, the least of several rounds; what both are asked is what both offer: a simulation,
or ``tlbsim run``.

Not compared: a revision that needs other packages than those installed; what it had
compiled by ``make native``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import copyfile, copytree, ignore_patterns, rmtree, which
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

from benchmarks.in_c import Recursion
from benchmarks.sections import CPUS, MACHINE, Plan, Section, Target
from benchmarks.table import number, table
from benchmarks.timing import costs

__all__ = ("RevisionError", "against", "revision")

_ROOT = Path(__file__).resolve().parent.parent
_PROBE = Path(__file__).with_name("probe.py")
_FIRST = ("-m", "simulator", "run", "--pages", "64")
_JOB = ("--machine", MACHINE, "--phases", "alloc,free", "--seed", "1", "--json")


class RevisionError(Exception):
    """A revision that is not there, or does not run here."""


@dataclass(frozen=True)
class _Row:
    """What is compared: of the other revision, this tree, and this tree compiled, if it was."""

    what: str
    values: Sequence[float]
    wanted: Sequence[float] = ()  # times as fast, of this tree and compiled; 0: not aimed at

    def cells(self) -> tuple[str, ...]:
        then, *now = self.values
        found = [cell for value in now for cell in (number(value), f"{then / value:.2f}")]
        return self.what, number(then), *found, *[""] * (4 - len(found))

    def targets(self) -> list[Target]:
        then, *now = self.values
        return [
            Target(f"{self.what}{how}, x faster", then / value, wanted, at_least=True)
            for how, value, wanted in zip(("", ", native"), now, self.wanted, strict=False)
            if wanted
        ]


@contextmanager
def revision(rev: str) -> Iterator[tuple[Path, ...]]:
    """
    Yield the tree of a revision and this one, copied, both without anything compiled.

    And as a third this one with the kernel side compiled, if there is what that takes.
    Raises RevisionError for what git does not know.
    """
    with TemporaryDirectory(prefix="tlbsim-against-") as folder:
        other, ours, native = (Path(folder, name) for name in ("other", "ours", "native"))
        _git("worktree", "add", "--quiet", "--detach", str(other), rev)
        try:
            compiled = ignore_patterns("__pycache__", "twin", "built")
            copytree(_ROOT / "simulator", ours / "simulator", ignore=compiled)
            if not (which("cc") and find_spec("mypyc")):
                print("left out: native: needs a C compiler and mypyc (make native)\n", flush=True)
                yield other, ours
                return
            for name in ("simulator", "native"):
                copytree(_ROOT / name, native / name, ignore=compiled)
            for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
                copyfile(_ROOT / name, native / name)
            _run(native, "setup.py", "--quiet", "build_ext", "--inplace", TLBSIM_NATIVE="1")
            if "native" not in _run(native, "-m", "simulator", "--version")["out"]:
                raise RevisionError("native: what was compiled is not used")
            yield other, ours, native
        finally:
            _git("worktree", "remove", "--force", str(other))


def against(plan: Plan, rev: str) -> Section:
    """Compare this tree with a revision."""
    with revision(rev) as trees:
        rows, targets = _measured(plan, trees)
    head = (f"against {rev}"[:34], "then", "now", "x", "native", "x")
    names = ("then", "now", "native")
    return Section(
        table("CPU time of a revision and of this tree", head, [row.cells() for row in rows]),
        {row.what: dict(zip(names, row.values, strict=False)) for row in rows},
        [target for row in rows for target in row.targets()] + targets,
    )


def _measured(plan: Plan, trees: Sequence[Path]) -> tuple[list[_Row], list[Target]]:
    # Nothing is compiled yet: the first run of each is a cold one.
    cold = [_run(tree, *_FIRST)["cpu_s"] for tree in trees[:2]]
    _as_in_a_wheel(trees[1])
    installed_s = _run(trees[1], *_FIRST)["cpu_s"]
    rounds = plan.rounds
    warm = _least(rounds, trees, *_FIRST)
    library = _least(rounds, trees, str(_PROBE), "one")
    rows = [
        _Row("first result, nothing compiled, s", cold),
        _Row("from a wheel (then: cold), s", (cold[0], installed_s)),
        _Row("first result of tlbsim run, s", warm),
        _Row("first result of the library, s", library),
    ]
    targets = [
        Target("first result of a wheel, s", installed_s, 6),
        Target("first result of tlbsim run, s", warm[1], 1.2),
    ]
    sizes = (256, 1024) if plan.quick else (2048, 8192)
    lone = {"machine": MACHINE, "cpus": 1}
    for what, fields, wanted in (
        ("v6.7, us per folio and phase", {"kernel": "v6.7"}, (2.0, 4.5)),
        ("v6.6, us per folio and phase", {"kernel": "v6.6"}, ()),
        ("a patch of v6.7, us", {"kernel": "v6.7", "patched": True}, (2.0,)),
    ):
        us = [1e6 * s / 2 for s in _per_page(rounds, trees, {**lone, **fields}, sizes)]
        rows.append(_Row(what, us, wanted))
    boot = {"machine": MACHINE, "kernel": "v6.7", "path": "boot", "allocators": 16}
    us = [1e6 * s / 2 for s in _per_page(rounds, trees, boot, sizes)]
    rows.append(_Row("16 tasks on boot, us", us, (3.0, 3.0)))
    ipi = _per_ipi(rounds, trees, 256 if plan.quick else 1024)
    rows.append(_Row("one more IPI of a flush, ns", ipi))
    recursion = Recursion()
    if not recursion.missing():
        c = costs([recursion], MACHINE, CPUS, 1, rounds, plan.effort)[recursion.name]
        targets.append(Target("one more IPI, x the C recursion", ipi[1] / c.marginal_ns, 0.65))
    pages = 4096 if plan.quick else 524_288
    for kernel, faster in (("v6.7", 4.0), ("v6.6", 3.0)):
        job = ("-m", "simulator", "run", *_JOB, "--kernel", kernel, "--pages", str(pages))
        taken = [_run(tree, *job) for tree in trees]
        what = f"{kernel}, {pages:,} pages"
        aimed = () if plan.quick else (0.0, faster)
        rows.append(_Row(f"{what}, s", [one["cpu_s"] for one in taken], aimed))
        peaks = [one["peak_mb"] for one in taken]
        rows.append(_Row(f"{what}, MB", peaks))
        if not plan.quick:
            targets += [Target(f"{what}, MB", peak, 350) for peak in peaks[1:2]]
    return rows, targets


def _as_in_a_wheel(tree: Path) -> None:
    # With the bitcode that is built ahead, and with no machine code.
    _run(tree, "-m", "simulator.engine.compiled.build")
    rmtree(tree / "simulator" / "engine" / "compiled" / "__pycache__")


def _per_page(
    rounds: int, trees: Sequence[Path], fields: dict[str, Any], sizes: tuple[int, int]
) -> list[float]:
    # Seconds for one more page, alloc and free.
    between = sizes[1] - sizes[0]
    return [(s[1] - s[0]) / between for _, s in _probed(rounds, trees, fields, sizes)]


def _per_ipi(rounds: int, trees: Sequence[Path], pages: int) -> list[float]:
    # Nanoseconds for one more CPU that a flush interrupts.
    fields = {"machine": MACHINE, "kernel": "v6.6", "phases": ["alloc"]}
    few = _probed(rounds, trees, {**fields, "cpus": 2}, (pages,))
    many = _probed(rounds, trees, {**fields, "cpus": CPUS}, (pages,))
    return [
        1e9 * (all_s[0] - two_s[0]) / (flushes[0] * (CPUS - 2))
        for (_, two_s), (flushes, all_s) in zip(few, many, strict=True)
    ]


def _probed(
    rounds: int, trees: Sequence[Path], fields: dict[str, Any], sizes: Sequence[int]
) -> list[tuple[list[int], list[float]]]:
    # By tree: flushes, and the least seconds, by size.
    found: list[list[dict[str, Any]]] = [[] for _ in trees]
    arguments = (str(_PROBE), json.dumps(fields), *map(str, sizes))
    for _ in range(rounds):
        for tree, taken in zip(trees, found, strict=True):
            taken.append(json.loads(_run(tree, *arguments)["out"]))
    return [
        (
            taken[0]["flushes"],
            [min(times) for times in zip(*(one["s"] for one in taken), strict=True)],
        )
        for taken in found
    ]


def _least(rounds: int, trees: Sequence[Path], *arguments: str) -> list[float]:
    taken = [[_run(tree, *arguments)["cpu_s"] for tree in trees] for _ in range(rounds)]
    return [min(times) for times in zip(*taken, strict=True)]


def _run(tree: Path, *arguments: str, **more: str) -> dict[str, Any]:
    # In a process of its own, with what is compiled kept in the tree.
    kept = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
    # What is installed here may have been compiled, and would be found from another tree, too.
    kept["TLBSIM_PURE"] = "0" if tree.name == "native" else "1"
    with TemporaryFile("w+") as written:
        process = subprocess.Popen(
            [sys.executable, "-P", *arguments],
            env=kept | more | {"PYTHONPATH": str(tree)},
            cwd=tree,
            stdout=written,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        written.seek(0)
        out = written.read()
    if process.returncode:
        raise RevisionError(f"{tree.name}: {' '.join(arguments)} ended with {process.returncode}")
    kib = 1 if sys.platform == "darwin" else 1024
    return {
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss * kib / 1e6,
        "out": out,
    }


#: Python keeps what it compiles as well, and nothing is compiled for another tree.
_LEFT_OUT = frozenset({"PYTHONDONTWRITEBYTECODE", "PYTHONPATH"})


def _git(*arguments: str) -> None:
    done = subprocess.run(
        ["git", "-C", str(_ROOT), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RevisionError(f"git: {done.stderr.strip()}")
