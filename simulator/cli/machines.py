# SPDX-License-Identifier: MIT
"""
``tlbsim machines``: the machine profiles
-----------------------------------------
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from simulator.cli.output import json_text

if TYPE_CHECKING:
    from simulator.machine import Machine

__all__ = ("EXAMPLE", "HELP", "NAME", "configure", "run")

NAME = "machines"
HELP = "List the machines, or print one with the source of every value."
EXAMPLE = "tlbsim machines laptop-8"


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="a profile, or a TOML file")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: Namespace) -> tuple[int, str]:
    """Return the exit status and what to print."""
    from simulator.machine import load_machine, machines
    from simulator.report.machine_text import describe

    if args.name is not None:
        machine = load_machine(args.name)
        if args.json:
            return 0, json_text(machine.model_dump(mode="json"))
        return 0, describe(machine) + "\n"
    found = [_summary(load_machine(name)) for name in machines()]
    if args.json:
        return 0, json_text(found)
    return 0, _table(found) + "\n"


def _table(found: list[dict[str, Any]]) -> str:
    from simulator.report.text import format_table

    rows: list[tuple[str, ...]] = []
    for m in found:
        memory = f"{m['memory_bytes'] >> 30} GB"
        flushes = _flushes_text(m["flushes"])
        rows.append((m["name"], m["isa"], str(m["nr_cpus"]), str(m["nr_nodes"]), memory, flushes))
        rows.append((f"  {m['title']}",))
    header = ("machine", "arch", "CPUs", "nodes", "memory", "flushes by")
    return format_table(rows, header, align="llrrrl")


def _flushes_text(flushes: dict[str, str]) -> str:
    return ", ".join(
        f"{name} ({seat})" if seat == "user mms" else name for name, seat in flushes.items()
    )


def _summary(machine: Machine) -> dict[str, Any]:
    node_bytes = int(machine.memory.node_memory.exact_bytes)
    return {
        "name": machine.name,
        "title": machine.title,
        "nr_cpus": machine.nr_cpus,
        "nr_nodes": machine.nr_nodes,
        "memory_bytes": node_bytes * machine.nr_nodes,
        "virtual": machine.virtual,
        "isa": machine.isa,
        "ipi_mode": machine.ipi.mode.value,
        "flushes": machine.flushes,
    }
