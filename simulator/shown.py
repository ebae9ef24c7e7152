# SPDX-License-Identifier: MIT
"""
How results show themselves
---------------------------

In a notebook, what was simulated shows itself as a table, and offers its report and
its plots.  What draws and words them is above this in the order of the package, so it
is looked up by name when it is asked for, as :mod:`simulator` does with its own names.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.report.plots.accessor import Plots

__all__ = ("Shown", "Text", "own_names")


class Text(str):
    """A text that shows itself as it is, without quotes and escapes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Shown:
    """What shows itself, has a report and can be drawn."""

    def report(self, format: str = "table", *, every: bool = False) -> Text:  # noqa: A002
        """
        Return the report as text, with what has to stand beside any number of it.

        :param format: ``table``, ``lkp``, ``mmtests``, ``cover-letter``, ``bpftrace``,
            ``markdown``, ``csv``, ``json`` or ``html``.
        :param every: of a table, also the rows that are equal.
        """
        material = _from("simulator.experiment.material", "material_of")(self, every=every)
        return Text(_from("simulator.report.formats", "render")(format, material))

    @property
    def plot(self) -> Plots:
        """What can be drawn of it: ``plot.time()``, ``plot.victims()`` and so on."""
        material = _from("simulator.experiment.material", "material_of")(self)
        found: Plots = _from("simulator.report.plots.accessor", "Plots")(material.comparison)
        return found

    def _repr_html_(self) -> str:
        return str(_from("simulator.experiment.notebook", "html_of")(self))

    def __repr__(self) -> str:
        return str(_from("simulator.experiment.notebook", "text_of")(self))


def own_names(cls: type) -> list[str]:
    """
    Return the public names that a class has from this package, its fields first.

    >>> from simulator.scenario import Scenario
    >>> names = own_names(Scenario)
    >>> names[:2], "replace" in names, "model_dump" in names
    (['machine', 'kernel'], True, False)
    """
    names = [*getattr(cls, "model_fields", ())]
    for base in cls.__mro__:
        if base.__module__.split(".")[0] == "simulator":
            names += [name for name in vars(base) if not name.startswith(("_", "model_"))]
    return list(dict.fromkeys(names))


def _from(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)
