# SPDX-License-Identifier: MIT
"""
What was measured, as a profile
-------------------------------

The profile inherits from ``x86-64``.  What was measured on the machine is kind
``measured``, what follows from it by arithmetic ``derived``.  What neither was
measured nor is common to all x86-64 machines is taken from a machine of the
same kind, as ``assumed``: a guest, a machine of one socket, one of several.

Modelled: what a target loses to a flush is entry, invalidation, refill and
exit, entry and exit alike; what the initiator waits for the first target beyond
entry and the known steps is delivery; what a further target adds is the
hypervisor's work in a guest, and cache lines on bare metal.

Not modelled: how these divide in truth, which a process cannot see.
"""

from __future__ import annotations

import statistics
from importlib import resources
from pathlib import Path
from typing import Any

from simulator.machine import Machine, load_machine
from simulator.machine.load import read_toml
from simulator.machine.schema import Costs, Memory
from simulator.machine.toml import toml_text
from simulator.machine.values import Cost, CostByDistance
from simulator.measure.findings import Median
from simulator.measure.here import Here

__all__ = ("here_profile", "measured_costs", "template_of", "values_ns")

_BASE = "x86-64"
_HEAD = "# A machine profile, written by tlbsim calibrate --here.\n\n"
_HOW = "tlbsim calibrate --here"

Table = dict[str, Any]


def here_profile(here: Here, measured: dict[str, Table], date: str) -> str:
    """Return the profile as TOML; ``measured`` are the costs that it does not take over."""
    host = here.host
    template = load_machine(template_of(here))
    costs = _taken_over(template)
    for name, table in measured.items():
        # The spread of a cost that was not measured stays.
        costs[name] = costs.get(name, {}) | table
    data: Table = {
        "inherits": _BASE,
        "title": f"{host.cpu_model}, {len(host.cpus)} CPUs, measured",
        "description": f"{'A guest' if host.virtual else 'A machine'} with Linux {host.release},"
        f" measured on {date} by {_HOW}. What could not be measured is assumed, most of it to be"
        f" as on {template.name}.",
        "virtual": host.virtual,
        "topology": _topology(here, date),
        "memory": _plain(template.memory, template) | _memory(here, date),
        "ipi": {"mode": _assumed(template.ipi.mode.value, template)} if host.virtual else {},
        "costs": costs,
        "idle_states": _idle_states(here, template, date),
    }
    if host.virtual:
        data["spells"] = {"preempted": _plain(template.spells.preempted, template)}
    return _HEAD + toml_text(data)


def values_ns(measured: dict[str, Table]) -> dict[str, float]:
    """Return costs as :func:`measured_costs` returns them in nanoseconds, a name for each value."""
    found: dict[str, float] = {}
    for name, table in measured.items():
        parts = {"": table} if "value" in table else {f".{d}": part for d, part in table.items()}
        found |= {f"{name}{distance}": part["value"] for distance, part in parts.items()}
    return found


def template_of(here: Here) -> str:
    """Return the name of the machine from which comes what was not measured."""
    if here.host.virtual:
        return "epyc-7j13-vm252"
    return "laptop-8" if here.host.sockets == 1 else "xeon-e7-8895-8s"


def measured_costs(here: Here, date: str) -> dict[str, Table]:
    """Return the costs that were measured or follow from what was, by name."""
    template = load_machine(template_of(here))
    found: dict[str, Table] = {}
    for name, text in (
        ("invlpg", "mprotect() of up to 32 pages less that of more, per page"),
        ("page_copy_hot", "memcpy() of 4 KB, all of it cached"),
        ("page_copy_near", "memcpy() of 4 cached KB to pages that are not"),
        ("pte_page_fill", "memset() of 4 KB, pages that are not cached"),
        ("synchronize_rcu", "membarrier(GLOBAL)"),
    ):
        median = here.get(name)
        if median is not None and median.value_ns > 0 and name in Costs.model_fields:
            found[name] = _measured(here, template, name, median, text, date)
    if here.host.nodes == 1 and "page_copy_near" in found:
        found["page_copy_far"] = found["page_copy_near"] | {"note": "there is one node only"}
    costs = _ns_of(template) | {name: table["value"] for name, table in found.items()}
    found |= _handler(here, template, costs, date)
    costs |= {name: table["value"] for name, table in found.items()}
    found |= _targets(here, template, costs, date)
    return found


