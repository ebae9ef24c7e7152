# SPDX-License-Identifier: MIT
"""
What every study is
-------------------

A :class:`Study` is one question.  Its options are its fields, so that a script, ``tlbsim
study`` and a notebook ask in the same words::

    from simulator.studies.noise import Noise

    found = Noise(machine="laptop-8", pages=64).run()
    print(found.text())

:meth:`Study.scenarios` is what it simulates, :meth:`Study.run` simulates it and returns
:class:`Findings`: its numbers, as rows of plain values, its text and its plots.

A folder for each study holds ``__init__.py`` (options, scenarios), ``text.py``,
``plot.py`` and, where numbers have to be made from the frames first, ``numbers.py``.
What two studies need is in :mod:`simulator.analysis` or :mod:`simulator.report`.
"""

from __future__ import annotations

import dataclasses
import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from simulator.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulator.scenario import Scenario

__all__ = ("Findings", "Option", "Progress", "Study", "checked", "option", "options_of")

#: What is called after every simulation.
Progress = Callable[[], object]
Kind = Literal["name", "names", "number", "flag"]


@dataclass(frozen=True)
class Option:
    """
    A field of a study as an option of a command.

    Of the kind ``names`` may be given several times; a ``flag`` takes no value.
    """

    name: str
    kind: Kind
    default: Any
    help: str
    metavar: str


def option(kind: Kind, default: Any, text: str, metavar: str = "") -> Any:
    """Return a field of a study that is an option, and what its help says."""
    shown = metavar or {"number": "N", "flag": ""}.get(kind, "NAME")
    metadata = {"kind": kind, "help": text, "metavar": shown}
    return dataclasses.field(default=default, metadata=metadata)


def checked(name: str, value: int, least: int, most: int) -> int:
    """Return a number that a study was given; InputError unless it is whole and in range."""
    # The fields of a scenario load pydantic.
    from simulator.fields import Between

    try:
        Between(least, most)(value)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    return value


def options_of(study: type[Study]) -> tuple[Option, ...]:
    """
    Return the options of a study in the order of its fields.

    >>> from simulator.studies.hvo_2021 import Hvo2021
    >>> [(o.name, o.kind, o.default) for o in options_of(Hvo2021)]
    [('seed', 'number', 1), ('quick', 'flag', False)]
    """
    return tuple(
        Option(field.name, default=field.default, **field.metadata)
        for field in dataclasses.fields(study)
    )


@dataclass(frozen=True, kw_only=True)
class Study(ABC):
    """
    One question; the fields are its options.

    ``NAME`` is what commands and files call it, ``QUESTION`` is a line, ``REPORT`` the
    name of the file with its text.  Wrong options raise InputError, here or, where only a
    scenario can tell, in :meth:`scenarios`.
    """

    NAME: ClassVar[str]
    QUESTION: ClassVar[str]
    REPORT: ClassVar[str]

    @abstractmethod
    def scenarios(self) -> Sequence[Scenario]:
        """Return every scenario that is simulated, in this order."""

    @abstractmethod
    def run(self, progress: Progress | None = None) -> Findings:
        """Simulate the scenarios and return what was found."""

    @property
    def command(self) -> str:
        """
        The command that finds the same again.

        >>> from simulator.studies.noise import Noise
        >>> Noise(machine="laptop-8", quick=True).command
        'tlbsim study noise --machine laptop-8 --quick'
        """
        words = ["tlbsim", "study", self.NAME]
        for each in options_of(type(self)):
            value = getattr(self, each.name)
            if value == each.default:
                continue
            flag = f"--{each.name.replace('_', '-')}"
            if each.kind == "flag":
                words.append(flag)
            else:
                values = value if each.kind == "names" else [value]
                words += [word for one in values for word in (flag, str(one))]
        return shlex.join(words)


@dataclass(frozen=True, kw_only=True, eq=False)
class Findings(ABC):
    """
    What a study found.

    ``interrupted`` findings hold what was finished, and have no figures.
    """

    study: Study
    interrupted: bool = False

    @abstractmethod
    def rows(self) -> list[dict[str, Any]]:
        """Return the numbers, a mapping of plain values for each row: for JSON, for a frame."""

    @property
    @abstractmethod
    def unsafe(self) -> bool:
        """Whether a run of the study broke what must hold."""

    @abstractmethod
    def text(self, command: str = "") -> str:
        """
        Return the report, as plain text of at most 72 columns.

        :param command: what to type to get it again (default: that of the study).
        """

    def write(self, folder: Path, command: str) -> None:  # noqa: B027 - most have nothing else
        """Write whatever else there is into a folder; nothing, unless a study has more."""

    @abstractmethod
    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Yield the name of each plot and the plot."""
