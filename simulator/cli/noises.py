# SPDX-License-Identifier: MIT
"""
``tlbsim noises``: what the other CPUs do
-----------------------------------------
"""

from __future__ import annotations

import dataclasses
from argparse import ArgumentParser, Namespace

from simulator.cli.output import json_text

__all__ = ("EXAMPLE", "HELP", "NAME", "configure", "run")

NAME = "noises"
HELP = "List the noises, or print one: each key, its meaning and source, and its effect."
EXAMPLE = "tlbsim noises busy --machine laptop-8"


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="a preset, or a TOML file")
    parser.add_argument("--machine", metavar="NAME", help="say what it means on this machine")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: Namespace) -> tuple[int, str]:
    """Return the exit status and what to print."""
    from simulator.errors import InputError
    from simulator.machine import load_machine, load_noise, noises
    from simulator.machine.noise import NOISE_KEYS
    from simulator.report.preset_text import describe_noise

    if args.name is None and args.machine is not None:
        raise InputError(f"machine: is for one noise; name one of {', '.join(noises())}")
    machine = None if args.machine is None else load_machine(args.machine)
    if args.name is not None:
        noise = load_noise(args.name)
        if not args.json:
            return 0, describe_noise(noise, machine) + "\n"
        keys = {name: dataclasses.asdict(key) for name, key in NOISE_KEYS.items()}
        return 0, json_text(noise.model_dump(mode="json") | {"keys": keys})
    found = [load_noise(name) for name in noises()]
    if args.json:
        return 0, json_text([noise.model_dump(mode="json") for noise in found])
    from simulator.report.text import format_table, wrapped

    names = [name for name, key in NOISE_KEYS.items() if not key.default]
    rows = [(n.name, *(f"{100 * getattr(n, name):g} %" for name in names)) for n in found]
    table = format_table(rows, ("noise", *names))
    others = ", ".join(name for name in NOISE_KEYS if name not in names)
    further = wrapped(
        f"Not set in any of them: {others}. A noise of one's own: --noise preset=busy,KEY=VALUE"
        " or --set noise.KEY=VALUE, or a TOML file with such keys."
    )
    return 0, f"{table}\n\n{further}\n"
