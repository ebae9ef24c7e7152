# SPDX-License-Identifier: MIT
"""
Small results made by hand, with every frame and every column that a result offers.

The numbers are roughly those of a real run, so that what is drawn from them
can be looked at; none of them comes from the simulator.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest


@dataclass(frozen=True)
class Machine:
    name: str
    title: str
    calibration: tuple[Any, ...] = ()

    def fits(self) -> tuple[Any, ...]:
        return self.calibration

    @property
    def nr_cpus(self) -> int:
        return COSTS[self.name][0]


VM = Machine("epyc-7j13-vm252", "VM with 252 vCPUs on a host with 2 AMD EPYC 7J13 (Milan)")
XEON = Machine("xeon-e7-8895-8s", "8-socket Intel Xeon E7-8895, bare metal")
LAPTOP = Machine("laptop-8", "A laptop with 8 CPUs")

# Machine -> CPUs, ns per flush target, ns of other work per folio.
COSTS = {VM.name: (252, 1080, 9000), XEON.name: (288, 155, 13000), LAPTOP.name: (8, 100, 8000)}


@dataclass(frozen=True)
class Scenario:
    machine: Any = VM
    kernel: str = "v6.6"
    pages: int = 256
    page_size: str = "2M"
    hvo: bool = True
    phases: tuple[str, ...] = ("alloc", "free")
    path: str = "pool"
    allocators: int = 1
    cpus: int | None = None
    placement: str = "aligned"
    free_pages: int | None = None
    faults: dict[str, tuple[int, ...]] = field(default_factory=dict)
    noise: str = "quiet"
    tunables: dict[str, int] = field(default_factory=dict)
    seed: int = 1
    replication: int = 0
    engine: str = "auto"

    @property
    def machine_model(self) -> Any:
        return self.machine

    @cached_property
    def kernel_class(self) -> Any:
        return SimpleNamespace(
            name=self.kernel,
            commit="",
            subject="",
            proposed_in="",
            TUNABLES={},
            digest=lambda: hashlib.sha256(self.kernel.encode()).hexdigest(),
        )

    @property
    def nr_cpus(self) -> int:
        return self.machine.nr_cpus if self.cpus is None else self.cpus


def flushes_of(scenario: Scenario, phase: str) -> int:
    if not scenario.hvo:
        return 0
    n, splits = scenario.pages, -(-scenario.pages // 64)
    first = {"v6.6": n + splits, "v6.6+5": n + splits, "v6.6+6": n + 1}.get(scenario.kernel, 2)
    last = 1 if scenario.kernel in ("v6.6+8", "v6.7") else n
    return first if phase.startswith("alloc") else last


def make(**fields: Any) -> SimpleNamespace:
    """Return a result with all its frames."""
    s = Scenario(**fields)
    nr_cpus, target_ns, work_ns = COSTS[s.machine.name]
    nr_cpus = s.cpus or nr_cpus
    rng = np.random.default_rng([s.seed, s.pages, nr_cpus])
    parts: dict[str, list[pd.DataFrame]] = {
        name: []
        for name in (
            "summary",
            "counts",
            "folios",
            "flushes",
            "cpus",
            "time_by",
            "throughput",
            "latency",
        )
    }
    clock, first_flush = 0, 0
    for phase in s.phases:
        nr_flushes = flushes_of(s, phase)
        flush_ns = 2000 + target_ns * (nr_cpus - 1)
        flush = (flush_ns * rng.normal(1, 0.03, nr_flushes)).astype(np.int64)
        work = (work_ns * rng.lognormal(0, 0.2, s.pages)).astype(np.int64)
        elapsed = int(flush.sum() + work.sum())
        phase_frames(parts, s, phase, nr_cpus, flush, work, clock, first_flush)
        clock += elapsed
        first_flush += nr_flushes
    frames = {}
    for name, pieces in parts.items():
        frame = pd.concat(pieces, ignore_index=True)
        frame["phase"] = pd.Categorical(frame["phase"], categories=s.phases)
        frames[name] = frame
    provenance = {
        "version": "1.0.0",
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "key": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "assumed_costs": 31,
        "costs": 74,
    }
    return SimpleNamespace(scenario=s, provenance=provenance, **frames)


def phase_frames(parts, s, phase, nr_cpus, flush, work, clock, first_flush) -> None:
    """Append the rows of one phase to every frame."""
    n, elapsed, flush_ns = s.pages, int(flush.sum() + work.sum()), int(flush.sum())
    batched = len(flush) < n
    own_flush = np.zeros(n, dtype=np.int64)
    if not batched:
        own_flush += flush[:n]
    took = work + own_flush
    if batched and len(flush):
        took = took + flush[-1]
    ends = clock + np.cumsum(work + own_flush)
    ready = np.full(n, clock + elapsed) if batched and len(flush) else ends
    lost = 0 if nr_cpus == 1 else 1900 * len(flush)
    parts["summary"].append(
        pd.DataFrame(
            {
                "phase": [phase],
                "pages": [n],
                "elapsed_ns": [elapsed],
                "elapsed_s": [elapsed / 1e9],
                "pages_per_s": [n / (elapsed / 1e9)],
                "flushes": [len(flush)],
                "ipis": [len(flush) * (nr_cpus - 1)],
                "ipis_saved": [0],
                "other_broadcasts": [3 if phase == "alloc" else 0],
                "other_ipis": [3 * (nr_cpus - 1) if phase == "alloc" else 0],
                "flush_ns": [flush_ns],
                "flush_share": [flush_ns / elapsed],
                "pmd_splits": [-(-n // 64) if s.hvo and phase == "alloc" else 0],
                "optimized_folios": [n if s.hvo and phase == "alloc" else 0],
                "failed_folios": [0],
                "peak_held_pages": [(7 * n if batched else 7) if len(flush) else 0],
                "free_pages_min": [10_000_000],
                "ptl_held_max_ns": [int(flush.max()) if len(flush) and not batched else 450],
                "irqs_off_max_ns": [60 * n],
                "preempt_off_max_ns": [60 * n + 10],
                "victim_lost_median_ns": [lost],
                "victim_lost_max_ns": [int(lost * 1.8)],
            }
        )
    )
    parts["counts"].append(
        pd.DataFrame(
            {
                "phase": [phase],
                "pages_got": [n if phase == "alloc" else 0],
                "pmd_splits": [-(-n // 64) if s.hvo and phase == "alloc" else 0],
                "flush_tlb_kernel_range_calls": [0 if batched else len(flush)],
                "flush_tlb_all_calls": [len(flush) if batched else 0],
                "do_flush_tlb_all_exec_total": [len(flush) * nr_cpus],
                "do_kernel_range_flush_exec_total": [0],
                "flush_tlb_one_kernel_exec_total": [0],
                "on_each_cpu_calls": [len(flush) + 3],
                "vmemmap_pages_freed": [7 * n],
                "vmemmap_head_pages_allocated": [n],
                "vmemmap_pages_allocated_restore": [0],
                "synchronize_rcu_calls": [0],
                "hugepage_allocs": [n],
            }
        )
    )
    parts["folios"].append(
        pd.DataFrame(
            {
                "phase": phase,
                "folio": np.arange(n),
                "task": 0,
                "pfn": 512 * np.arange(n),
                "start_ns": ends - took,
                "split_ns": 0,
                "remap_ns": 0,
                "restore_ns": 0,
                "flush_ns": own_flush,
                "end_ns": ends,
                "ready_ns": ready,
                "status": "optimized" if s.hvo else "plain",
            }
        )
    )
    starts = clock + np.arange(len(flush)) * (elapsed // max(1, len(flush)))
    parts["flushes"].append(
        pd.DataFrame(
            {
                "phase": phase,
                "flush": first_flush + np.arange(len(flush)),
                "task": 0,
                "cpu": 3 % nr_cpus,
                "reason": "batch_remap" if batched else "remap",
                "kind": "all" if batched else "range",
                "pages": 8,
                "start_ns": starts,
                "send_end_ns": starts + flush // 2,
                "last_ack_ns": starts + flush - 300,
                "end_ns": starts + flush,
                "targets": nr_cpus - 1,
                "ipis": nr_cpus - 1,
                "icr_writes": max(1, nr_cpus // 16),
                "slowest_cpu": nr_cpus - 1,
            }
        )
    )
    parts["cpus"].append(
        pd.DataFrame(
            {
                "phase": phase,
                "cpu": np.arange(nr_cpus),
                "socket": 0,
                "role": ["initiator" if c == 3 % nr_cpus else "target" for c in range(nr_cpus)],
                "ipis": len(flush),
                "handler_ns": lost,
                "refill_ns": 0,
                "lost_ns": lost,
                "idle_woken": 0,
                "irqs_off_delay_ns": 0,
            }
        )
    )
    spent = {
        "flush_enqueue": int(flush_ns * 0.3),
        "flush_send": int(flush_ns * 0.15),
        "flush_local": int(flush_ns * 0.02),
        "huge_page_alloc" if phase == "alloc" else "huge_page_free": int(work.sum() * 0.5),
        "page_copy": int(work.sum() * 0.2),
        "page_alloc": int(work.sum() * 0.09),
        "page_free": int(work.sum() * 0.08),
        "remap": int(work.sum() * 0.06),
        "pte_page_fill": int(work.sum() * 0.03),
        "hugetlb_lock": int(work.sum() * 0.02),
    }
    spent["flush_wait"] = flush_ns - sum(v for k, v in spent.items() if k.startswith("flush"))
    spent["bookkeeping"] = elapsed - sum(spent.values())
    parts["time_by"].append(
        pd.DataFrame(
            {
                "phase": phase,
                "task": 0,
                "category": list(spent),
                "ns": list(spent.values()),
                "share": [ns / elapsed for ns in spent.values()],
            }
        )
    )
    windows = 20
    edges = clock + np.arange(windows + 1) * (elapsed // windows + 1)
    per_window = np.histogram(ready, bins=edges)[0]
    parts["throughput"].append(
        pd.DataFrame(
            {
                "phase": phase,
                "start_ns": edges[:-1],
                "window_ns": np.diff(edges),
                "folios": per_window,
                "folios_worked": per_window,
                "pages_per_s": per_window / (np.diff(edges) / 1e9),
            }
        )
    )
    for what, sample in (
        ("folio", took),
        ("flush", flush),
        ("ack", np.repeat(flush, 4) // 2),
        ("handler", (1900 * np.random.default_rng(1).lognormal(0, 0.3, 4 * len(flush)))),
    ):
        values, counts = np.unique(
            np.asarray(sample, dtype=np.int64) // 64 * 64, return_counts=True
        )
        parts["latency"].append(
            pd.DataFrame(
                {
                    "phase": phase,
                    "what": what,
                    "low_ns": values,
                    "high_ns": values + 64,
                    "count": counts,
                }
            )
        )


def make_ipis(result: SimpleNamespace, flush: int) -> pd.DataFrame:
    """Return the IPIs of one flush, as ``Result.ipis`` does."""
    row = result.flushes[result.flushes["flush"] == flush].iloc[0]
    targets = [c for c in sorted(result.cpus["cpu"].unique()) if c != row["cpu"]]
    rng = np.random.default_rng(flush)
    n = len(targets)
    states = rng.choice(["running", "idle", "irqs_off", "preempted"], n, p=[0.8, 0.1, 0.07, 0.03])
    span = int(row["send_end_ns"] - row["start_ns"])
    enqueue = int(row["start_ns"]) + 500 + np.arange(n) * (span // 2) // n
    send = int(row["start_ns"]) + span // 2 + np.arange(n) // 16 * (span // 2 * 16 // n)
    arrive = send + 600
    delay = np.array(
        [{"running": 0, "idle": 2000, "irqs_off": 4000, "preempted": 15000}[x] for x in states]
    )
    start = arrive + delay
    end = start + (1500 * rng.lognormal(0, 0.3, n)).astype(np.int64)
    ack = np.maximum.accumulate(np.maximum(end, int(row["send_end_ns"]))) + 400 * np.arange(n)
    return pd.DataFrame(
        {
            "flush": flush,
            "cpu": targets,
            "enqueue_ns": enqueue,
            "send_ns": send,
            "arrive_ns": arrive,
            "start_ns": start,
            "end_ns": end,
            "ack_ns": ack,
            "state": states,
            "sent": rng.random(n) > 0.02,
        }
    )


@pytest.fixture
def result():
    """Return the maker of results."""
    return make


@pytest.fixture
def vm():
    return VM


@pytest.fixture
def xeon():
    return XEON


@pytest.fixture
def laptop():
    return LAPTOP


@pytest.fixture
def ipis():
    """Return the maker of the IPIs of one flush."""
    return make_ipis
