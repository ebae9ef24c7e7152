# SPDX-License-Identifier: MIT
"""
Spells in which a CPU answers late
----------------------------------

Whether a CPU is preempted, idle or runs with interrupts off at some instant is
a pure function of (seed, replication, class, CPU, time frame).  Two kernels that
are compared meet the same spells at the same time, and a CPU that only answers
interrupts needs no events of its own.

Modelled: each CPU's time is cut into frames of one length per class, shifted by
a phase of its own so that CPUs do not march in step.  A frame holds at most one
spell; it starts anywhere in the frame, has a length from the machine's quantile
table, and is cut at the end of the frame.  An idle spell is a whole frame, and
may have begun one frame earlier.

Not modelled: spells longer than a frame; spells that depend on one another or
on what the simulated kernel does.

Sources: lengths and frames are values of the machine where the noise does not
state its own, shares of the noise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from simulator.draws import Uint64Array, fold, mix64_array, purpose_of, stream
from simulator.errors import InputError
from simulator.machine.lowered.quantiles import ONE, draw, moments

__all__ = ("SpellClass", "SpellTable", "Spells", "spell_class")

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_CERTAIN = 2**63  # a presence draw has 63 bits, so that certainty is a threshold too
_START, _LENGTH = (purpose_of(name) for name in ("spell start", "spell length"))
_FRAMES_KEPT = 16


@dataclass(frozen=True, eq=False)
class SpellTable:
    """
    One class of spells, lowered to integers.

    `threshold` is the probability of a spell in a frame times 2**63.  `mean_fp`
    is the mean length in 1/1024 ns and `length` its unit-mean quantile table;
    without a table a spell is the whole frame.
    """

    key: int
    nr_cpus: int
    frame_ns: int
    threshold: int
    mean_fp: int
    length: Int64Array | None
    phase_ns: tuple[int, ...]
    # Recent frames by number: a cache of a pure function, not state.
    _recent: dict[int, tuple[list[int], list[int]]] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_recent": {}}

    def frame(self, frame: int) -> tuple[Int64Array, Int64Array]:
        """
        Return start and end of every CPU's spell in its frame number `frame`.

        They count from the start of the frame; start = end = 0 means none.
        """
        x = stream(fold(self.key, frame), 0, self.nr_cpus)
        there = (x >> np.uint64(1)) < np.uint64(self.threshold)
        if self.length is None:
            start = np.zeros(self.nr_cpus, dtype=np.int64)
            end = np.full(self.nr_cpus, self.frame_ns, dtype=np.int64)
        else:
            start = _below(mix64_array(x ^ np.uint64(_START)), self.frame_ns)
            length = draw(self.length, mix64_array(x ^ np.uint64(_LENGTH)))
            end = start + ((length * self.mean_fp + (1 << 25)) >> 26)
            end = np.minimum(end, self.frame_ns)
        return np.where(there, start, 0), np.where(there, end, 0)

    def around(self, cpu: int, t_ns: int) -> tuple[int, int] | None:
        """Return start and end of the spell of `cpu` that covers `t_ns`, if any."""
        if not self.threshold:
            return None
        number, at = divmod(t_ns + self.phase_ns[cpu], self.frame_ns)
        known = self._recent.get(number)
        if known is None:
            start_array, end_array = self.frame(number)
            known = start_array.tolist(), end_array.tolist()
            if len(self._recent) >= _FRAMES_KEPT:
                self._recent.pop(next(iter(self._recent)), None)
            self._recent[number] = known
        start, end = known[0][cpu], known[1][cpu]
        if start <= at < end:
            return t_ns - at + start, t_ns - at + end
        return None


@dataclass(frozen=True, eq=False)
class Spells:
    """
    The spells of one simulation; a class that the machine has not is None.

    ``more_off`` are further classes of spells with interrupts off, over the first one;
    ``more_preempted`` further ones in which the host does not run a vCPU.
    """

    preempted: SpellTable | None
    irqs_off: SpellTable
    idle: SpellTable
    more_off: tuple[SpellTable, ...] = ()
    more_preempted: tuple[SpellTable, ...] = ()

    def preempted_until(self, cpu: int, t_ns: int) -> int:
        """Return the end of the preemption of `cpu` that covers `t_ns`, or `t_ns` itself."""
        return (
            t_ns
            if self.preempted is None
            else _until(self.preempted, self.more_preempted, cpu, t_ns)
        )

    def irqs_off_until(self, cpu: int, t_ns: int) -> int:
        """Return when `cpu` turns interrupts on again, or `t_ns` itself if they are on."""
        return _until(self.irqs_off, self.more_off, cpu, t_ns)

    def idle_for(self, cpu: int, t_ns: int) -> int:
        """
        Return for how long `cpu` has been idle at `t_ns`, or -1 when it is not.

        The answer looks back one frame, also to before time 0: a simulation
        begins in the middle of things.
        """
        spell = self.idle.around(cpu, t_ns)
        if spell is None:
            return -1
        before = self.idle.around(cpu, spell[0] - 1)
        return t_ns - (spell[0] if before is None else before[0])

    def idle_at(self, t_ns: int) -> BoolArray | None:
        """Return which CPUs are idle at a time; None where none ever is."""
        table = self.idle
        if not table.threshold:
            return None
        frames, at = np.divmod(t_ns + np.array(table.phase_ns, dtype=np.int64), table.frame_ns)
        idle = np.zeros(table.nr_cpus, dtype=np.bool_)
        for number in np.unique(frames).tolist():
            start, end = table.frame(number)
            idle |= (frames == number) & (start <= at) & (at < end)
        return idle

    def idle_since(self, cpu: int, t_ns: int) -> int:
        """
        Return since when `cpu` has been idle at `t_ns`, or -1 when it is not.

        A spell that began before time 0 is reported as begun at 0;
        :meth:`idle_for` knows its whole length.
        """
        idle_ns = self.idle_for(cpu, t_ns)
        return -1 if idle_ns < 0 else max(0, t_ns - idle_ns)


# When none of several classes of spells covers a time any more.
def _until(first: SpellTable, more: tuple[SpellTable, ...], cpu: int, t_ns: int) -> int:
    spell = first.around(cpu, t_ns)
    if not more:
        return t_ns if spell is None else spell[1]
    before_ns = -1
    while before_ns != t_ns:
        before_ns = t_ns
        for table in (first, *more):
            spell = table.around(cpu, t_ns)
            if spell is not None:
                t_ns = spell[1]
    return t_ns


@dataclass(frozen=True, eq=False)
class SpellClass:
    """One class of spells, before it is known of which simulation."""

    name: str
    frame_ns: int
    threshold: int
    mean_fp: int
    length: Int64Array | None

    def of(self, nr_cpus: int, key: int) -> SpellTable:
        """Return the spells of a simulation with a `key`."""
        own = fold(key, purpose_of(f"spell {self.name}"))
        phase = _below(stream(fold(own, purpose_of("phase")), 0, nr_cpus), self.frame_ns)
        return SpellTable(
            key=own,
            nr_cpus=nr_cpus,
            frame_ns=self.frame_ns,
            threshold=self.threshold,
            mean_fp=self.mean_fp,
            length=self.length,
            phase_ns=tuple(phase.tolist()),
        )


def spell_class(
    name: str,
    share: float,
    frame_ns: int,
    mean_fp: int,
    length: Int64Array | None,
    what: str = "",
) -> SpellClass:
    """
    Return a class of spells that take up `share` of the time.

    `what` says whose the share is, for errors.
    :raises InputError: if spells of that length, at most one in a frame and cut at
    its end, cannot take up so much.
    """
    expected_ns = float(frame_ns)
    if length is not None:
        # E[min(L, F - S)] = E[L] - E[L^2] / 2F for a start S uniform in the frame F >= L.
        first, second = moments(length)
        scale = mean_fp / 1024 / ONE
        expected_ns = first * scale - second * scale * scale / (2 * frame_ns)
    probability = share * frame_ns / expected_ns
    if probability > 1:
        raise InputError(
            f"noise: {what or f'{name}_share'} is {share:g}, but spells of the machine's length"
            f" reach at most {expected_ns / frame_ns:.3g}"
        )
    return SpellClass(name, frame_ns, int(Fraction(probability) * _CERTAIN), mean_fp, length)


def _below(x: Uint64Array, limit: int) -> Int64Array:
    # Uniform from 0 to limit - 1, for limits below 2**32.
    scaled: Int64Array = (((x >> np.uint64(32)) * np.uint64(limit)) >> np.uint64(32)).astype(
        np.int64
    )
    return scaled
