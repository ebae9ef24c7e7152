# SPDX-License-Identifier: MIT
"""
From the trace of a real machine to a profile
---------------------------------------------

Fits the steps of a flush to a part of a trace, as tables of quantiles, simulates
the same flushes on that machine, and lays their latencies beside those of the
part that was not used.

Modelled: see :mod:`simulator.analysis.trace_costs`.

Not modelled: what a flush costs without its broadcast, caches, other numbers of
CPUs; all of that stays as on the machine that the profile inherits from.

Sources: the trace.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from simulator.analysis.trace_costs import (
    STEPS,
    FlushJob,
    Samples,
    TraceCosts,
    flush_job,
    ks_distance,
    trace_costs,
)
from simulator.errors import InputError
from simulator.kernel.modules.tlb_flush import TlbFlush
from simulator.machine import Machine, load_machine
from simulator.machine.mixture import mean
from simulator.machine.toml import toml_text
from simulator.machine.values import CostByDistance
from simulator.run import simulate_module
from simulator.scenario import Scenario
from simulator.trace import Ftrace

__all__ = ("TraceFit", "fit_trace", "profile_toml")

_HEAD = "# A machine profile, written by tlbsim calibrate.\n\n"
_GUEST, _BARE_METAL = "epyc-7j13-vm252", "laptop-8"
_KNOTS = 257  # of a table; each is a value that was seen
_FLUSHES = 2000  # simulated for the check
_FEW = 100  # flushes below which a tail is a guess
_RESOLUTION_NS = 1000
# A delivery this much longer than elsewhere is hardly one of hardware.
_EMULATED = 20
_LEAST_NS = 0.01  # a table needs a mean above 0
_Table = dict[str, Any]
_Engine = Literal["auto", "compiled", "events"]


@dataclass(frozen=True, eq=False)
class TraceFit:
    """
    A machine fitted to a trace, and its check.

    ``held``: flush latencies (ns) of the part that was not used, ``simulated``: those of the
    same flushes on the machine; both are compared by ``ks`` and ``median_error``, None where
    nothing was held out.  ``notes``: what the trace could not tell.
    """

    trace: Ftrace
    start: Machine
    job: FlushJob
    nr_fitted: int
    costs: TraceCosts
    profile: Mapping[str, Any]
    machine: Machine
    held: npt.NDArray[np.int64]
    simulated: npt.NDArray[np.int64]
    notes: tuple[str, ...]

    @property
    def ks(self) -> float | None:
        """Kolmogorov-Smirnov distance of the latencies held out and those simulated."""
        return (
            ks_distance(self.held.astype(float), self.simulated.astype(float))
            if len(self.held)
            else None
        )

    @property
    def median_error(self) -> float | None:
        """How much longer the simulated median is, as a fraction of the median held out."""
        if not len(self.held):
            return None
        return float(np.median(self.simulated) / np.median(self.held)) - 1


def fit_trace(
    trace: Ftrace,
    start: str | None = None,
    *,
    fit_share: float = 0.5,
    flushes: int | None = None,
    noise: str = "quiet",
    seed: int = 1,
    engine: _Engine = "auto",
) -> TraceFit:
    """
    Fit a machine to a trace.

    :param start: a profile or TOML file, for everything that the trace does not tell; by default
        a guest where interrupts arrive one after another, and otherwise a laptop.
    :param fit_share: of the flushes, by time: fitted to; the rest is held out for the check.
    :param flushes: how many to simulate for the check; 2000 if not given.
    """
    if not 0 < fit_share <= 1:
        raise InputError(f"fit-share: {fit_share} is not above 0 and at most 1")
    job = flush_job(trace)
    nr_fitted = max(1, round(len(job.flushes) * fit_share))
    used, held = job.flushes.iloc[:nr_fitted], job.flushes.iloc[nr_fitted:]
    costs = trace_costs(used, trace.ipis())
    name = start or (_GUEST if costs.serial else _BARE_METAL)
    machine = load_machine(name)
    if costs.serial and not machine.virtual:
        # Only a hypervisor makes interrupts arrive one after another.
        costs = trace_costs(used, trace.ipis(), serial=False)
    profile = _profile(trace, machine, name, job, costs, nr_fitted)
    fitted = _machine_of(profile)
    simulated = _simulated(
        fitted, job, flushes=flushes or _FLUSHES, noise=noise, seed=seed, engine=engine
    )
    return TraceFit(
        trace=trace,
        start=machine,
        job=job,
        nr_fitted=nr_fitted,
        costs=costs,
        profile=profile,
        machine=fitted,
        held=held["elapsed_ns"].to_numpy(dtype=np.int64),
        simulated=simulated,
        notes=_notes(trace, machine, job, costs, nr_fitted),
    )


def _simulated(
    machine: Machine, job: FlushJob, *, flushes: int, noise: str, seed: int, engine: _Engine
) -> npt.NDArray[np.int64]:
    """Return how long each of so many flushes takes on a machine, in nanoseconds."""
    scenario = Scenario(
        machine=machine, pages=1, cpus=job.targets + 1, noise=noise, seed=seed, engine=engine
    )
    size = job.pages if job.kind == "range" and job.pages > 0 else None
    frame = simulate_module(scenario, TlbFlush([size], flushes)).flushes
    return (frame["end_ns"] - frame["start_ns"]).to_numpy(dtype=np.int64)


def _profile(
    trace: Ftrace, start: Machine, inherits: str, job: FlushJob, costs: TraceCosts, nr_fitted: int
) -> _Table:
    """Return a profile as data for TOML, which inherits from the machine of that name."""
    nr_cpus = max(trace.nr_cpus, job.targets + 1)
    source = f"{trace.path.name}: {nr_fitted} flushes by {job.function} on {nr_cpus} CPUs"
    return {
        "inherits": inherits,
        "title": f"{nr_cpus} CPUs, fitted to {trace.path.name}",
        "description": f"The steps of a flush as in a trace; all else is as on {start.name}.",
        "topology": _topology(nr_cpus),
        "costs": _costs(start, job, costs, source),
        "idle_states": [_no_idle(source)],
    }


def _machine_of(profile: Mapping[str, Any]) -> Machine:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fitted.toml"
        path.write_text(profile_toml(profile), encoding="utf-8")
        return load_machine(path)


def profile_toml(profile: Mapping[str, Any]) -> str:
    """Return a profile as the text of a file."""
    return _HEAD + toml_text(profile)


def _costs(start: Machine, job: FlushJob, costs: TraceCosts, source: str) -> _Table:
    found: _Table = {}
    for name, sample in costs.samples.items():
        old = getattr(start.costs, name)
        table = _by_distance if isinstance(old, CostByDistance) else _cost
        found[name] = table(sample, f"{source}; {len(sample)} samples")
    # Of the two ways to arrive, the one that the trace does not show costs nothing.
    other = "deliver" if costs.serial else "inject"
    way = "one after another" if costs.serial else "side by side"
    nothing = _time(0.0, (0.0, 0.0), f"{source}: interrupts arrive {way}")
    found[other] = dict.fromkeys(("core", "socket"), nothing) if other == "deliver" else nothing
    found["send"] = _time(0.0, (0.0, 0.0), f"{source}: part of how they arrive")
    pages = job.pages if job.kind == "range" and job.pages > 0 else 1
    run_ns = costs.run_ns / pages
    run = _time(run_ns, (0.0, 2 * run_ns), f"{source}: the least that the callback took")
    found["invlpg" if job.kind == "range" and job.pages > 0 else "flush_full"] = run
    return found


def _cost(sample: Samples, source: str) -> _Table:
    points = _points(sample)
    value = mean(points)
    return _time(value, (points[0][1], max(points[-1][1], value)), source) | {
        "quantiles": [list(point) for point in points]
    }


def _by_distance(sample: Samples, source: str) -> _Table:
    points = _points(sample)
    value = mean(points)
    time = _time(value, (points[0][1], points[-1][1]), source)
    return {
        "core": time,
        "socket": time,
        "quantiles": [[p, _short(v / value)] for p, v in points],
    }


def _points(sample: Samples) -> list[tuple[float, float]]:
    nr = min(_KNOTS, max(2, len(sample)))
    p = np.linspace(0, 1, nr)
    values = np.quantile(sample, p)
    if mean(list(zip(p.tolist(), values.tolist(), strict=True))) < _LEAST_NS:
        # All below the resolution of the clock.
        values = values + _LEAST_NS
    return [(_short(x), _short(v)) for x, v in zip(p.tolist(), values.tolist(), strict=True)]


def _time(ns: float, limits: tuple[float, float], source: str) -> _Table:
    value = _short(ns)
    return {
        "value": value,
        "unit": "ns",
        "kind": "measured",
        "range": [min(_short(limits[0]), value), max(_short(limits[1]), value)],
        "source": source,
    }


def _topology(nr_cpus: int) -> _Table:
    def fact(value: object, source: str, kind: str = "assumed") -> _Table:
        return {"value": value, "kind": kind, "source": source}

    unknown = "assumed: a trace does not tell; all CPUs equally far"
    return {
        "sockets": fact(1, unknown),
        "nodes": fact(1, unknown),
        "cores_per_socket": fact(nr_cpus, unknown),
        "threads_per_core": fact(1, unknown),
        "cpus": fact(nr_cpus, "the trace", "measured"),
        "numbering": fact("siblings-last", unknown),
        "socket_hops": fact([[0]], unknown),
    }


def _no_idle(source: str) -> _Table:
    time = _time(0.0, (0.0, 0.0), f"{source}: what leaving an idle state takes is part of delivery")
    return {"name": "any", "exit_latency": time, "residency": time, "polling": False}


def _notes(
    trace: Ftrace, start: Machine, job: FlushJob, costs: TraceCosts, nr_fitted: int
) -> tuple[str, ...]:
    found = list(trace.notes)
    if len(job.flushes) < _FEW:
        found.append(f"{len(job.flushes)} flushes are few: the tails are guesses")
    if nr_fitted == len(job.flushes):
        found.append("no flush was left for a check")
    if job.others:
        found.append(f"{job.others} other flushes of the trace were not used")
    found.append(
        f"one CPU count: how costs grow beyond {job.targets + 1} CPUs, and with distance, is not"
        " in it"
    )
    for name, events in STEPS.items():
        if name not in costs.samples and name not in ("inject", "deliver"):
            found.append(f"{name}: as on {start.name}; it needs {events}")
    if not costs.serial and costs.ks_serial < costs.ks_parallel:
        found.append(
            f"interrupts arrive one after another, which {start.name} has not, as it is no guest"
        )
    if "enqueue" not in costs.samples and job.targets > 1:
        found.append("delivery has in it what enqueueing and sending took")
    times = np.concatenate([job.flushes["start_ns"], job.flushes["end_ns"]])
    if not (times % _RESOLUTION_NS).any():
        found.append("times are whole us: nothing shorter is told apart")
    arrival = costs.samples.get("inject", costs.samples.get("deliver"))
    usual = float(max(time.exact_ns for time in start.costs.deliver.times.values()))
    if arrival is not None and np.median(arrival) > _EMULATED * usual:
        median = float(np.median(arrival))
        found.append(
            f"an interrupt takes {median / 1000:.3g} us, {median / usual:.0f} times as long as on"
            f" {start.name}: an emulated clock or CPU, costs of no real machine"
        )
    return tuple(found)


def _short(value: float) -> float:
    return float(f"{value:.6g}")
