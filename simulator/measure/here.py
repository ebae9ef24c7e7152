# SPDX-License-Identifier: MIT
"""
Measuring this machine
----------------------

What an ordinary process can find out about the costs of a TLB shootdown and of
memory work, with nothing but system calls: each finding is the median over a
few rounds of the median of many calls.

Modelled: flushes of user memory that the process shares with threads on the
other CPUs; ``/proc/interrupts`` proves for every round that they were
interrupted.  The slope over few pages, less that over more than the kernel
flushes one by one, is the cost of invalidating one page.

Not modelled: anything that takes privileges or code of one's own in the kernel;
how the cost of the first target is divided between sending, delivery and entry.

Sources: Linux v6.6 arch/x86/mm/tlb.c (tlb_single_page_flush_ceiling is 33
unless changed), mm/mprotect.c, kernel/sched/membarrier.c.
"""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from simulator.errors import InputError
from simulator.measure.calls import Calls, Region, Timed, clock
from simulator.measure.findings import Finding, Gap, Median, median_of
from simulator.measure.host import Host, read_host
from simulator.measure.interrupts import read_interrupts
from simulator.measure.peers import Peers, bound

__all__ = ("Here", "Shootdowns", "measure_here")

_ROUNDS = 9
_CALLS = 200
_ALONE_NS = 5_000_000
# Below this share of calls that interrupted every peer, one of them was not running.
_SEEN = 0.9
_ONE_BY_ONE = (8, 16, 24, 32)  # pages: flushed one by one
_AS_A_WHOLE = (64, 128, 192, 256)  # pages: above the ceiling
_COLD_PAGES = 16384  # 64 MB: beyond the caches of a CPU
_STRIDE = 7919  # a prime number of pages: no prefetcher follows
_GRACE_PERIODS = 9
_MOST_TRIES = 3  # of a round, where other processes get in between


@dataclass(frozen=True)
class Shootdowns:
    """One page flushed while ``peers`` threads ran: rounds tried, rounds that were proven."""

    peers: int
    calls: int
    interrupts: int  # that the peers took, all together
    rounds: int
    proven: int


@dataclass
class Here:
    """What was found out about this machine, and what was not."""

    host: Host
    cpu: int
    peers: tuple[int, ...]
    findings: list[Finding] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    shootdowns: list[Shootdowns] = field(default_factory=list)
    prioritised: bool = False

    def get(self, key: str) -> Median | None:
        """Return what was found under a key, if anything."""
        return next((f.median for f in self.findings if f.key == key), None)


