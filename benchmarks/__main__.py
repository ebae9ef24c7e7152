# SPDX-License-Identifier: MIT
"""
``python -m benchmarks``
------------------------

Checks that all implementations agree, measures them, prints tables and saves the
figures as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.against import RevisionError, against
from benchmarks.host import describe
from benchmarks.sections import IMPLEMENTATIONS, SECTIONS, Plan, Section, Target
from benchmarks.table import table
from benchmarks.timing import DisagreementError


def main() -> int:
    """Run and return the exit status: 1 if implementations disagree."""
    arguments = _parser().parse_args()
    names = arguments.only or [name for name in SECTIONS if name != "full" or arguments.full]
    sections: dict[str, Callable[[Plan], Section]] = {name: SECTIONS[name] for name in names}
    if arguments.against is not None:
        sections = {"against": lambda plan: against(plan, arguments.against)}
    host = describe()
    for name, value in host.items():
        print(f"{name:<10}{value}"[:78])
    ready = []
    for one in IMPLEMENTATIONS:
        missing = one.missing()
        if missing:
            print(f"left out: {one.name}: {missing}")
        else:
            ready.append(one)
    print()
    plan = Plan(
        implementations=tuple(ready),
        rounds=3 if arguments.quick else 7,
        effort=0.25 if arguments.quick else 1.0,
        quick=arguments.quick,
    )
    figures = {}
    targets: list[Target] = []
    for name, measure in sections.items():
        try:
            section = measure(plan)
        except (DisagreementError, RevisionError) as error:
            print(f"benchmarks: {error}", file=sys.stderr)
            return 1
        print(section.text, flush=True)
        figures[name] = section.figures
        targets += section.targets
    if targets:
        rows = [target.row() for target in targets]
        print(table("Targets", ("", "target", "measured", ""), rows))
    _save(arguments.out, host, figures, targets)
    return 0


def _save(folder: Path, host: dict[str, str], figures: object, targets: list[Target]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "benchmarks.json"
    content = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": host,
        "sections": figures,
        "targets": [[*target.row()[:3], target.met] for target in targets],
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"saved: {path}")


def _names(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in SECTIONS:
            raise argparse.ArgumentTypeError(f"{name!r}; known: {', '.join(SECTIONS)}")
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything, a minute or so")
    parser.add_argument("--full", action="store_true", help="also the full published job")
    parser.add_argument("--only", type=_names, metavar="NAME,..", help=f"of {', '.join(SECTIONS)}")
    parser.add_argument(
        "--against", metavar="REV", help="only: this tree against a revision, 4 to 8 minutes"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("out/benchmarks"), help="folder (%(default)s)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
