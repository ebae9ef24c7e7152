# SPDX-License-Identifier: MIT
"""
Options that are axes
---------------------

In an experiment every option of a scenario may be given several times, and most
take several values between commas: each is then an axis, and the points are the
product of the axes. Where a comma belongs to one value (phases, PFNs, a noise of
one's own, faults) the option is repeated.
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from simulator.cli.scenario_options import (
    DEFAULT_PAGES,
    PHASES_HELP,
    VARIED,
    add_option,
    faults_of,
    is_of_machine,
    noise_of,
    pair_of,
    setting_of,
    words_of,
)
from simulator.errors import InputError, nearest
from simulator.inputs import number

if TYPE_CHECKING:
    from simulator.experiment.axes import Axis, Plan

__all__ = ("add_axis_options", "axes_of", "plan_of")

# A comma belongs to the value.
_WHOLE = ("placement", "noise")


def add_axis_options(parser: ArgumentParser) -> None:
    """Add an option for every field of a scenario, each of which may be an axis."""
    group = parser.add_argument_group(
        "scenario",
        "each may be repeated, or have values between commas, and is then an axis",
    )
    for field, convert, metavar, text in VARIED:
        split = _one(convert) if field in _WHOLE else _several(convert)
        add_option(group.add_argument, field, metavar, text, type=split, action="extend")
    phases = f"{PHASES_HELP}; repeat it for an axis"
    add_option(group.add_argument, "phases", "LIST", phases, action="append")
    fault = "let allocations fail; several kinds with +: pte_page=3,7+head_page=1; or none"
    add_option(group.add_argument, "fault", "KIND=N,N", fault, action="append")
    setting = (
        "a tunable of the kernel, a value of the machine such as costs.inject=500,900, or of"
        " the noise such as noise.idle_share=0.3"
    )
    add_option(group.add_argument, "set", "KEY=VALUE", setting, action="append", default=[])
    several = _several(number)
    add_option(
        group.add_argument, "seed", "N", "seed of all draws (default 1)", type=several,
        action="extend",
    )  # fmt: skip
    add_option(group.add_argument, "engine", "NAME", "auto or events; same answers (default auto)")
    zipped = "options whose values go together one by one, such as machine,pages"
    add_option(group.add_argument, "zip", "NAME,NAME", zipped, action="append", default=[])
    base = "what all is compared with, such as kernel=v6.6 (default: the first kernel)"
    add_option(group.add_argument, "baseline", "NAME=VALUE", base)


def _one(convert: Callable[[str], object]) -> Callable[[str], list[object]]:
    return lambda text: [convert(text)]


def _several(convert: Callable[[str], object]) -> Callable[[str], list[object]]:
    def split(text: str) -> list[object]:
        parts = text.split(",")
        if not all(parts):
            raise ArgumentTypeError(f"{text!r} has a value missing beside a comma")
        return [convert(part) for part in parts]

    return split


def plan_of(args: Namespace) -> Plan:
    """Return the plan that options describe."""
    from simulator.experiment.axes import plan

    fields, axes = axes_of(args)
    baseline = None
    if args.baseline is not None:
        name, value = pair_of("baseline", args.baseline, "NAME=VALUE, such as kernel=v6.6")
        baseline = {name.replace("-", "_"): _named(name, args.baseline.partition("=")[2], value)}
    return plan(fields, axes, baseline)


# What a name of the baseline has as a value, if the option takes something else than a number.
def _named(name: str, text: str, value: object) -> object:
    for field, convert, *_ in VARIED:
        if field == name.replace("-", "_"):
            return convert(text)
    return value


def axes_of(args: Namespace) -> tuple[dict[str, Any], list[Axis]]:
    """Return what is the same everywhere, and the axes, in the order of the options."""
    from simulator.experiment.axes import Axis

    given: dict[str, list[Any]] = {field: getattr(args, field) or [] for field, *_ in VARIED}
    given["pages"] = given["pages"] or [DEFAULT_PAGES]
    # Not as a type of argparse, which puts its own words in place of an InputError.
    noises = [part for text in given["noise"] for part in _noise_parts(text)]
    given["noise"] = [noise_of(text) for text in noises]
    given["phases"] = [words_of(text) for text in args.phases or ()]
    given["faults"] = [
        {} if text == "none" else faults_of(text.split("+")) for text in args.fault or ()
    ]
    given["seed"] = args.seed or []
    for setting in args.set:
        key, text = setting_of(setting)
        values = text.split(",")
        given.setdefault(key, []).extend(values if is_of_machine(key) else map(number, values))
    fixed = {name: values[0] for name, values in given.items() if len(values) == 1}
    if args.engine is not None:
        fixed["engine"] = args.engine
    several = {name: values for name, values in given.items() if len(values) > 1}
    return fixed, [Axis(names, values) for names, values in _zipped(several, args.zip)]


def _noise_parts(text: str) -> list[str]:
    return [text] if "=" in text else text.split(",")


def _zipped(
    several: dict[str, list[Any]], together: Sequence[str]
) -> list[tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]]]:
    found: dict[tuple[str, ...], tuple[tuple[Any, ...], ...]] = {}
    groups = [tuple(name.replace("-", "_") for name in text.split(",")) for text in together]
    for names in groups:
        for name in names:
            if name not in several:
                hint = nearest(name, several)
                raise InputError(f"zip: {name!r} has no several values{hint}")
        lengths = {len(several[name]) for name in names}
        if len(lengths) > 1:
            told = ", ".join(f"{len(several[name])} of {name}" for name in names)
            raise InputError(f"zip: as many values of each are needed, not {told}")
    for name in several:
        group = next((names for names in groups if name in names), (name,))
        found[group] = tuple(zip(*(several[of] for of in group), strict=True))
    return list(found.items())
