# SPDX-License-Identifier: MIT
"""
``tlbsim new``: a patch or a machine to start from
--------------------------------------------------
"""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from pathlib import Path

from simulator.errors import InputError, nearest
from simulator.inputs import user_path
from simulator.outputs import NOTHING, check_new_file, writing

__all__ = ("EXAMPLE", "HELP", "NAME", "configure", "run")

NAME = "new"
HELP = "Write a commented patch or machine of your own, which runs at once."
EXAMPLE = "tlbsim new patch my_patch.py --from v7.3"
_ENDINGS = {"patch": ".py", "machine": ".toml"}
_OF = {"patch": ("from", "function"), "machine": ("like",)}


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("what", metavar="patch|machine", choices=tuple(_ENDINGS))
    parser.add_argument("file", metavar="FILE", help="a new file, .py or .toml")
    parser.add_argument(
        "--from", metavar="KERNEL", help="patch: the kernel that it applies to (default: newest)"
    )
    parser.add_argument(
        "--function",
        metavar="NAME",
        action="append",
        help="patch: a function to change, several times (tlbsim kernels KERNEL --all has them)",
    )
    parser.add_argument(
        "--like", metavar="MACHINE", help="machine: the one that it starts as (tlbsim machines)"
    )


def run(args: Namespace) -> tuple[int, str]:
    """Return the exit status and what to print."""
    for what, options in _OF.items():
        for option in options:
            if what != args.what and getattr(args, option) is not None:
                raise InputError(f"{option}: is for tlbsim new {what}, not for {args.what}")
    file = user_path(args.file, "file")
    ending = _ENDINGS[args.what]
    if file.suffix != ending:
        near = f" (nearest: {file.with_suffix(ending)})" if file.name else ""
        raise InputError(f"file: {file} must end in {ending}{near}")
    check_new_file("file", file)
    text, told = _patch(args, file) if args.what == "patch" else _machine(args, file)
    with writing("file", file, NOTHING) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return 0, told


def _patch(args: Namespace, file: Path) -> tuple[str, str]:
    from simulator.kernel import kernel_named, kernels
    from simulator.templates import default_function, patch_template

    kernel = kernel_named(vars(args)["from"] or kernels()[-1])
    functions = args.function or [default_function(kernel)]
    typed = shlex.quote(str(file))
    return patch_template(kernel, file.stem, functions), (
        f"{file}: {kernel.name}, with {', '.join(f'{name}()' for name in functions)} to change\n"
        f"  tlbsim kernels {typed}\n"
        f"  tlbsim compare --kernel {kernel.name} --kernel {typed} --machine laptop-8 --pages 64\n"
    )


def _machine(args: Namespace, file: Path) -> tuple[str, str]:
    from simulator.machine import load_machine, machines
    from simulator.templates import machine_template

    if args.like not in machines():
        near = nearest(args.like or "", machines()) or f"; one of {', '.join(machines())}"
        given = "is missing" if args.like is None else f"there is no {args.like!r}"
        raise InputError(f"like: {given}{near}")
    typed = shlex.quote(str(file))
    return machine_template(load_machine(args.like), typed), (
        f"{file}: a machine like {args.like}, to change\n"
        f"  tlbsim machines {typed}\n"
        f"  tlbsim compare --machine {args.like} --machine {typed} --pages 64\n"
    )