def measure_here(root: Path = Path("/"), rounds: int = _ROUNDS) -> Here:
    """
    Measure this machine for some seconds; InputError where it cannot be done.

    ``root`` is where ``/proc`` and ``/sys`` are read.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise InputError(
            f"here: measures Linux on x86_64, not {platform.system()} on {platform.machine()}"
        )
    usable = sorted(os.sched_getaffinity(0))
    here = Here(read_host(root), usable[0], tuple(usable[1:]))
    # In a thread of its own, whose CPU and priority end with it.
    with ThreadPoolExecutor(1) as worker:
        try:
            worker.submit(_measure, here, root, rounds).result()
        except OSError as error:
            raise InputError(f"here: this machine lets nobody measure: {error}") from None
    return here


def _measure(here: Here, root: Path, rounds: int) -> None:
    here.prioritised = bound(here.cpu)
    calls = Calls()
    _system_call(here, calls, rounds)
    _pages(here, calls, rounds)
    _memory(here, calls, rounds)
    _faults(here, calls, rounds)
    _grace_periods(here, calls)
    if here.peers:
        with Peers(here.peers) as peers:
            peers.tune()
            _shootdowns(here, calls, peers, root, rounds)
    else:
        why = f"this process may use only CPU {here.cpu}"
        here.gaps.append(Gap("shootdowns, IPIs, what they cost their targets", why))
    _cannot(here)


# --- one CPU ------------------------------------------------------------------------


def _system_call(here: Here, calls: Calls, rounds: int) -> None:
    found = median_of([_median(calls.getppid) for _ in range(rounds)])
    here.findings.append(Finding("call", "getppid(), Python and clock included", found))


def _pages(here: Here, calls: Calls, rounds: int) -> None:
    regions = {n: Region(calls, n) for n in (1, *_ONE_BY_ONE, *_AS_A_WHOLE)}
    one, below, above = [], [], []
    for _ in range(rounds):
        took = {n: _median(region.protect, _CALLS // 4) for n, region in regions.items()}
        one.append(took[1])
        below.append(_slope([(n, took[n]) for n in _ONE_BY_ONE]))
        above.append(_slope([(n, took[n]) for n in _AS_A_WHOLE]))
    for region in regions.values():
        region.__exit__()
    here.findings += [
        Finding("mprotect", "mprotect() of one page, nobody else", median_of(one)),
        Finding("mprotect_page", "each further page, up to 32", median_of(below)),
        Finding("pte_change", "each further page, 64 to 256 (one full flush)", median_of(above)),
    ]
    difference = [b - a for b, a in zip(below, above, strict=True)]
    if statistics.median(difference) > 0:
        text = "invalidation of one page: the difference of the two"
        here.findings.append(Finding("invlpg", text, median_of(difference)))
    else:
        here.gaps.append(Gap("invalidation of one page", "pages cost no more below the ceiling"))


def _memory(here: Here, calls: Calls, rounds: int) -> None:
    hot, cold, filled = [], [], []
    # Twice the cache, so that a page is gone from it before its turn comes again.
    nr_pages = max(_COLD_PAGES, 2 * here.host.cache_kib // 4)
    nr_pages = min(nr_pages, here.host.node_kib // 4 // 8)
    nth = count()
    with Region(calls, nr_pages) as region:
        calls.lib.memset(region.start, 1, region.size)

        def far_page() -> int:
            return 1 + next(nth) * _STRIDE % (nr_pages - 1)

        for _ in range(rounds):
            nothing = _median(lambda: region.copy(0, 1, 0))
            hot.append(_median(lambda: region.copy(0, 1)) - nothing)
            cold.append(_median(lambda: region.copy(0, far_page())) - nothing)
            filled.append(_median(lambda: region.fill(far_page())) - nothing)
    spread = f"spread over {nr_pages >> 8} MB"
    here.findings += [
        Finding("page_copy_hot", "copy of 4 KB, both pages in the cache", median_of(hot)),
        Finding("page_copy_near", f"copy of 4 cached KB to pages {spread}", median_of(cold)),
        Finding("pte_page_fill", f"4 KB written to pages {spread}", median_of(filled)),
    ]


def _faults(here: Here, calls: Calls, rounds: int) -> None:
    nr_pages = 512
    singly, together, back = [], [], []
    with Region(calls, nr_pages) as region:
        for _ in range(rounds):
            calls.lib.madvise(region.start, region.size, 4)
            singly.append(statistics.median(region.touch(page) for page in range(nr_pages)))
            if (ns := region.populate()) is not None:
                together.append(ns / nr_pages)
            back.append(region.discard() / nr_pages)
    here.findings.append(Finding("fault", "page fault, page cleared", median_of(singly)))
    if together:
        text = "the same without the exception, 512 at a time"
        here.findings.append(Finding("populate", text, median_of(together)))
    here.findings.append(
        Finding("discard", "page given back by madvise(), 512 at a time", median_of(back))
    )


def _grace_periods(here: Here, calls: Calls) -> None:
    took = [ns for _ in range(_GRACE_PERIODS) if (ns := calls.grace_period()) is not None]
    if len(took) < _GRACE_PERIODS or len(here.host.cpus) < 2:
        why = "membarrier(GLOBAL) is not to be had, or there is one CPU only"
        here.gaps.append(Gap("RCU grace period", why))
        return
    text = "RCU grace period, as membarrier(GLOBAL)"
    here.findings.append(Finding("synchronize_rcu", text, median_of(took)))


# --- with the other CPUs --------------------------------------------------------------


@dataclass(frozen=True)
class _Round:
    """One round with peers: extra time per call, what each interrupt cost its target."""

    calls: int
    interrupts: int
    extra_ns: float
    lost_ns: float

    def proves(self, number: int) -> bool:
        """Whether each call interrupted each of ``number`` others."""
        return self.interrupts >= _SEEN * self.calls * number


def _shootdowns(here: Here, calls: Calls, peers: Peers, root: Path, rounds: int) -> None:
    path = root / "proc/interrupts"
    if not read_interrupts(path).has_shootdowns:
        why = f"{path} has no line TLB, so nothing would prove that one happened"
        here.gaps.append(Gap("shootdowns", why))
        return
    extra: dict[int, Median] = {}
    with Region(calls, 1) as region:
        for number in _ladder(len(here.peers)):
            tried, proven = _rounds(region.protect, peers, number, path, "TLB", rounds)
            here.shootdowns.append(
                Shootdowns(
                    number,
                    sum(r.calls for r in tried),
                    sum(r.interrupts for r in tried),
                    len(tried),
                    len(proven),
                )
            )
            if not proven:
                here.gaps.append(Gap(f"shootdown of {number} others", _why_unproven(here)))
                continue
            extra[number] = median_of([r.extra_ns for r in proven])
            text = f"flush of one page, {number} running, more than alone"
            here.findings.append(Finding(f"shootdown_{number}", text, extra[number]))
            lost = median_of([r.lost_ns for r in proven])
            if number == 1 and lost.value_ns > 0:
                text = "what a target loses to one of them"
                here.findings.append(Finding("lost", text, lost))
            elif number == 1:
                here.gaps.append(Gap("what a target loses", "its work took no longer with flushes"))
    _per_target(here, extra)
    _membarrier(here, calls, peers, path, rounds)


def _rounds(
    timed: Timed, peers: Peers, number: int, path: Path, line: str, wanted: int
) -> tuple[list[_Round], list[_Round]]:
    """Return the rounds tried and, among them, those that were proven: as many as wanted."""
    tried: list[_Round] = []
    proven: list[_Round] = []
    while len(proven) < wanted and len(tried) < _MOST_TRIES * wanted:
        tried.append(_round(timed, peers, number, path, line))
        if tried[-1].proves(number):
            proven.append(tried[-1])
        elif len(tried) >= wanted and not proven:
            break
    return tried, proven


def _round(timed: Timed, peers: Peers, number: int, path: Path, line: str) -> _Round:
    alone = statistics.median(_until(timed, clock() + _ALONE_NS))
    peers.start(number)
    undisturbed = peers.finish()[:number]
    end = peers.start(number)
    before = read_interrupts(path)
    took = _until(timed, end)
    after = read_interrupts(path)
    disturbed = peers.finish()[:number]
    seen = [after.since(before, line, cpu) for cpu in peers.cpus[:number]]
    lost = [
        (long - short) / n for long, short, n in zip(disturbed, undisturbed, seen, strict=True) if n
    ]
    return _Round(
        calls=len(took),
        # Of other processes' interrupts, no more than there were calls can be ours.
        interrupts=sum(min(n, len(took)) for n in seen),
        extra_ns=statistics.median(took) - alone,
        lost_ns=statistics.median(lost) if lost else 0.0,
    )


def _why_unproven(here: Here) -> str:
    last = here.shootdowns[-1]
    if last.interrupts == 0 and here.host.has_invlpgb:
        return "no interrupts seen; the CPU has INVLPGB, which needs none"
    if last.interrupts == 0:
        return "no interrupts seen in /proc/interrupts"
    share = last.interrupts / (last.calls * last.peers)
    text = f"only {100 * share:.0f}% of the calls interrupted the others: they were not running"
    return text if here.prioritised else f"{text}, and real-time priority is not permitted"


def _per_target(here: Here, extra: dict[int, Median]) -> None:
    points = [(n, median.value_ns) for n, median in extra.items()]
    if len(points) < 2:
        why = "takes shootdowns of two different numbers of other CPUs"
        here.gaps.append(Gap("cost of a further target", why))
        return
    slope = _slope(points)
    text = f"each further target, line through {len(points)} numbers of them"
    here.findings.append(Finding("target", text, Median(slope, None, None, len(points))))


def _membarrier(here: Here, calls: Calls, peers: Peers, path: Path, rounds: int) -> None:
    timed = calls.membarrier()
    if timed is None:
        here.gaps.append(Gap("IPI without a flush", "membarrier() is not to be had"))
        return
    _, proven = _rounds(timed, peers, 1, path, "CAL", rounds)
    if not proven:
        here.gaps.append(Gap("IPI without a flush", "membarrier() did not interrupt each time"))
        return
    text = "IPI without a flush, membarrier() with 1 running"
    here.findings.append(Finding("ipi", text, median_of([r.extra_ns for r in proven])))


def _ladder(number: int) -> list[int]:
    return sorted({n for n in (1, 2, 4, 16, 64) if n < number} | {number})


def _cannot(here: Here) -> None:
    here.gaps += [
        Gap("huge pages from the buddy allocator", "needs root; time them: calibrate --times"),
        Gap("transfer of a cache line", "needs native code on two CPUs"),
        Gap("how the first target's cost divides", "a process sees only the sum"),
    ]
    if here.host.nodes > 1:
        here.gaps.append(Gap("copy from another node", "memory was taken as it came"))


# --- arithmetic -------------------------------------------------------------------------


def _median(timed: Timed, calls: int = _CALLS) -> float:
    return statistics.median(timed() for _ in range(calls))


def _until(timed: Timed, end: int) -> list[int]:
    took = [timed()]
    while clock() < end:
        took.append(timed())
    return took


def _slope(points: Sequence[tuple[int, float]]) -> float:
    return statistics.linear_regression(*zip(*points, strict=True)).slope
