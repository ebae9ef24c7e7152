# SPDX-License-Identifier: MIT
"""The scripts of studies, run as their users do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from simulator.cli import script

FOLDER = Path(__file__).parents[2] / "scenarios"


def run_script(study, *argv):
    """Run the script of a study in this process; return exit status and report."""
    return script.run_script(study, "question", f"{study.NAME}.py", argv)


def run_process(name, *argv, cwd):
    """Run the script of a study in a folder of its own, with next to no environment."""
    names = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH")
    env = {name: os.environ[name] for name in names if name in os.environ}
    # matplotlib writes its font cache once, for all of these runs.
    env |= {"HOME": os.environ.get("HOME", str(cwd)), "LC_ALL": "C"}
    command = [sys.executable, str(FOLDER / f"{name}.py"), *map(str, argv)]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
