# SPDX-License-Identifier: MIT
"""
A profile as plain text
-----------------------

The report that ``tlbsim machines NAME`` prints: every value with its unit,
kind, plausible range and source, in at most 72 columns.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from simulator.machine import Machine
from simulator.machine.fits import FittedTime, FittedValue
from simulator.machine.schema import Costs
from simulator.machine.values import (
    Cost,
    CostByDistance,
    Count,
    Fact,
    Length,
    Points,
    Quantity,
    Size,
    Sourced,
    Spread,
    Time,
)

__all__ = ("describe",)

_WIDTH = 72
_NAME, _VALUE, _KIND = 26, 16, 10


def describe(machine: Machine) -> str:
    """Return a report of a machine: plain text of at most 72 columns, without a final newline."""
    lines = textwrap.wrap(f"{machine.name}: {machine.title}", _WIDTH)
    lines += textwrap.wrap(machine.description, _WIDTH)
    facts = [machine.isa, "virtual machine" if machine.virtual else "bare metal"]
    if machine.inherits:
        facts.append(f"inherits from {machine.inherits}")
    lines += ["", "; ".join(facts)]
    for title, model in (
        ("Topology", machine.topology),
        ("Memory", machine.memory),
        ("Interrupts", machine.ipi),
    ):
        lines += ["", title, *_fields(model)]
    for name, mechanism in machine.mechanisms.present.items():
        about = type(machine.mechanisms).model_fields[name].description
        lines += ["", f"{about}", *_described(mechanism)]
    lines += ["", "Costs", *_costs(machine.costs)]
    lines += ["", "Idle states"]
    for state in machine.idle_states:
        lines.append(f"  {state.name}{' (polling)' if state.polling else ''}")
        lines += _value("  exit latency", state.exit_latency)
        lines += _value("  residency", state.residency)
    lines += ["", "Spells (how frequent, the noise says)"]
    for name in type(machine.spells).model_fields:
        spells = getattr(machine.spells, name)
        if spells is not None:
            lines.append(f"  {name}")
            for part in type(spells).model_fields:
                lines += _value(f"  {part}", getattr(spells, part))
    lines += ["", "Calibration", *_calibration(machine)]
    return "\n".join(line.rstrip() for line in lines)


def _fields(model: BaseModel) -> Iterator[str]:
    for name in type(model).model_fields:
        if (value := getattr(model, name)) is not None:
            yield from _value(name, value)


def _described(model: BaseModel) -> Iterator[str]:
    for name, field in type(model).model_fields.items():
        yield from _value(name, getattr(model, name), field.description or "")


def _costs(costs: Costs) -> Iterator[str]:
    for name, field in Costs.model_fields.items():
        cost = getattr(costs, name)
        text = field.description or ""
        if isinstance(cost, CostByDistance):
            yield from _wrap(f"  {name}: {text}", "    ")
            for distance, time in cost.times.items():
                yield from _value(f"  {distance}", time)
            if cost.spread is not None:
                yield from _wrap(f"      {_spread(cost.spread)}")
            if cost.quantiles is not None:
                yield from _wrap(f"      {_quantiles(cost.quantiles, 'of the mean')}")
        else:
            yield from _value(name, cost, text)


def _value(name: str, value: Sourced, text: str = "") -> Iterator[str]:
    head = f"  {name:<{_NAME}}{_amount(value):>{_VALUE}}  {value.kind:<{_KIND}}{_range(value)}"
    yield head.rstrip()
    if text:
        yield from _wrap(f"      {text}")
    if isinstance(value, Fact) and isinstance(value.value, tuple):
        for row in value.value:
            yield "      " + " ".join(str(item) for item in row)
    if isinstance(value, Cost) and value.spread is not None:
        yield from _wrap(f"      {_spread(value.spread)}")
    if isinstance(value, Cost | Length) and value.quantiles is not None:
        yield from _wrap(f"      {_quantiles(value.quantiles, value.unit)}")
    yield from _wrap(f"      {value.source}")
    where = ", ".join(part for part in (value.machine, value.date) if part)
    if where:
        yield from _wrap(f"      ({where})")
    if value.note:
        yield from _wrap(f"      note: {value.note}")


def _amount(value: Any) -> str:
    if isinstance(value, Time | Size):
        return f"{value.value:g} {value.unit}"
    if isinstance(value.value, tuple):
        return f"{len(value.value)} x {len(value.value)}"
    if isinstance(value.value, bool):
        return "yes" if value.value else "no"
    return str(value.value)


def _range(value: Sourced) -> str:
    if not isinstance(value, Quantity | Count):
        return ""
    low, high = value.range
    return f"{low:g} to {high:g}"


def _quantiles(points: Points, unit: str) -> str:
    return f"quantiles ({unit}): " + ", ".join(f"{v:g} at {p:g}" for p, v in points)


def _spread(spread: Spread) -> str:
    size = f"sigma {spread.sigma:g}" if spread.sigma is not None else f"cv {spread.cv:g}"
    source = f" {spread.source}" if spread.source else ""
    return f"spread: {spread.family}, {size} ({spread.kind}){source}"


def _calibration(machine: Machine) -> Iterator[str]:
    if not machine.calibration:
        yield "  nothing is fitted to published figures"
    for fit in machine.calibration:
        yield from _wrap(f"  {', '.join(fit.parameters)}", "    ")
        if fit.patched:
            yield "      fitted to a patched kernel, which is no longer predicted"
        for value in fit.fitted:
            yield from _wrap(f"      {_fitted(value)}")
        for nth, time in enumerate(fit.times):
            left = f" ({fit.residuals[nth]:+.1%})" if fit.residuals else ""
            yield from _wrap(f"      from {_time(time)}{left}")
        for figure in fit.figures:
            yield from _wrap(f"      from {figure}")
        yield from _wrap(f"      {fit.source}" + (f", {fit.date}" if fit.date else ""))
        if fit.note:
            yield from _wrap(f"      note: {fit.note}")
    if machine.hindsight:
        yield from _wrap(f"  in hindsight: {machine.hindsight}", "    ")


def _time(time: FittedTime) -> str:
    kernel = f"{time.kernel} ({time.release})" if time.release else time.kernel
    return (
        f"{time.machine}, {time.pages} pages of {time.page_size}, {kernel},"
        f" HVO {'on' if time.hvo else 'off'}, {time.phase}: {time.real_s:.12g} s"
    )


def _fitted(value: FittedValue) -> str:
    unit = " ns" if value.unit == "ns" else "x"
    text = f"{value.name}: {value.value:.5g}{unit}, from {value.start:.5g}{unit}"
    if value.interval is not None:
        low, high = value.interval
        text += f", 95 % interval {low:.5g}..{high:.5g}{unit}"
    return f"{text}, {value.note}" if value.note else text


def _wrap(text: str, more: str = "      ") -> list[str]:
    # Message ids are long words: they move to a line of their own, uncut if they fit.
    return textwrap.wrap(text, _WIDTH, subsequent_indent=more, break_on_hyphens=False)
