# SPDX-License-Identifier: MIT
"""
The host
--------

What a time depends on, and what a child process takes: its memory and time.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

from benchmarks.native import compiler_version

__all__ = ("child", "describe", "peak_bytes")

_ROOT = Path(__file__).resolve().parent.parent


def describe() -> dict[str, str]:
    """Return the machine and the versions of what was measured."""
    return {
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: _version(name) for name in ("numba", "numpy", "simpy", "salabim")},
        "compiler": compiler_version(),
        "commit": _commit(),
    }


def peak_bytes() -> int:
    """Return the most memory that this process has had resident so far."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage() counts what the process had before exec(), which is its parent's.
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def child(*arguments: str) -> dict[str, float]:
    """Run :mod:`benchmarks.child`; return wall time, CPU time and peak memory."""
    command = [sys.executable, "-m", "benchmarks.child", *arguments]
    begin_s = time.perf_counter()
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    wall_s = time.perf_counter() - begin_s
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return {"wall_s": wall_s, **json.loads(done.stdout.splitlines()[-1])}


def _cpu_model() -> str:
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                family = _field(path, "cpu family"), _field(path, "model")
                return f"{value.strip()} (family {family[0]}, model {family[1]})"
    return platform.processor() or "unknown"


def _field(path: Path, wanted: str) -> str:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == wanted:
            return value.strip()
    return "?"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    if shutil.which("git") is None:
        return "unknown"
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    found = subprocess.run([*command, "--match="], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"
