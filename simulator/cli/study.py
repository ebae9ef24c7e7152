# SPDX-License-Identifier: MIT
"""
``tlbsim study``: one question, its table and its plots
-------------------------------------------------------

Without a name, the studies.  The options of a study are its own: what follows its name is
parsed once the study is known, so that no other is loaded.
"""

from __future__ import annotations

import inspect
import shlex
import sys
from argparse import REMAINDER, ArgumentParser, Namespace
from contextlib import redirect_stdout
from io import StringIO

from simulator.cli.output import json_text
from simulator.cli.parser import Parser
from simulator.cli.script import add_study_options, run_study, study_of
from simulator.studies import Study, load_study, studies

__all__ = ("EXAMPLE", "HELP", "NAME", "configure", "run")

NAME = "study"
HELP = "List the studies, or run one: a question, its table and its plots."
EXAMPLE = "tlbsim study noise --quick --machine laptop-8 --out /tmp/noise"


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("name", metavar="NAME", nargs="?", help="a study")
    parser.add_argument(
        "options", metavar="OPTIONS", nargs=REMAINDER, help="its own; see tlbsim study NAME --help"
    )


def run(args: Namespace) -> tuple[int, str]:
    """Return the exit status and what to print."""
    if args.name is None:
        return 0, _listed(args.json)
    study = load_study(args.name)
    helped = StringIO()
    try:
        with redirect_stdout(helped):
            of_study = _parser(study).parse(args.options)
    except SystemExit:
        return 0, helped.getvalue()
    command = shlex.join(["tlbsim", "study", args.name, *args.options])
    status, found = run_study(
        study_of(study, of_study), of_study.out, command, strict=of_study.strict
    )
    if args.json or of_study.json:
        return status, json_text(found.rows())
    return status, found.text(command)


def _listed(as_json: bool) -> str:
    found = [load_study(name) for name in studies()]
    if as_json:
        return json_text([{"name": study.NAME, "question": study.QUESTION} for study in found])
    from simulator.report.text import format_table

    rows = [(study.NAME, study.QUESTION) for study in found]
    return f"{format_table(rows, ('study', 'question'), align='ll')}\n"


# What the study's module says of itself is its help.
def _parser(study: type[Study]) -> Parser:
    parser = Parser(
        prog=f"tlbsim study {study.NAME}",
        description=inspect.getdoc(sys.modules[study.__module__]),
        epilog=f"example:\n  tlbsim study {study.NAME} --quick",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, an object per row")
    parser.add_argument(
        "--traceback", action="store_true", help="show errors in kernel code in full"
    )
    add_study_options(parser, study)
    return parser
