# SPDX-License-Identifier: MIT
"""
The command line
----------------

``tlbsim COMMAND``, a module for each command.  A command returns the text for
standard output and writes nothing itself, so that wrong input leaves standard
output empty: one line on standard error, exit status 2.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from simulator import __version__
from simulator.cli import compare, kernels, machines, run
from simulator.cli.output import complain
from simulator.cli.parser import Parser
from simulator.errors import InputError

__all__ = ("main",)

_COMMANDS = (machines, kernels, run, compare)

_WRONG_INPUT = 2
# As the shell reports the signals: 128 + SIGINT, 128 + SIGPIPE.
_INTERRUPTED = 130
_NO_READER = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command of tlbsim and return its exit status."""
    try:
        try:
            args = _parser().parse(sys.argv[1:] if argv is None else argv)
        except SystemExit:
            # --help and --version, which argparse has printed.
            return _write(0, "")
        status, text = args.run(args)
        return _write(status, text)
    except InputError as error:
        complain(str(error))
        return _WRONG_INPUT
    except KeyboardInterrupt:
        complain("interrupted")
        return _INTERRUPTED


def _parser() -> Parser:
    parser = Parser(
        prog="tlbsim",
        description="Simulate TLB shootdowns in Linux memory management.",
        epilog="example:\n  tlbsim run --machine laptop-8 --kernel v6.6 --pages 64",
    )
    parser.add_argument("--version", action="version", version=f"tlbsim {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for command in _COMMANDS:
        sub = commands.add_parser(
            command.NAME,
            help=command.HELP,
            description=command.HELP,
            epilog=f"example:\n  {command.EXAMPLE}",
        )
        command.configure(sub)
        sub.set_defaults(run=command.run, parser=sub)
    return parser


def _write(status: int, text: str) -> int:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has seen enough. Python flushes once more at exit: let it go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NO_READER
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise InputError(f"standard output: {error.strerror}") from None
    return status
