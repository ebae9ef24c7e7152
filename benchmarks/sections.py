# SPDX-License-Identifier: MIT
"""
What is measured
----------------

Each section measures one thing and returns its table, its figures for JSON and
the targets that it can judge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from benchmarks import kernel_side
from benchmarks.host import child
from benchmarks.in_c import Heap, Recursion
from benchmarks.in_engines import Bare, Compiled, Events, OneCall
from benchmarks.in_salabim import Salabim
from benchmarks.in_simpy import LeanSimpy
from benchmarks.table import number, table
from benchmarks.timing import Cost, agree, costs, interleaved, lower_cpus, seconds
from benchmarks.work import Implementation, Work

__all__ = ("IMPLEMENTATIONS", "SECTIONS", "Plan", "Section", "Target")

MACHINE = "epyc-7j13-vm252"
CPUS = 252

IMPLEMENTATIONS: tuple[Implementation, ...] = (
    Recursion(), OneCall(), Bare(), Compiled(), Heap(), LeanSimpy(), Salabim(), Events(),
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """How much to measure, and with what."""

    implementations: tuple[Implementation, ...]
    rounds: int
    effort: float
    quick: bool

    def able(self, tasks: int) -> list[Implementation]:
        """Return the implementations that can run so many tasks."""
        return [one for one in self.implementations if tasks <= one.max_tasks]


@dataclass(frozen=True)
class Target:
    """Something to reach: ``measured`` at most, or at least, a ``limit``."""

    what: str
    measured: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether it is reached."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def row(self) -> tuple[str, str, str, str]:
        """Return it as cells of a table."""
        sign = ">=" if self.at_least else "<="
        verdict = "met" if self.met else "MISSED"
        return self.what, f"{sign} {number(self.limit)}", number(self.measured), verdict


@dataclass(frozen=True)
class Section:
    """What a section found."""

    text: str
    figures: Any
    targets: list[Target] = field(default_factory=list)


def broadcast(plan: Plan) -> Section:
    """One task on two machines: every implementation."""
    machines = {MACHINE: CPUS, "xeon-e7-8895-8s": 288}
    found: dict[str, dict[str, Cost]] = {}
    for machine, cpus in machines.items():
        _agree(plan, machine, cpus, 1)
        found[machine] = costs(plan.able(1), machine, cpus, 1, plan.rounds, plan.effort)
    rows = []
    for one in plan.able(1):
        row = [one.name]
        for by_name in found.values():
            cost, limit = by_name[one.name], by_name.get(Recursion.name)
            ratio = number(cost.marginal_ns / limit.marginal_ns) if limit else "-"
            row += [number(cost.marginal_ns), number(cost.whole_ns), ratio]
        rows.append(row)
    head = ("ns per IPI", "epyc252", "whole", "x C", "xeon288", "whole", "x C")
    first = found[MACHINE]
    targets = []
    if mine := first.get(Compiled.name):

        def ratio_to(name: str) -> float | None:
            other = first.get(name)
            return other.marginal_ns / mine.marginal_ns if other else None

        c, simpy, heap = map(ratio_to, (Recursion.name, LeanSimpy.name, Heap.name))
        if c is not None:
            targets.append(Target("marginal cost, x the C limit", 1 / c, 3))
        if simpy is not None:
            targets.append(Target("x faster than the leanest SimPy", simpy, 60, at_least=True))
        if heap is not None:
            targets.append(Target("x faster than the C heap", heap, 3, at_least=True))
    return Section(
        table("One task: marginal against 2 CPUs, and the whole", head, rows),
        {machine: _plain(by_name) for machine, by_name in found.items()},
        targets,
    )


def cpus(plan: Plan) -> Section:
    """Numbers of CPUs, beyond what the profile has."""
    counts = (8, 252, 1024) if plan.quick else (8, 64, 252, 1024, 4096)
    found = {}
    for count in counts:
        _agree(plan, MACHINE, count, 1)
        found[count] = costs(plan.able(1), MACHINE, count, 1, plan.rounds, plan.effort)
    texts = []
    for title, part in (("marginal", "marginal_ns"), ("whole", "whole_ns")):
        rows = [
            [one.name, *(number(getattr(found[count][one.name], part)) for count in counts)]
            for one in plan.able(1)
        ]
        head = ("", *(f"{count:,}" for count in counts))
        texts.append(table(f"CPUs: {title} ns per IPI, one task", head, rows))
    return Section(
        "\n".join(texts),
        {str(count): _plain(by_name) for count, by_name in found.items()},
    )


def tasks(plan: Plan) -> Section:
    """Several tasks that interrupt each other."""
    counts = (1, 16) if plan.quick else (1, 4, 16, 64)
    found = {}
    for count in counts:
        _agree(plan, MACHINE, CPUS, count)
        found[count] = costs(plan.able(max(counts)), MACHINE, CPUS, count, plan.rounds, plan.effort)
    rows = []
    for one in plan.able(max(counts)):
        for name, part in (("marginal", "marginal_ns"), ("whole", "whole_ns")):
            cells = [number(getattr(found[count][one.name], part)) for count in counts]
            rows.append([f"{one.name}, {name}", *cells])
    targets = []
    if {Compiled.name, Heap.name} <= set(found[16]):
        heap, ours = found[16][Heap.name], found[16][Compiled.name]
        for part, ratio in (
            ("marginal", heap.marginal_ns / ours.marginal_ns),
            ("whole", heap.whole_ns / ours.whole_ns),
        ):
            name = f"16 tasks, {part}: x faster than the C heap"
            targets.append(Target(name, ratio, 2.5, at_least=True))
    return Section(
        table(
            f"Tasks on {CPUS} CPUs: ns per call on another CPU (marginal: from tasks + 1)",
            ("", *map(str, counts)),
            rows,
        ),
        {str(count): _plain(by_name) for count, by_name in found.items()},
        targets,
    )


def linear(plan: Plan) -> Section:
    """Numbers of flushes."""
    counts = (1000, 10_000, 50_000) if plan.quick else (1000, 10_000, 100_000, 500_000, 1_000_000)
    ours = [one for one in plan.implementations if one.name in {Compiled.name, Recursion.name}]

    def measure(one: Implementation, nr: int) -> Callable[[], float]:
        work = Work(MACHINE, CPUS, 1, nr)
        return lambda: seconds(one.prepare(work, checked=False).run)

    rows, figures, targets = [], {}, []
    for one in ours:
        taken = interleaved(min(3, plan.rounds), [measure(one, nr) for nr in counts])
        us = [median(times) / nr * 1e6 for times, nr in zip(taken, counts, strict=True)]
        rows.append([f"{one.name}, us per flush", *map(number, us)])
        figures[one.name] = dict(zip(map(str, counts), us, strict=True))
        if one.name == Compiled.name:
            inside = [u for u, nr in zip(us, counts, strict=True) if 10_000 <= nr <= 500_000]
            off = (max(inside) / min(inside) - 1) * 100
            targets.append(Target("us per flush differ from 1e4 to 5e5, %", off, 10))
    head = ("", *(f"{count:,}" for count in counts))
    return Section(table(f"Flushes of one task on {CPUS} CPUs", head, rows), figures, targets)


def memory(plan: Plan) -> Section:
    """Peak memory of the compiled engine."""
    if not any(one.name == Compiled.name for one in plan.implementations):
        return Section("Memory: skipped, the compiled engine is not compiled here.\n", {})
    cells = [(2, 1, 1), (CPUS, 1, 1000), (CPUS, 1, 100_000), (4096, 1, 1000), (CPUS, 64, 100)]
    if not plan.quick:
        cells += [(CPUS, 1, 500_000), (4096, 64, 20)]
    rows, figures = [], []
    for nr_cpus, nr_tasks, flushes in cells:
        taken = child("loop", MACHINE, str(nr_cpus), str(nr_tasks), str(flushes))
        peak_mb = taken["peak_bytes"] / 1e6
        rows.append([f"{nr_cpus:,}", str(nr_tasks), f"{flushes:,}", number(peak_mb)])
        figures.append({"cpus": nr_cpus, "tasks": nr_tasks, "flushes": flushes, **taken})
    head = ("CPUs", "tasks", "flushes each", "peak MB")
    return Section(table("Memory of a process with the compiled engine", head, rows), figures)


def kernel(plan: Plan) -> Section:
    """The kernel side, flushes apart."""
    sizes = (2048, 8192) if plan.quick else (8192, 32_768)
    flush = kernel_side.flush_us(plan.rounds)
    found = kernel_side.per_folio(("v6.6", "v6.7"), sizes, plan.rounds)
    rows, targets = [], []
    for one in found:
        besides = one.us - one.flushes * flush
        rows.append(
            [f"{one.kernel} {one.phase}", number(one.us), number(one.flushes), number(besides)]
        )
        aim = 8 if one.kernel == "v6.6" else 5
        targets.append(Target(f"us per folio, {one.kernel} {one.phase}", besides, aim))
    head = ("on one CPU, HVO on", "us per folio", "flushes", "us besides them")
    return Section(
        table(f"Kernel side (a flush on one CPU: {number(flush)} us)", head, rows),
        {"flush_us": flush, "sizes": sizes, "per_folio": [asdict(one) for one in found]},
        targets,
    )


def checker(plan: Plan) -> Section:
    """The same runs with the checker and without, interleaved."""
    pages = 2048 if plan.quick else 16_384
    full_pages = 65_536 if plan.quick else 524_288
    rows, figures, targets = [], {}, []
    for name in kernel_side.CHECKED:
        without_s, ratio = kernel_side.checker_ratio(name, pages, plan.rounds)
        rows.append([f"{name}, {pages:,} pages", number(without_s), f"{ratio:.2f}", "", ""])
        figures[name] = {"pages": pages, "without_s": without_s, "ratio": ratio}
    for name in kernel_side.JOBS:
        off, on = (
            kernel_side.checked_job(name, full_pages, checked=checked) for checked in (False, True)
        )
        ratios = {part: on[part] / off[part] for part in ("cpu_s", "peak_bytes")}
        rows.append(
            [
                f"{name}, {full_pages:,} pages", number(off["cpu_s"]), f"{ratios['cpu_s']:.2f}",
                number(off["peak_bytes"] / 1e6), f"{ratios['peak_bytes']:.2f}",
            ]
        )  # fmt: skip
        figures[f"{name}, whole process"] = {"pages": full_pages, "without": off, "with": on}
        targets.append(Target(f"checker, {name}: CPU, x", ratios["cpu_s"], 1.15))
        targets.append(Target(f"checker, {name}: memory, x", ratios["peak_bytes"], 1.10))
    head = ("252 vCPUs, alloc and free", "CPU s", "checked, x", "peak MB", "checked, x")
    return Section(table("The checker on every run", head, rows), figures, targets)


def full(plan: Plan) -> Section:
    """The published job, as a user runs it."""
    pages = 16_384 if plan.quick else 524_288
    rows, figures, targets = [], {}, []
    for name, limit_s in zip(kernel_side.JOBS, (25, 8), strict=True):
        taken = kernel_side.full_job(name, pages)
        peak_mb = taken["peak_bytes"] / 1e6
        values = (taken["wall_s"], taken["cpu_s"], peak_mb)
        rows.append([f"{name}, {pages:,} pages", *map(number, values)])
        figures[name] = {"pages": pages, **taken}
        if not plan.quick:
            targets.append(Target(f"full job {name}, s", taken["wall_s"], limit_s))
            targets.append(Target(f"full job {name}, MB", peak_mb, 600))
    head = ("tlbsim run --json, 252 vCPUs", "wall s", "CPU s", "peak MB")
    return Section(table("Alloc and free", head, rows), figures, targets)


#: By the names that --only takes; the last only on demand.
SECTIONS: dict[str, Callable[[Plan], Section]] = {
    "broadcast": broadcast,
    "cpus": cpus,
    "tasks": tasks,
    "linear": linear,
    "memory": memory,
    "kernel": kernel,
    "checker": checker,
    "full": full,
}


def _agree(plan: Plan, machine: str, nr_cpus: int, nr_tasks: int) -> None:
    # All with the checksum, at both ends; the fast ones also over many flushes.
    able = plan.able(nr_tasks)
    short = max(2, 10_000 // (nr_tasks * nr_cpus))
    agree(able, Work(machine, nr_cpus, nr_tasks, short))
    agree(able, Work(machine, lower_cpus(nr_tasks), nr_tasks, short))
    fast: Sequence[Implementation] = [one for one in able if one.csds > 1_000_000]
    csds = 200_000 if plan.quick else 1_000_000
    long = max(2, csds // (nr_tasks * nr_cpus))
    agree(
        fast,
        Work(machine, nr_cpus, nr_tasks, long, seed=2),
    )


def _plain(by_name: dict[str, Cost]) -> dict[str, object]:
    return {name: cost.plain() for name, cost in by_name.items()}
