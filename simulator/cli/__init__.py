# SPDX-License-Identifier: MIT
"""
The command line
----------------

``tlbsim COMMAND``, a module for each command.  A command returns the text for
standard output and writes nothing itself, so that wrong input leaves standard
output empty: one line on standard error, exit status 2.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout

from simulator import __version__
from simulator.cli import (
    calibrate,
    compare,
    completion,
    export,
    kernels,
    litmus,
    machines,
    new,
    noises,
    plot,
    report,
    run,
    study,
    sweep,
    trace,
    validate,
)
from simulator.cli.parser import Parser
from simulator.cli.process import exit_status
from simulator.native import kind

__all__ = ("COMMANDS", "main", "main_parser")

#: Every command, in the order of the help.
COMMANDS = (
    machines,
    kernels,
    noises,
    new,
    run,
    compare,
    sweep,
    report,
    plot,
    export,
    study,
    trace,
    validate,
    calibrate,
    litmus,
    completion,
)

_START = """\
tlbsim simulates TLB shootdowns in Linux memory management.

Try first, it takes seconds:
  tlbsim run --machine laptop-8 --kernel v6.6 --pages 64
  tlbsim compare --kernel v6.6 --kernel v6.7 --pages 64

What there is:
  tlbsim machines       machines, each value with its source
  tlbsim kernels        kernel versions, and patches one by one
  tlbsim noises         what the other CPUs do meanwhile
  tlbsim new            a patch or a machine of your own, to start from
  tlbsim --help         all commands; tlbsim COMMAND --help its options
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command of tlbsim and return its exit status."""
    given = list(sys.argv[1:] if argv is None else argv)

    def command() -> tuple[int, str]:
        if not given:
            return 0, _START
        try:
            args = main_parser().parse(given)
            args.typed = shlex.join(["tlbsim", *given])
        except SystemExit:
            # --help and --version, which argparse has printed.
            return 0, ""
        # What a user's kernel prints is no part of a report, or of JSON.
        with redirect_stdout(sys.stderr):
            status, text = args.run(args)
        return status, text

    return exit_status(command, traceback="--traceback" in given)


class _Version(argparse.Action):
    # Which it is takes a look at its files, and so is found out when it is asked for.

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        sys.stdout.write(f"tlbsim {__version__} ({kind()})\n")
        parser.exit()


def main_parser() -> Parser:
    """Return the parser of the command line, with that of each command."""
    parser = Parser(
        prog="tlbsim",
        description="Simulate TLB shootdowns in Linux memory management.",
        epilog="example:\n  tlbsim run --machine laptop-8 --kernel v6.6 --pages 64",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for command in COMMANDS:
        sub = commands.add_parser(
            command.NAME,
            help=command.HELP,
            description=command.HELP,
            epilog=f"example:\n  {command.EXAMPLE}",
        )
        command.configure(sub)
        sub.add_argument(
            "--traceback", action="store_true", help="show errors in kernel code in full"
        )
        sub.set_defaults(run=command.run, parser=sub)
    return parser
