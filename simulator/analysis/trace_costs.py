# SPDX-License-Identifier: MIT
"""
What the flushes of a trace cost, step by step
----------------------------------------------

Takes the flushes of a trace of a real machine apart into the steps of the
model: enqueue, delivery, handler, acknowledgement.  Nothing is simulated here.

Modelled: interrupts that arrive side by side, and those that arrive one after
another (a hypervisor that injects them, an emulator that runs one CPU at a time).
Which of the two a trace shows is decided by which explains better when the last
handler of a flush was entered.

Not modelled: distances between CPUs, as a trace does not tell them; what a CPU
was doing when it was interrupted, which stays part of delivery.

Sources: kernel/smp.c, for what lies between two events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from simulator.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from simulator.trace import Ftrace

__all__ = ("STEPS", "FlushJob", "TraceCosts", "flush_job", "ks_distance", "trace_costs")

Samples = npt.NDArray[np.float64]

#: Steps of a flush that a trace may tell, by the name of the cost, and what is missing otherwise.
STEPS: Final[Mapping[str, str]] = {
    "flush_base": "csd_queue_cpu or a probe on the call",
    "enqueue": "csd_queue_cpu",
    "inject": "call_function_entry or csd_function_entry",
    "deliver": "call_function_entry or csd_function_entry",
    "handler_entry": "call_function_entry and csd_function_entry or a probe on the callback",
    "handler_exit": "csd_function_exit and call_function_exit",
    "ack": "csd_function_exit and a probe on the return of the call",
}
_RESAMPLED = 4096
_BINS = 1 << 12  # of totals, up to the longest
_SUM_BITS = 3  # sums beyond eight times the longest total are of no account
# More follow the accidents of few totals.
_ITERATIONS = 50
_NEAR = 5  # bins
_UNSEEN, _LEAST = 1e-3, 1e-12
_SEED = 1


@dataclass(frozen=True, eq=False)
class FlushJob:
    """
    The flushes of a trace that are alike: same function, same pages, same number of targets.

    ``flushes`` are the rows of the ``flushes`` frame, complete and by start; ``others``: how many
    flushes of the trace are none of them.
    """

    function: str
    kind: str
    pages: int
    targets: int
    flushes: pd.DataFrame
    others: int


@dataclass(frozen=True, eq=False)
class TraceCosts:
    """
    What the steps of some flushes took, in nanoseconds.

    ``samples`` by name of a step; those that the trace does not tell are not there.
    ``run_ns``: the least that the callback took.  ``serial``: interrupts arrive one
    after another.  ``ks_serial`` and ``ks_parallel``: how well each explains when the last
    handler was entered (Kolmogorov-Smirnov distance).
    """

    samples: Mapping[str, Samples]
    run_ns: int
    serial: bool
    ks_serial: float
    ks_parallel: float


def flush_job(trace: Ftrace) -> FlushJob:
    """Return the flushes of a trace that are most, and alike; InputError if none has times."""
    flushes = trace.flushes
    timed = flushes[
        flushes["complete"]
        & (flushes["kind"] != "none")
        & (flushes["start_ns"] >= 0)
        & (flushes["elapsed_ns"] > 0)
        & (flushes["targets"] > 0)
        & (flushes["last_ack_ns"] >= flushes["start_ns"])
    ]
    if timed.empty:
        why = "; ".join(trace.notes) or f"events: {', '.join(sorted(trace.events)) or 'none'}"
        raise InputError(f"from-ftrace: {trace.path} has no complete flush with times ({why})")
    alike = timed.groupby(["function", "pages", "targets"], observed=True)
    mine = max((rows for _, rows in alike), key=len)
    every = int((flushes["kind"] != "none").sum())
    return FlushJob(
        function=str(mine["function"].iloc[0]),
        kind=str(mine["kind"].iloc[0]),
        pages=int(mine["pages"].iloc[0]),
        targets=int(mine["targets"].iloc[0]),
        flushes=mine.sort_values("start_ns", kind="stable"),
        others=every - len(mine),
    )


def trace_costs(
    flushes: pd.DataFrame, targets: pd.DataFrame, *, serial: bool | None = None
) -> TraceCosts:
    """
    Return what the steps of some flushes took.

    :param flushes: rows of the ``flushes`` frame of a trace, all with as many targets.
    :param targets: the ``ipis`` of the trace.
    :param serial: whether interrupts arrive one after another; by default as the trace shows.
    """
    nr = int(flushes["targets"].iloc[0])
    rows = targets[targets["flush"].isin(flushes["flush"])]
    shape = (len(flushes), nr)

    # [flush, target], targets in the order of their CPUs, in which they are enqueued.
    def column(name: str) -> npt.NDArray[np.int64]:
        values: npt.NDArray[np.int64] = rows[name].to_numpy(dtype=np.int64).reshape(shape)
        return values

    start = flushes["start_ns"].to_numpy()
    enqueue, entry, function = column("enqueue_ns"), column("start_ns"), column("function_ns")
    end, out = column("end_ns"), column("exit_ns")
    samples: dict[str, Samples] = {}
    with_csds = bool((enqueue >= 0).all())
    sent = enqueue[:, -1] if with_csds else start
    if with_csds:
        base = enqueue[:, 0] - start
        if (base > 0).any():
            samples["flush_base"] = _positive(base)
        if nr > 1:
            samples["enqueue"] = _positive(np.diff(enqueue, axis=1))
    serial, ks_serial, ks_parallel = _arrivals(samples, sent, entry, serial)
    run = end - function
    run_ns = int(max(0, run.min()))
    samples["handler_entry"] = _positive(end - entry - run_ns)
    if (out > end).any():
        samples["handler_exit"] = _positive((out - end)[out >= 0])
    returned = flushes["returned"].to_numpy(dtype=bool)
    if returned.any():
        # The initiator has read the csds before the slowest one when that is released.
        last = nr - end.argmax(axis=1)
        tail = flushes["end_ns"].to_numpy() - end.max(axis=1)
        samples["ack"] = _positive((tail / last)[returned])
    return TraceCosts(samples, run_ns, serial, ks_serial, ks_parallel)


def ks_distance(one: Samples, other: Samples) -> float:
    """Return the Kolmogorov-Smirnov distance of two samples: 0 to 1."""
    from scipy.stats import ks_2samp

    return float(ks_2samp(one, other).statistic)


def _arrivals(
    samples: dict[str, Samples],
    sent: npt.NDArray[np.int64],
    entry: npt.NDArray[np.int64],
    serial: bool | None,
) -> tuple[bool, float, float]:
    # Which of two ways explains when the last handler of a flush is entered?
    nr = entry.shape[1]
    in_order = np.sort(entry, axis=1)
    gaps = np.maximum(np.diff(np.column_stack([sent, in_order]), axis=1), 0)
    delays = np.maximum(entry - sent[:, None], 0)
    last = _positive(in_order[:, -1] - sent)
    rng = np.random.default_rng(_SEED)
    size = (_RESAMPLED, nr)
    ks_serial = ks_distance(rng.choice(gaps.ravel(), size).sum(axis=1), last)
    ks_parallel = ks_distance(rng.choice(delays.ravel(), size).max(axis=1), last)
    if serial is None:
        serial = ks_serial < ks_parallel and nr > 1
    if serial:
        samples["inject"] = summand(last, nr)
    else:
        samples["deliver"] = _positive(delays)
    return serial, ks_serial, ks_parallel


def summand(totals: Samples, nr: int) -> Samples:
    """
    Return quantiles of what, drawn `nr` times independently, adds up to totals like these.

    The steps of one flush are fast or slow together, those of the model are independent: drawn
    from all steps alike, their sums would be wider than those seen.  This is the distribution
    of greatest likelihood, by expectation maximisation; it begins with equal steps, of which
    one has all that a total is above the median.

    >>> round(float(summand(np.array([20.0, 22.0, 24.0] * 20), 2).mean()), 1)
    11.0
    """
    step = float(totals.max()) / _BINS or 1.0
    size = _BINS << _SUM_BITS
    seen = np.bincount(np.rint(totals / step).astype(int), minlength=size) / len(totals)
    usual = np.minimum(totals, np.median(totals)) / nr
    guess = np.concatenate([*([usual] * (nr - 1)), totals - (nr - 1) * usual])
    chance = np.bincount(np.rint(guess / step).astype(int), minlength=_BINS + 1).astype(float)
    # What was not guessed may be.
    chance = _smooth(chance) + chance.sum() * _UNSEEN / len(chance)
    chance /= chance.sum()
    for _ in range(_ITERATIONS):
        transformed = np.fft.rfft(chance, size)
        sums = np.fft.irfft(transformed**nr, size)
        wanted = np.where(seen > 0, seen / np.maximum(sums, _LEAST), 0.0)
        # For each value: how likely the others make up the rest of the totals seen.
        rest = np.fft.irfft(np.conj(transformed ** (nr - 1)) * np.fft.rfft(wanted), size)
        chance *= np.maximum(rest[: len(chance)], 0.0)
        chance = chance / chance.sum()
    # As many as steps were seen.
    p = (np.arange(nr * len(totals)) + 0.5) / (nr * len(totals))
    found: Samples = (np.searchsorted(np.cumsum(chance), p) * step).astype(np.float64)
    return found


def _smooth(chance: Samples) -> Samples:
    smooth: Samples = np.convolve(chance, np.ones(_NEAR) / _NEAR, mode="same").astype(np.float64)
    return smooth


def _positive(values: npt.NDArray[np.int64] | Samples) -> Samples:
    return np.maximum(np.asarray(values, dtype=np.float64).ravel(), 0.0)