# What a target loses: entry, invalidation, refill, exit.
def _handler(here: Here, template: Machine, costs: dict[str, float], date: str) -> dict[str, Table]:
    lost = here.get("lost")
    if lost is None:
        return {}
    rest = lost.value_ns - costs["invlpg"] - costs["refill_page"]
    if rest <= 0:
        return {}
    text = "half of what a target loses to a flush of one page, less invlpg and refill_page"
    return {
        name: _derived(here, template, name, rest / 2, text, date)
        for name in ("handler_entry", "handler_exit")
    }


def _targets(here: Here, template: Machine, costs: dict[str, float], date: str) -> dict[str, Table]:
    found: dict[str, Table] = {}
    near = [here.host.distance(here.cpu, peer) for peer in here.peers]
    slope, first = here.get("target"), here.get("shootdown_1")
    lines = statistics.fmean(_line(template, d) for d in near) if near else 0.0
    factor = 1.0  # of what cache lines cost on the template
    text = "what a further target of a flush adds"
    if slope is not None and slope.value_ns > lines and here.host.virtual:
        costs["inject"] = slope.value_ns - lines
        text = f"{text}, less enqueue and ack"
        found["inject"] = _derived(here, template, "inject", costs["inject"], text, date)
    elif slope is not None and slope.value_ns > 0 and not here.host.virtual:
        factor = slope.value_ns / lines
        for name in ("enqueue", "ack"):
            found[name] = _scaled(here, template, name, factor, f"{text}, by distance", date)
    if first is None:
        return found
    sent = factor * _line(template, near[0]) + costs["send"] + costs["inject"]
    deliver = first.value_ns - sent - costs["handler_entry"]
    usual = _time(template.costs.deliver, near[0])
    if deliver > 0 and usual:
        text = "what the first target of a flush takes, less sending and entry"
        found["deliver"] = _scaled(here, template, "deliver", deliver / usual, text, date)
    return found


def _line(machine: Machine, distance: str) -> float:
    return _time(machine.costs.enqueue, distance) + _time(machine.costs.ack, distance)


def _time(cost: CostByDistance, distance: str) -> float:
    # A distance that the template has not is its farthest.
    time = cost.times.get(distance, list(cost.times.values())[-1])
    return float(time.exact_ns)


def _ns_of(machine: Machine) -> dict[str, float]:
    costs = {name: getattr(machine.costs, name) for name in Costs.model_fields}
    return {name: float(c.exact_ns) for name, c in costs.items() if isinstance(c, Cost)}


def _measured(
    here: Here, template: Machine, name: str, median: Median, text: str, date: str
) -> Table:
    low, high = median.low_ns, median.high_ns
    interval = "" if low is None or high is None else f", 95 % interval {low:.4g} to {high:.4g} ns"
    table = _table(here, template, name, median.value_ns, date)
    bounds = [table["value"], *table["range"], *(x for x in (low, high) if x is not None)]
    return table | {
        "kind": "measured",
        "range": [_short(min(bounds)), _short(max(bounds))],
        "source": f"{_HOW}: {text}; median of {median.rounds} rounds{interval}",
    }


def _derived(here: Here, template: Machine, name: str, ns: float, text: str, date: str) -> Table:
    return _table(here, template, name, ns, date) | {"source": f"{_HOW}: {text}"}


def _table(here: Here, template: Machine, name: str, ns: float, date: str) -> Table:
    old: Cost = getattr(template.costs, name)
    scale = float(old.exact_ns) / old.value if old.value else 1.0
    value = _short(ns)
    low, high = (bound * scale for bound in old.range)
    return {
        "value": value,
        "unit": "ns",
        "kind": "derived",
        # Plausible is what is plausible elsewhere, and what was found here.
        "range": [_short(min(low, value)), _short(max(high, value))],
        "source": "",
        "machine": here.host.cpu_model,
        "date": date,
    }


def _scaled(here: Here, template: Machine, name: str, factor: float, text: str, date: str) -> Table:
    cost: CostByDistance = getattr(template.costs, name)
    table: Table = {}
    for distance, time in cost.times.items():
        ns = float(time.exact_ns)
        value = _short(ns * factor)
        low, high = (bound * ns / time.value for bound in time.range)
        table[distance] = {
            "value": value,
            "unit": "ns",
            "kind": "derived",
            "range": [_short(min(low, value)), _short(max(high, value))],
            "source": f"{_HOW}: {text}; distances in proportion as on {template.name}",
            "machine": here.host.cpu_model,
            "date": date,
        }
    return table


