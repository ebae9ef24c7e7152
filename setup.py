# SPDX-License-Identifier: MIT
"""With TLBSIM_NATIVE in the environment, compile the twin of the kernel side (native/)."""

import os
import sys
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).resolve().parent

extensions = []
if os.environ.get("TLBSIM_NATIVE"):
    sys.path.insert(0, str(ROOT))
    from mypyc.build import mypycify

    from native.translate import TWIN, translate

    files = [str(path.relative_to(ROOT)) for path in translate(ROOT)]
    extensions = mypycify(
        ["--config-file=native/mypy.ini", *files],
        opt_level="2",
        debug_level="0",
        group_name=f"{TWIN}.compiled",
    )

setup(ext_modules=extensions)
