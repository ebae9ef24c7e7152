# SPDX-License-Identifier: MIT
"""
Formats
-------

A module for each shape in which numbers go to a list, a tracker or a program.  Each
has ``render(material)``, which returns the whole report with what has to stand beside
any number of it (:mod:`simulator.report.formats.material`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Final

from simulator.errors import InputError, nearest
from simulator.report.formats.material import Material

__all__ = ("FORMATS", "Material", "render")

#: What each format is for, by name.
FORMATS: Final = {
    "table": "one line a metric: before, after, change",
    "lkp": "as the kernel test robot reports",
    "mmtests": "as mmtests' compare-kernels reports",
    "cover-letter": "as a series' cover letter reports times",
    "bpftrace": "histograms of latencies",
    "markdown": "for a tracker",
    "csv": "rows for a program, facts as # comments",
    "json": "rows for a program, with the facts",
    "html": "one self-contained page with plots",
}
_MODULES: Final = {
    "cover-letter": "cover_letter",
    "csv": "csv_rows",
    "json": "json_rows",
    "html": "html_page",
}


def render(name: str, material: Material) -> str:
    """
    Return a report in a format.

    >>> render("lpk", None)
    Traceback (most recent call last):
      ...
    simulator.errors.InputError: format: unknown 'lpk' (did you mean 'lkp'?)
    """
    if name not in FORMATS:
        raise InputError(f"format: unknown {name!r}{nearest(name, FORMATS)}")
    module = importlib.import_module(f"{__name__}.{_MODULES.get(name, name)}")
    found: Callable[[Material], str] = module.render
    return found(material)
