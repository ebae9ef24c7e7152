# SPDX-License-Identifier: MIT
"""
``tlbsim completion``: what a shell completes
---------------------------------------------

Commands and options come from the parsers; names of machines, kernels, noises and studies
are those of this installation.  A file of one's own is completed where one may stand.
"""

from __future__ import annotations

from argparse import Action, ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator, Sequence
from importlib.util import find_spec

from simulator.errors import InputError

__all__ = ("EXAMPLE", "HELP", "NAME", "configure", "run")

NAME = "completion"
HELP = 'Print the completion of a shell, for eval "$(tlbsim completion bash)" or a file.'
EXAMPLE = "tlbsim completion bash"
_SHELLS = ("bash", "zsh", "tcsh")
# By option, or by command where it is the argument: what is completed.
_KINDS = {
    "--machine": "machines",
    "--like": "machines",
    "--kernel": "kernels",
    "--from": "kernels",
    "--noise": "noises",
    "machines": "machines",
    "kernels": "kernels",
    "noises": "noises",
    "study": "studies",
}
_BASH = '_tlbsim_{kind}() {{ compgen -W "{names}" -- "$1"; compgen -f -- "$1"; }}'
_ZSH = "_tlbsim_{kind}() {{ compadd -- {names}; _files; }}"


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("shell", metavar="|".join(_SHELLS), choices=_SHELLS)


def run(args: Namespace) -> tuple[int, str]:
    """Return the exit status and what to print."""
    if find_spec("shtab") is None:
        raise InputError("completion: needs the package shtab: pip install 'tlbsim[completion]'")
    import shtab

    from simulator.cli import main_parser

    parser = main_parser()
    for kind, action in _completed(parser):
        action.complete = {  # type: ignore[attr-defined]
            "bash": f"_tlbsim_{kind}",
            "zsh": f"_tlbsim_{kind}",
            "tcsh": " ".join(_names(kind)),
        }
    preamble = {"bash": _functions(_BASH), "zsh": _functions(_ZSH)}.get(args.shell, "")
    return 0, f"{shtab.complete(parser, args.shell, preamble=preamble)}\n"


def _completed(parser: ArgumentParser, command: str = "") -> Iterator[tuple[str, Action]]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to its options
        if isinstance(action, _SubParsersAction):
            for name, sub in action.choices.items():
                yield from _completed(sub, name)
            continue
        names: Sequence[str] = action.option_strings or ([command] if action.dest == "name" else [])
        for name in names:
            if name in _KINDS:
                yield _KINDS[name], action


def _functions(pattern: str) -> str:
    kinds = dict.fromkeys(_KINDS.values())
    return "\n".join(pattern.format(kind=kind, names=" ".join(_names(kind))) for kind in kinds)


def _names(kind: str) -> tuple[str, ...]:
    from simulator.kernel import kernels, mutants, proposals
    from simulator.machine import machines, noises
    from simulator.studies import studies

    return {
        "machines": machines(),
        "kernels": (*kernels(), *proposals(), *mutants()),
        "noises": noises(),
        "studies": tuple(studies()),
    }[kind]
