# SPDX-License-Identifier: MIT
"""
Which tlbsim this is, and what it runs on
-----------------------------------------
"""

from __future__ import annotations

import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

__all__ = ("commit", "package_versions")

_PACKAGES = ("simpy", "numpy", "pandas", "scipy", "pydantic", "matplotlib")


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that results depend on."""
    return dict(_package_versions())


@cache
def _package_versions() -> tuple[tuple[str, str], ...]:
    return tuple((name, metadata.version(name)) for name in _PACKAGES)


# Once: what is loaded stays as it is, whatever becomes of the checkout.
@cache
def commit() -> str | None:
    """Return the commit of a checkout; None of an installed package, which has none."""
    here = Path(__file__).resolve().parent
    if not (here.parent / ".git").exists():
        return None
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12", "--match="]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None
