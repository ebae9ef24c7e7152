# SPDX-License-Identifier: MIT
"""
argparse, with errors of one line
---------------------------------

What argparse finds wrong becomes an :class:`InputError`, with the nearest
option or choice where there is one.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from typing import Any, NoReturn

from simulator.errors import InputError, nearest

__all__ = ("Parser",)


#: As wide as what simulator.report prints, which would load pandas to say so.
WIDTH = 72


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=WIDTH)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        # A single line is prose; what has several was laid out by hand.
        if "\n" not in text.strip():
            return textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent)
        return super()._fill_text(text, width, indent)


class _Once(argparse.Action):
    # Of two values one would be dropped without a word.

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if option_string is not None:
            given = vars(namespace).setdefault("given", set())
            if self.dest in given:
                parser.error(f"{option_string} is there twice; give it once")
            given.add(self.dest)
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """A parser that raises :class:`InputError` and takes no abbreviations."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", _Help)
        super().__init__(allow_abbrev=False, **options)
        self.register("action", None, _Once)

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Return the arguments; whatever is left over is an error."""
        args, extra = self.parse_known_args(argv)
        if extra:
            # The parser of the command, where there are commands.
            getattr(args, "parser", self).unexpected(extra[0])
        return args

    def unexpected(self, argument: str) -> NoReturn:
        """Raise InputError for an argument that no option takes."""
        name = argument.split("=", maxsplit=1)[0]
        if name.startswith("-"):
            # All options begin with the same dashes, which make none of them likely.
            hint = nearest(name, self._option_string_actions, cutoff=0.6)
            raise InputError(f"unknown option {name!r}{hint}; see {self.prog} --help")
        raise InputError(f"unexpected argument {argument!r}; see {self.prog} --help")

    def error(self, message: str) -> NoReturn:
        """Raise InputError."""
        raise InputError(f"{' '.join(message.split())}; see {self.prog} --help")

    # argparse lists the choices; we also name the nearest.
    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            name = "/".join(action.option_strings) or str(action.metavar or action.dest).lower()
            choices = [str(choice) for choice in action.choices]
            hint = nearest(str(value), choices)
            raise InputError(f"{name}: {value!r} is not one of {', '.join(choices)}{hint}")
