# SPDX-License-Identifier: MIT
"""
The machine, as its own kernel describes it
-------------------------------------------

CPUs, sockets, NUMA nodes, memory and idle states from ``/proc`` and ``/sys``.

Modelled: CPUs that are online, as so many sockets of so many cores of so many
threads; a machine that is no such product is taken as one socket of cores.

Not modelled: caches of different sizes; which sockets are two hops apart.

Sources: Documentation/ABI/stable/sysfs-devices-system-cpu and
sysfs-devices-node; Documentation/admin-guide/pm/cpuidle.rst.
"""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ("Host", "IdleStateOf", "cpu_list", "read_host")


@dataclass(frozen=True)
class IdleStateOf:
    """An idle state with what the driver says of it, in microseconds."""

    name: str
    exit_us: int
    residency_us: int


@dataclass(frozen=True)
class Host:
    """What the kernel says about the machine that it runs on."""

    release: str
    arch: str
    cpu_model: str
    clocksource: str
    virtual: bool
    has_invlpgb: bool
    cpus: tuple[int, ...]
    sockets: int
    cores_per_socket: int
    threads_per_core: int
    siblings_adjacent: bool
    nodes: int
    node_kib: int
    cache_kib: int  # the largest cache of a CPU, 0 if unknown
    cache_cpus: int  # CPUs that share it, 0 if unknown
    idle_states: tuple[IdleStateOf, ...]
    regular: bool  # sockets x cores x threads is the number of CPUs

    def distance(self, one: int, other: int) -> str:
        """Return how far two CPUs are apart, as a profile names it: by their numbers."""
        index, there = self.cpus.index(one), self.cpus.index(other)
        per_socket = self.cores_per_socket * self.threads_per_core
        if self.siblings_adjacent:
            core = [i // self.threads_per_core for i in (index, there)]
            socket = [i // per_socket for i in (index, there)]
        else:
            cores = self.sockets * self.cores_per_socket
            core = [i % cores for i in (index, there)]
            socket = [i // self.cores_per_socket for i in core]
        if core[0] == core[1]:
            return "core"
        return "socket" if socket[0] == socket[1] else "hop1"


def read_host(root: Path = Path("/")) -> Host:
    """Return the description; what cannot be read is taken as one of everything."""
    cpu_dir = root / "sys/devices/system/cpu"
    cpus = cpu_list(_text(cpu_dir / "online")) or (0,)
    info = _text(root / "proc/cpuinfo")
    flags = set((_field(info, "flags") or "").split())
    places = [
        (
            _number(cpu_dir / f"cpu{cpu}/topology/physical_package_id"),
            _number(cpu_dir / f"cpu{cpu}/topology/core_id"),
        )
        for cpu in cpus
    ]
    sockets = len({socket for socket, _ in places})
    cores = len(set(places))
    regular = cores % sockets == 0 and len(cpus) % cores == 0
    if not regular:
        sockets, cores = 1, len(cpus)
    siblings = cpu_list(_text(cpu_dir / f"cpu{cpus[0]}/topology/thread_siblings_list"))
    node_dirs = sorted((root / "sys/devices/system/node").glob("node[0-9]*"))
    nodes = len(node_dirs) or 1
    if nodes % sockets and sockets % nodes:
        nodes = sockets
    cache_kib, cache_cpus = _last_level_cache(cpu_dir / f"cpu{cpus[0]}/cache")
    return Host(
        release=_text(root / "proc/sys/kernel/osrelease").strip() or platform.release(),
        arch=platform.machine(),
        cpu_model=_field(info, "model name") or "unknown",
        clocksource=_text(
            root / "sys/devices/system/clocksource/clocksource0/current_clocksource"
        ).strip(),
        virtual="hypervisor" in flags,
        has_invlpgb="invlpgb" in flags,
        cpus=cpus,
        sockets=sockets,
        cores_per_socket=cores // sockets,
        threads_per_core=len(cpus) // cores,
        siblings_adjacent=len(siblings) > 1 and siblings[1] == siblings[0] + 1,
        nodes=nodes,
        node_kib=_memory_kib(root, node_dirs) or 1 << 20,
        cache_kib=cache_kib,
        cache_cpus=cache_cpus,
        idle_states=_idle_states(cpu_dir / f"cpu{cpus[0]}/cpuidle"),
        regular=regular,
    )


def cpu_list(text: str) -> tuple[int, ...]:
    """
    Return the numbers in a list as the kernel writes it.

    >>> cpu_list("0-2,8,10-11")
    (0, 1, 2, 8, 10, 11)
    """
    found: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit():
            found += range(int(first), int(last or first) + 1)
    return tuple(found)


def _memory_kib(root: Path, node_dirs: list[Path]) -> int:
    sizes = [
        int(match[1])
        for node in node_dirs
        if (match := re.search(r"MemTotal:\s+(\d+) kB", _text(node / "meminfo")))
    ]
    if sizes:
        return min(sizes)
    match = re.search(r"MemTotal:\s+(\d+) kB", _text(root / "proc/meminfo"))
    return int(match[1]) if match else 0


# How large the largest cache is, in KiB, and how many CPUs share it.
def _last_level_cache(folder: Path) -> tuple[int, int]:
    caches = [
        (int(size[:-1]), len(cpu_list(_text(index / "shared_cpu_list"))))
        for index in folder.glob("index[0-9]*")
        if re.fullmatch(r"[0-9]+K", size := _text(index / "size").strip())
    ]
    return max(caches, default=(0, 0))


def _idle_states(folder: Path) -> tuple[IdleStateOf, ...]:
    states = []
    for state in sorted(folder.glob("state[0-9]*"), key=lambda path: int(path.name[5:])):
        name = _text(state / "name").strip()
        if name and _text(state / "disable").strip() in ("", "0"):
            latency, residency = (_number(state / part) for part in ("latency", "residency"))
            states.append(IdleStateOf(name, max(latency, 0), max(residency, 0)))
    # A profile wants them by residency, and each name once.
    by_name = {state.name: state for state in states}
    return tuple(sorted(by_name.values(), key=lambda state: state.residency_us))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _number(path: Path) -> int:
    text = _text(path).strip()
    return int(text) if re.fullmatch(r"-?[0-9]+", text) else 0


def _field(info: str, name: str) -> str:
    match = re.search(rf"^{name}\s*: (.*)$", info, re.MULTILINE)
    return match[1].strip() if match else ""
