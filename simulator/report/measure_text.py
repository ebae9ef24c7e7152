# SPDX-License-Identifier: MIT
"""
The report of a measurement
---------------------------

What ``tlbsim calibrate --here`` prints: what was measured, how it was proven,
what a profile makes of it, and what could not be measured.  Nothing in it is
simulated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from simulator.report.text import (
    format_count,
    format_ns,
    format_ns_range,
    format_table,
    underlined,
    wrapped,
)

if TYPE_CHECKING:
    from simulator.measure import Here

__all__ = ("here_json", "here_report")


def here_report(here: Here, costs: Mapping[str, float], out: str | None) -> str:
    """
    Return the report as plain text of at most 72 columns.

    :param costs: what the profile makes of it, in nanoseconds by name.
    :param out: where the profile was written.
    """
    head = [underlined("This machine (measured, nothing simulated)")]
    head += [wrapped(text, f"{name:<11}") for name, text in _head(here)]
    rows: list[tuple[str, ...]] = [
        (f.what, _ns(f.median.value_ns), _interval(f.median.low_ns, f.median.high_ns))
        for f in here.findings
    ]
    parts = ["\n".join(head), format_table(rows, ("median of", "measured", "95% interval"))]
    if costs:
        rows = [(name, _ns(ns)) for name, ns in costs.items()]
        parts.append(format_table(rows, ("cost in the profile", "value")))
    shootdowns = list(_shootdowns(here))
    if shootdowns:
        parts.append("\n".join(shootdowns))
    gaps = [wrapped(f"{gap.what}: {gap.why}", "  ") for gap in here.gaps]
    parts.append("\n".join(["Not measured:", *gaps]))
    if out is not None:
        parts.append(f"written    {out}")
    return "\n\n".join(parts) + "\n"


def here_json(here: Here, costs: Mapping[str, float], out: str | None) -> dict[str, Any]:
    """Return the same for a program: only JSON's own types."""
    host = here.host
    return {
        "cpu_model": host.cpu_model,
        "release": host.release,
        "virtual": host.virtual,
        "cpus": len(host.cpus),
        "cpu": here.cpu,
        "peers": list(here.peers),
        "real_time_priority": here.prioritised,
        "out": out,
        "findings": [
            {
                "key": f.key,
                "what": f.what,
                "median_ns": f.median.value_ns,
                "low_ns": f.median.low_ns,
                "high_ns": f.median.high_ns,
                "rounds": f.median.rounds,
            }
            for f in here.findings
        ],
        "costs_ns": dict(costs),
        "shootdowns": [
            {
                "peers": s.peers,
                "calls": s.calls,
                "interrupts": s.interrupts,
                "rounds": s.rounds,
                "proven": s.proven,
            }
            for s in here.shootdowns
        ],
        "gaps": [{"what": gap.what, "why": gap.why} for gap in here.gaps],
    }


def _head(here: Here) -> Iterator[tuple[str, str]]:
    host = here.host
    yield "CPU", f"{host.cpu_model}, {'a guest' if host.virtual else 'no hypervisor'}"
    yield "kernel", f"Linux {host.release}"
    shape = (
        f"{len(host.cpus)} CPUs: {host.sockets} x {host.cores_per_socket}"
        f" x {host.threads_per_core} (sockets, cores, threads),"
        f" {host.nodes} node{'s' if host.nodes > 1 else ''}"
    )
    yield "machine", shape if host.regular else f"{shape}; irregular, taken as one socket"
    others = f"{len(here.peers)} other{'s' if len(here.peers) > 1 else ''}"
    priority = "with" if here.prioritised else "without"
    yield "measured", f"on CPU {here.cpu} with {others}; {priority} real-time priority"
    if host.clocksource != "tsc":
        clock = host.clocksource or "unknown"
        yield "clock", f"{clock}, not tsc: reading it costs time, which only differences cancel"


def _shootdowns(here: Here) -> Iterator[str]:
    for s in here.shootdowns:
        yield wrapped(
            f"/proc/interrupts: {format_count(s.calls)} flushes interrupted"
            f" {s.peers} running {'thread' if s.peers == 1 else 'threads'}"
            f" {format_count(s.interrupts)} times; {s.proven} of {s.rounds} rounds count."
        )


def _ns(ns: float) -> str:
    return format_ns(ns if ns >= 1000 else round(ns, 1), 4)


def _interval(low_ns: float | None, high_ns: float | None) -> str:
    if low_ns is None or high_ns is None:
        return "-"
    return format_ns_range(low_ns, high_ns)
