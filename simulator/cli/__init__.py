# SPDX-License-Identifier: MIT
"""
The command line
----------------

``tlbsim COMMAND``, a module for each command.  A command returns the text for
standard output and writes nothing itself, so that wrong input leaves standard
output empty: one line on standard error, exit status 2.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from simulator import __version__
from simulator.cli import (
    calibrate,
    compare,
    kernels,
    litmus,
    machines,
    noises,
    run,
    sweep,
    trace,
    validate,
)
from simulator.cli.parser import Parser
from simulator.cli.process import exit_status

__all__ = ("main",)

_COMMANDS = (machines, kernels, noises, run, compare, sweep, trace, validate, calibrate, litmus)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command of tlbsim and return its exit status."""

    def command() -> tuple[int, str]:
        args = _parser().parse(sys.argv[1:] if argv is None else argv)
        status, text = args.run(args)
        return status, text

    return exit_status(command)


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