# --- what was not measured --------------------------------------------------------------


def _taken_over(template: Machine) -> dict[str, Table]:
    path = Path(str(resources.files("simulator.machine") / "profiles" / f"{_BASE}.toml"))
    common = read_toml(path, _BASE)["costs"]
    taken = {}
    for name in Costs.model_fields:
        cost = getattr(template.costs, name)
        data = cost.model_dump(mode="json", exclude_none=True)
        if name not in common or any(
            data[key] != common[name].get(key) for key in ("value", "unit")
        ):
            taken[name] = _plain(cost, template)
    return taken


def _plain(part: Any, template: Machine) -> Table:
    """Return a part of a machine as data, all of it assumed."""

    def assumed(node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        node = {key: assumed(value) for key, value in node.items() if value not in (None, "")}
        if "value" in node and "source" in node:
            source = str(node["source"]).removeprefix("assumed: ")
            for key in ("note", "machine", "date"):
                node.pop(key, None)
            node |= {"kind": "assumed", "source": f"assumed: as on {template.name}: {source}"}
        return node

    data: Table = assumed(part.model_dump(mode="json"))
    return data


def _assumed(value: object, template: Machine) -> Table:
    return {"value": value, "kind": "assumed", "source": f"assumed: as on {template.name}"}


# --- what the kernel says ---------------------------------------------------------------


def _topology(here: Here, date: str) -> Table:
    host = here.host
    kind = "measured" if host.regular else "assumed"
    source = (
        "/sys/devices/system/cpu"
        if host.regular
        else (
            "assumed: the CPUs are no product of sockets, cores and threads, so one socket of cores"
        )
    )

    def fact(value: object, kind: str = kind, source: str = source) -> Table:
        return {"value": value, "kind": kind, "source": source, "date": date}

    cores = min(host.cache_cpus // host.threads_per_core, host.cores_per_socket)
    shared = "shared_cpu_list of the largest cache, /sys/devices/system/cpu/cpu*/cache"
    hops = [[int(a != b) for b in range(host.sockets)] for a in range(host.sockets)]
    return {
        "sockets": fact(host.sockets),
        "nodes": fact(host.nodes, "measured", "/sys/devices/system/node"),
        "cores_per_socket": fact(host.cores_per_socket),
        "threads_per_core": fact(host.threads_per_core),
        "cpus": fact(len(host.cpus), "measured", "/sys/devices/system/cpu/online"),
        **({"cache_cores": fact(cores, "measured", shared)} if cores else {}),
        "numbering": fact("siblings-adjacent" if host.siblings_adjacent else "siblings-last"),
        "socket_hops": fact(hops, "assumed", "assumed: one hop between any two sockets")
        if host.sockets > 2
        else fact(hops, "derived", "the number of sockets"),
    }


def _memory(here: Here, date: str) -> Table:
    def size(mib: int, source: str) -> Table:
        return {
            "value": mib,
            "unit": "MiB",
            "kind": "measured",
            "range": [mib, mib],
            "source": source,
            "date": date,
        }

    text = "MemTotal of the smallest node, /sys/devices/system/node"
    found = {"node_memory": size(here.host.node_kib >> 10, text)}
    if "last_level_cache" in Memory.model_fields and here.host.cache_kib >= 1 << 10:
        text = "the largest cache of a CPU, /sys/devices/system/cpu/cpu*/cache"
        found["last_level_cache"] = size(here.host.cache_kib >> 10, text)
    return found


def _idle_states(here: Here, template: Machine, date: str) -> list[Table]:
    if not here.host.idle_states:
        return [_plain(state, template) | {"name": state.name} for state in template.idle_states]

    def time(microseconds: int) -> Table:
        return {
            "value": microseconds,
            "unit": "us",
            "kind": "vendor",
            "range": [0, max(2 * microseconds, 1)],
            "source": "the cpuidle driver, /sys/devices/system/cpu/cpu*/cpuidle",
            "date": date,
        }

    return [
        {
            "name": state.name,
            "exit_latency": time(state.exit_us),
            "residency": time(state.residency_us),
            "polling": state.name == "POLL" or None,
        }
        for state in here.host.idle_states
    ]


def _short(value: float) -> float:
    return float(f"{value:.4g}")
