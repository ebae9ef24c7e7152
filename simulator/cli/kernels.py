# SPDX-License-Identifier: MIT
"""
``tlbsim kernels``: the kernel versions
---------------------------------------
"""

from __future__ import annotations

import inspect
import textwrap
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from simulator.cli.output import json_text
from simulator.errors import InputError

if TYPE_CHECKING:
    from simulator.kernel import Kernel

__all__ = ("EXAMPLE", "HELP", "NAME", "configure", "run")

NAME = "kernels"
HELP = "List the kernel versions, or print what one changes against its parent."
EXAMPLE = "tlbsim kernels v6.6+6"


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="a version, or a Python file")
    parser.add_argument(
        "--all",
        action="store_true",
        help="print the kernel as it runs: every function, and the version that it comes from",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: Namespace) -> tuple[int, str]:
    """Return the exit status and what to print."""
    from simulator.kernel import kernels, load_kernel, mutants, proposals

    if args.all and args.name is None:
        raise InputError(f"kernels: --all needs a NAME, such as {kernels()[-1]}")
    if args.name is not None:
        kernel = load_kernel(args.name)
        if args.all:
            return 0, json_text(_all(kernel)) if args.json else _listed(kernel)
        return 0, json_text(_details(kernel)) if args.json else _described(kernel)
    found = [_summary(load_kernel(name)) for name in (*kernels(), *proposals())]
    wrong = [_summary(load_kernel(name)) for name in mutants()]
    if args.json:
        return 0, json_text([*found, *wrong])
    from simulator.report.text import format_table

    merged = [k for k in found if k["proposed_in"] is None]
    rows = [(k["name"], k["parent"] or "-", k["commit"], k["subject"]) for k in merged]
    text = format_table(rows, ("kernel", "parent", "commit", "subject"), align="llll")
    other = [(k["name"], k["parent"], k["subject"]) for k in found if k["proposed_in"] is not None]
    proposed = format_table(other, ("never merged", "parent", "subject"), align="lll")
    broken = [(k["name"], k["breaks"], k["subject"]) for k in wrong]
    mistaken = format_table(broken, ("with a mistake", "breaks", "subject"), align="lll")
    return 0, f"{text}\n\n{proposed}\n\n{mistaken}\n"


def _summary(kernel: type[Kernel]) -> dict[str, Any]:
    parent = _parent(kernel)
    return {
        "name": kernel.name,
        "parent": None if parent is None else parent.name,
        "commit": kernel.commit,
        "proposed_in": kernel.proposed_in or None,
        "breaks": kernel.breaks or None,
        "subject": kernel.subject,
        "summary": kernel.summary,
    }


def _details(kernel: type[Kernel]) -> dict[str, Any]:
    tunables = {
        name: {"default": default, "low": low, "high": high, "text": text}
        for name, (default, low, high, text) in sorted(kernel.TUNABLES.items())
    }
    from simulator.kernel.source import source_of

    functions = {name: source_of(code) for name, code in _functions(kernel)}
    return _summary(kernel) | {"tunables": tunables, "functions": functions}


def _described(kernel: type[Kernel]) -> str:
    from simulator.kernel.source import source_of
    from simulator.report.text import format_table, underlined, wrapped

    parent = _parent(kernel)
    head = [
        wrapped(text, f"{label:<9}")
        for label, text in (
            ("kernel", kernel.name),
            ("parent", "none" if parent is None else parent.name),
            ("commit", kernel.commit),
            (
                "status",
                f"never merged; proposed in {kernel.proposed_in}" * bool(kernel.proposed_in),
            ),
            ("subject", kernel.subject),
            ("summary", kernel.summary),
        )
        if text
    ]
    blocks = ["\n".join(head)]
    rows = [
        (name, str(default), f"{low} to {high}", text)
        for name, (default, low, high, text) in sorted(kernel.TUNABLES.items())
    ]
    if rows:
        blocks.append(format_table(rows, ("tunable", "default", "range", ""), align="lrll"))
    functions = dict(_functions(kernel))
    verb = "adds" if parent is None else f"replaces or adds on top of {parent.name}"
    if functions:
        blocks.append(underlined(f"{verb}: {', '.join(functions)}"))
        # A version without a parent is a whole kernel; that is for an editor.
        if parent is not None:
            sources = map(source_of, functions.values())
            blocks += [textwrap.dedent(source).strip() for source in sources]
    else:
        blocks.append("replaces nothing")
    return "\n\n".join(blocks) + "\n"


def _all(kernel: type[Kernel]) -> dict[str, Any]:
    from simulator.kernel.listing import listing

    functions = {
        listed.name: [{"version": d.version, "source": d.source} for d in listed.definitions]
        for listed in listing(kernel)
    }
    return _summary(kernel) | {"functions": functions}


def _listed(kernel: type[Kernel]) -> str:
    from simulator.kernel.listing import listing
    from simulator.report.text import underlined

    blocks = [underlined(f"{kernel.name} as it runs: {kernel.summary}")]
    group = ""
    for listed in listing(kernel):
        if listed.group != group:
            group = listed.group
            blocks.append(underlined(group))
        for nth, definition in enumerate(listed.definitions):
            below = " (what super() stands for above)" if nth else ""
            blocks.append(f"# {definition.version}{below}\n{definition.source}")
    return "\n\n".join(blocks) + "\n"


def _parent(kernel: type[Kernel]) -> type[Kernel] | None:
    above = (base for base in kernel.__mro__[1:] if "name" in vars(base))
    return next(above, None)


# The functions of a version are those of its class and of what it mixes in.
def _functions(kernel: type[Kernel]) -> Iterator[tuple[str, Any]]:
    parent = _parent(kernel)
    above = (object,) if parent is None else parent.__mro__
    seen = set()
    for base in kernel.__mro__:
        if base in above:
            continue
        for name, value in vars(base).items():
            own = name == "__init__" or not name.startswith("__")
            if inspect.isfunction(value) and own and name not in seen:
                seen.add(name)
                yield name, value
