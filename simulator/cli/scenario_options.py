# SPDX-License-Identifier: MIT
"""
The fields of a scenario as options
-----------------------------------

Every field of :class:`simulator.scenario.Scenario` is an option.  Texts become
values here; whether a value is right is for the scenario to say.
"""

from __future__ import annotations

import re
from argparse import Action, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from simulator.errors import InputError, nearest
from simulator.inputs import number

if TYPE_CHECKING:
    from simulator.scenario import Scenario

__all__ = (
    "DEFAULT_PAGES",
    "PHASES_HELP",
    "VARIED",
    "add_option",
    "add_scenario_options",
    "faults_of",
    "noise_of",
    "pair_of",
    "is_of_machine",
    "scenario_of",
    "setting_of",
    "words_of",
)

# A first try should take seconds, so the command line asks for fewer pages than a scenario.
DEFAULT_PAGES = 256
PHASES_HELP = (
    "alloc,free,alloc,... (default alloc,free); also: write N, node0 write N, 1G write N,"
    " demote K, map N, unmap N, node0 mbind N node1, exit, boot N, hvo on|off; = for a blank,"
    " LABEL: before a phase"
)
_HEX = re.compile(r"0[xX][0-9a-fA-F]{1,16}")


def _on_off(text: str) -> bool:
    if text not in ("on", "off"):
        raise ArgumentTypeError(f"must be on or off, not {text!r}{nearest(text, ('on', 'off'))}")
    return text == "on"


def _number_or_all(text: str) -> object:
    return None if text == "all" else number(text)


def words_of(text: str) -> tuple[str, ...]:
    """Return the words between commas."""
    return tuple(text.split(","))


def _placement(text: str) -> object:
    if not text[:1].isdigit():
        return text
    return tuple(_pfn(part) for part in text.split(","))


def _pfn(text: str) -> object:
    return int(text, 16) if _HEX.fullmatch(text) else number(text)


def noise_of(text: str) -> object:
    """Return a noise: a name, a path, or a mapping of what differs."""
    if "=" not in text:
        return text
    found: dict[str, Any] = {}
    for part in text.split(","):
        key, value = pair_of("noise", part, "a preset or like preset=busy,idle_share=0.1")
        if key in found:
            raise InputError(f"noise: {key!r} is there twice")
        found[key] = value
    return found


def pair_of(field: str, text: str, form: str) -> tuple[str, Any]:
    """Return the two sides of ``KEY=VALUE``; InputError with its form if it is none."""
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise InputError(f"{field}: must be {form}, not {text!r}")
    return key, number(value)


# (field, converter, metavar, help). These may differ between the scenarios of a comparison.
VARIED: tuple[tuple[str, Callable[[str], object], str, str], ...] = (
    ("machine", str, "NAME", "a machine profile, or a TOML file (see: tlbsim machines)"),
    ("kernel", str, "NAME", "a kernel version, or a Python file (see: tlbsim kernels)"),
    ("pages", number, "N", f"huge pages asked for (default {DEFAULT_PAGES})"),
    ("page_size", str, "2M|1G", "their size (default 2M)"),
    ("hvo", _on_off, "on|off", "HugeTLB vmemmap optimisation (default on)"),
    ("path", str, "pool|boot|surplus", "who asks: nr_hugepages, the boot, overcommit faults"),
    ("allocators", number, "K", "tasks that allocate at the same time (default 1)"),
    ("cpus", _number_or_all, "N|all", "only the first N CPUs of the machine (default all)"),
    (
        "placement",
        _placement,
        "WHERE",
        "aligned, random, one-memory, pmds=S[,T,...], splits=S[/PAGES],..., or PFNs: 512,1024,...",
    ),
    ("free_pages", number, "N", "free base pages (default: more than needed)"),
    ("noise", str, "NOISE", "a preset, a TOML file, or KEY=VALUE,... (see: tlbsim noises)"),
)


def add_scenario_options(parser: ArgumentParser) -> None:
    """Add an option for every field."""
    group = parser.add_argument_group("scenario")
    for field, convert, metavar, text in VARIED:
        add_option(group.add_argument, field, metavar, text, type=convert)
    add_option(group.add_argument, "phases", "LIST", PHASES_HELP)
    fault = "let allocations fail: pte_page, head_page or restore_page, and which ones"
    add_option(group.add_argument, "fault", "KIND=N,N", fault, action="append", default=[])
    setting = (
        "a tunable of the kernel, a value of the machine such as costs.inject=900, or of the"
        " noise such as noise.idle_share=0.3"
    )
    add_option(group.add_argument, "set", "KEY=VALUE", setting, action="append", default=[])
    add_option(group.add_argument, "seed", "N", "seed of all draws (default 1)", type=number)
    add_option(group.add_argument, "replication", "N", "replication (default 0)", type=number)
    add_option(group.add_argument, "engine", "NAME", "auto or events; same answers (default auto)")


def add_option(
    add_argument: Callable[..., Action], field: str, metavar: str, text: str, **options: Any
) -> None:
    """Add the option of a field."""
    add_argument(f"--{field.replace('_', '-')}", metavar=metavar, help=text, **options)


def scenario_of(args: Namespace) -> Scenario:
    """Return the scenario that options describe."""
    from simulator.experiment.axes import with_values

    fields: dict[str, Any] = {"pages": DEFAULT_PAGES, "faults": faults_of(args.fault)}
    for field in (*(field for field, *_ in VARIED), "seed", "replication", "engine"):
        if (value := getattr(args, field)) is not None:
            fields[field] = value
    # Not as types of argparse, which puts its own words in place of an InputError.
    if args.noise is not None:
        fields["noise"] = noise_of(args.noise)
    if args.phases is not None:
        fields["phases"] = words_of(args.phases)
    return with_values(fields, _settings(args.set))


def faults_of(texts: Iterable[str]) -> dict[str, tuple[Any, ...]]:
    """Return which allocations of a kind fail, of texts such as ``pte_page=3,7``."""
    faults: dict[str, tuple[Any, ...]] = {}
    for text in texts:
        kind, equals, ordinals = text.partition("=")
        if not (kind and equals and ordinals):
            raise InputError(f"fault: must be KIND=N,N, such as pte_page=3,7, not {text!r}")
        faults[kind] = faults.get(kind, ()) + tuple(map(number, ordinals.split(",")))
    return faults


def setting_of(text: str) -> tuple[str, str]:
    """Return key and value of a ``--set``; what the value means depends on the key."""
    key, _ = pair_of("set", text, "KEY=VALUE")
    return key, text.partition("=")[2]


def is_of_machine(key: str) -> bool:
    """
    Whether a key is a value of a machine, which may have a unit and is read by the machine.

    Others are of a noise, or a tunable of a kernel, and are numbers.
    """
    return "." in key and not key.startswith("noise.")


def _settings(texts: Iterable[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in texts:
        key, value = setting_of(text)
        if key in found:
            raise InputError(f"set: {key!r} is there twice; give it once")
        found[key] = value if is_of_machine(key) else number(value)
    return found
