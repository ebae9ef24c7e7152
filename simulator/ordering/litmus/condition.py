# SPDX-License-Identifier: MIT
r"""
Conditions on final states
--------------------------

As litmus tests write them: ``1:r0=1 && x=2`` or ``(1:X7=1 /\ ~fault(P1:L0,x))``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from simulator.errors import InputError

__all__ = ("Condition", "condition", "names")

Condition = Callable[[Mapping[str, Any]], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<op>&&|/\\|\|\||\\/|~|!(?!=)|\(|\))"
    r"|fault\(P(?P<cpu>\d+):(?P<label>\w+),\w+\)"
    r"|(?P<name>\d+:\w+|\[?[A-Za-z_]\w*\]?)\s*(?P<is>!?=)\s*(?P<value>-?\d+))"
)


def condition(text: str) -> Condition:
    """
    Return a function that tells whether a final state meets a condition.

    >>> condition("0:r0=1 && !(x=2 || x=3)")({"0:r0": 1, "x": 0})
    True

    Raises InputError for what it cannot read.
    """
    tokens: list[re.Match[str]] = []
    at = 0
    while text[at:].strip():
        token = _TOKEN.match(text, at)
        if token is None:
            raise InputError(f"cannot read {text[at:].strip()!r} in condition {text!r}")
        tokens.append(token)
        at = token.end()
    parser = _Parser(text, tokens)
    found = parser.either()
    if parser.left:
        raise InputError(f"cannot read {parser.left[0][0].strip()!r} in condition {text!r}")
    return found


class _Parser:
    def __init__(self, text: str, tokens: list[re.Match[str]]) -> None:
        self.text = text
        self.left = tokens

    def _takes(self, *operators: str) -> bool:
        if self.left and self.left[0]["op"] in operators:
            self.left = self.left[1:]
            return True
        return False

    def either(self) -> Condition:
        parts = [self._both()]
        while self._takes("||", "\\/"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else lambda final: any(p(final) for p in parts)

    def _both(self) -> Condition:
        parts = [self._one()]
        while self._takes("&&", "/\\"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda final: all(p(final) for p in parts)

    def _one(self) -> Condition:
        if self._takes("~", "!"):
            inner = self._one()
            return lambda final: not inner(final)
        if self._takes("("):
            inner = self.either()
            if not self._takes(")"):
                raise InputError(f"a parenthesis is not closed in condition {self.text!r}")
            return inner
        if not self.left or self.left[0]["op"]:
            raise InputError(f"a term is missing in condition {self.text!r}")
        token, self.left = self.left[0], self.left[1:]
        if token["cpu"] is not None:
            fault = f"fault:{token['cpu']}:{token['label']}"
            return lambda final: bool(final.get(fault))
        name, value, equal = token["name"].strip("[]"), int(token["value"]), token["is"] == "="
        # What nothing wrote is 0, as everything is at first.
        return lambda final: (final.get(name, 0) == value) == equal


def names(text: str) -> list[str]:
    """Return the registers and locations that a condition names."""
    return [m["name"].strip("[]") for m in _TOKEN.finditer(text) if m["name"]]
