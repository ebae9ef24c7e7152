# SPDX-License-Identifier: MIT
"""
What every script does
----------------------

Options, folder, progress, text, status: of the scripts in ``scenarios/`` and of ``tlbsim
study``.  What is asked, simulated and found is the study's.
"""

from __future__ import annotations

import shlex
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.cli.output import STRICT, complain, whole_files
from simulator.cli.parser import Parser
from simulator.cli.process import FAILED, INTERRUPTED, exit_status
from simulator.inputs import number
from simulator.studies import Findings, Study, options_of

if TYPE_CHECKING:
    from simulator.studies import Option

__all__ = ("add_study_options", "run_script", "run_study", "script_status", "study_of")

_OUT = "out"


def script_status(study: type[Study], question: str | None, file: str) -> int:
    """
    Run a script in ``scenarios/`` and return its exit status.

    :param question: its docstring, which its help shows.
    :param file: where it is.
    """
    return exit_status(lambda: run_script(study, question, file, sys.argv[1:]))


def run_script(
    study: type[Study], question: str | None, file: str, argv: Sequence[str]
) -> tuple[int, str]:
    """Run a script and return the exit status and the report."""
    parser = Parser(description=question)
    add_study_options(parser, study)
    args = parser.parse(argv)
    command = shlex.join(["python", f"scenarios/{Path(file).name}", *argv])
    status, found = run_study(study_of(study, args), args.out, command, strict=args.strict)
    return status, found.text(command)


def add_study_options(parser: ArgumentParser, study: type[Study]) -> None:
    """Add the options of a study, and the folder for what it draws and writes."""
    for each in options_of(study):
        _add(parser, each)
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=_OUT, help=f"for plots, text (default {_OUT})"
    )
    parser.add_argument("--strict", action="store_true", help=STRICT)


def _add(parser: ArgumentParser, each: Option) -> None:
    flag = f"--{each.name.replace('_', '-')}"
    option = parser.add_argument
    match each.kind:
        case "flag":
            option(flag, action="store_true", help=each.help)
        case "names":
            option(flag, metavar=each.metavar, action="append", default=[], help=each.help)
        case "number":
            option(flag, metavar=each.metavar, type=number, default=each.default, help=each.help)
        case "name":
            option(flag, metavar=each.metavar, default=each.default, help=each.help)


def study_of(study: type[Study], args: Namespace) -> Study:
    """Return the study that the options ask for."""
    values = {
        each.name: tuple(getattr(args, each.name))
        if each.kind == "names"
        else getattr(args, each.name)
        for each in options_of(study)
    }
    return study(**values)


def run_study(
    study: Study, out: Path, command: str, *, strict: bool = False
) -> tuple[int, Findings]:
    """
    Run a study, save its plots and its report in a folder, and return status and findings.

    The status is 1 if ``strict`` and something was unsafe.

    Wrong input ends before anything is simulated or written; after an interrupt, what was
    finished is reported.
    """
    from tqdm import tqdm

    total = len(study.scenarios())
    status = 0
    with whole_files(out) as folder, tqdm(total=total, leave=False, disable=None) as bar:
        found = study.run(bar.update)
        if found.interrupted or not _drawn(found, folder):
            complain("interrupted; what was finished is reported")
            status = INTERRUPTED
        else:
            found.write(folder, command)
        (folder / study.REPORT).write_text(found.text(command), encoding="utf-8")
    if strict and found.unsafe:
        status = status or FAILED
    return status, found


# Whether all plots were; a user who has waited for the numbers need not for the plots.
def _drawn(found: Findings, folder: Path) -> bool:
    from simulator.report.plots import save

    try:
        for name, figure in found.figures():
            save(figure, folder / f"{name}.png")
    except KeyboardInterrupt:
        return False
    return True
