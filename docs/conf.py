# SPDX-License-Identifier: MIT
"""
How the documentation is built
------------------------------

``make docs``; warnings are errors, and nothing is fetched.  The pages under ``reference/``
are written by :mod:`reference` when a build begins, from the code itself.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import simulator  # noqa: E402 - found on the path above

# autodoc pretends to be a type checker while it imports, which pydantic cannot bear.
for module in pkgutil.walk_packages(simulator.__path__, "simulator."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)

project = "tlbsim"
author = "the tlbsim authors"
release = version = simulator.__version__
extensions = ["sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"tlbsim {release}"
# Without a year and an owner, the line would be a sign alone.
html_show_copyright = False
# Single backticks in docstrings are names.
default_role = "code"
# Of two classes of one name, a signature says the name alone: no link is worth a warning there.
suppress_warnings = ["ref.python"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# A name is documented where it is defined, and nowhere else.
autodoc_default_options = {"members": True, "ignore-module-all": True, "show-inheritance": True}


def setup(app: Sphinx) -> None:
    """Write the generated pages before they are read."""
    from reference import write_pages

    app.connect("builder-inited", lambda _app: write_pages(HERE / "reference"))
    app.connect("autodoc-skip-member", _is_of_pydantic)


# pydantic leaves Fact[int] and its like in the module of Fact, and its settings in each class.
def _is_of_pydantic(_app: Sphinx, _what: str, name: str, _obj: Any, *_: Any) -> bool | None:
    return True if "[" in name or name == "model_config" else None
