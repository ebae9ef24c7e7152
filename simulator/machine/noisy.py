# SPDX-License-Identifier: MIT
"""
A noise on a machine
--------------------

The spells of each class, from what the noise says and what the machine says
where it does not: how much of the time they take, how long they last, and in
frames of which length they are drawn.

Modelled: interrupts-off sections, the longer ones of the noise and the handlers
of background shootdowns as one class, mixed by how frequent each of them is.
What the governor takes an idle time for, which decides the C-state: a draw for each idle
time.  Idle time whose mean when an interrupt comes is the one that the noise states.  Where one
spell to a frame cannot take up so much of the time, several classes of it are laid over
each other, the long sections of the noise apart (:func:`irqs_off_layers`): the CPU has
interrupts off while any of them has, so that spells that touch make one.  A vCPU that is
preempted for more of the time has several such competitors (:func:`preempted_layers`), and
does not run while any of them does.

Not modelled: an idle time of more than two frames; that the frame, which is
never shorter than the longest spell, cuts long spells more than short ones.

Sources: the machine's and the noise's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import ceil, exp, expm1, log, log1p

from simulator.errors import InputError
from simulator.machine.mixture import Points, constant, mean, mixture, pareto, scaled
from simulator.machine.model import Machine
from simulator.machine.noise import Noise
from simulator.machine.schema import IdleState

__all__ = (
    "NoisySpells",
    "check_noise",
    "idle_frame",
    "idle_guesses",
    "idle_mix",
    "irqs_off_layers",
    "irqs_off_spells",
    "preempted_layers",
    "preempted_spells",
    "shootdown_ns",
)

_NS_PER_S = 10**9
NR_GUESSES = 64
_MOST_SHARE = 0.95
#: Of what a layer could take, so that rounding does not make it more.
_FULL = 0.999


@dataclass(frozen=True)
class NoisySpells:
    """One class of spells: the share of time, the frame, the mean length and its distribution."""

    name: str
    share: float
    frame_ns: Fraction
    mean_ns: Fraction
    points: Points
    what: str  # takes the share, in words of the user

    @property
    def most_share(self) -> float:
        """The largest share of time that they can take: one in each frame, cut at its end."""
        return self._moments()[0] / float(self.frame_ns)

    @property
    def residual_ns(self) -> float:
        """How long an interrupt that meets such a spell waits for its end, E[X^2] / 2 E[X]."""
        first, second = self._moments()
        return second / 2 / first

    def _moments(self) -> tuple[float, float]:
        # Of what the frame leaves of a spell, X = min(L, F - S) for a start S anywhere in the
        # frame F: longer than x with the chance P(L > x) (1 - x / F).
        frame_ns = float(self.frame_ns)
        points = scaled(self.points, float(self.mean_ns) / mean(self.points))
        first = second = 0.0
        for (p0, x0), (p1, x1) in pairwise([(0.0, 0.0), *points]):
            # Simpson's rule: exact for these, which are of third order at most.
            weights = ((1, p0, x0), (4, (p0 + p1) / 2, (x0 + x1) / 2), (1, p1, x1))
            longer = [(n * (1 - p) * (1 - x / frame_ns), x) for n, p, x in weights]
            first += (x1 - x0) / 6 * sum(chance for chance, _ in longer)
            second += (x1 - x0) / 6 * sum(2 * x * chance for chance, x in longer)
        return first, second


def check_noise(machine: Machine, noise: Noise) -> None:
    """Raise InputError if a machine cannot have a noise."""
    for spells in (irqs_off_spells(machine, noise), preempted_spells(machine, noise)):
        if spells is not None and spells.share > _MOST_SHARE:
            raise InputError(
                f"noise: {spells.what} is {spells.share:.4g} of time, but at most"
                f" {_MOST_SHARE:g} can be"
            )


def idle_frame(machine: Machine, noise: Noise) -> Fraction:
    """
    Return the frame of idle spells, in nanoseconds.

    A CPU found idle has been so since anywhere in its frame, and for a whole frame more
    if the frame before was idle too: (1/2 + share) frames on average.
    """
    if noise.idle_depth_ns is None:
        return machine.spells.idle.frame.exact_ns
    return Fraction(noise.idle_depth_ns) / (Fraction(noise.idle_share) + Fraction(1, 2))


def idle_guesses(noise: Noise) -> list[float]:
    """
    Return what the governor may take an idle time for, as factors, equally likely.

    Evenly in the logarithm, from 1 / idle_guess_factor to that; none where it guesses right.
    """
    if noise.idle_guess_factor == 1:
        return []
    steps = ((2 * nth + 1) / NR_GUESSES - 1 for nth in range(NR_GUESSES))
    return [exp(step * log(noise.idle_guess_factor)) for step in steps]


def idle_mix(noise: Noise, machine: Machine) -> list[tuple[IdleState, float]]:
    """Return each idle state and its share of the CPUs that an interrupt finds idle."""
    frame_ns = float(idle_frame(machine, noise))
    p = noise.idle_share

    def shorter(residency_ns: float) -> float:
        guesses = idle_guesses(noise) or [1.0]
        return sum(since_less(residency_ns / guess) for guess in guesses) / len(guesses)

    def since_less(idle_ns: float) -> float:
        # Idle since anywhere in this frame or, with the chance p, in the one before.
        within = min(1.0, idle_ns / frame_ns)
        before = min(1.0, max(0.0, idle_ns / frame_ns - 1))
        return (1 - p) * within + p * before

    states = machine.idle_states
    # In the first one until the second is reached, whatever its own residency.
    begins = [0.0, *(shorter(float(state.residency.exact_ns)) for state in states[1:]), 1.0]
    return [(s, max(0.0, begins[i + 1] - begins[i])) for i, s in enumerate(states)]


def preempted_spells(machine: Machine, noise: Noise) -> NoisySpells | None:
    """Return when the host does not run a vCPU; bare metal has no such spells."""
    spells = machine.spells.preempted
    if spells is None:
        return None
    return NoisySpells(
        "preempted",
        noise.preempted_share,
        spells.frame.exact_ns,
        spells.length.exact_ns,
        spells.length.quantiles,
        "preempted_share",
    )


def preempted_layers(machine: Machine, noise: Noise) -> list[NoisySpells]:
    """
    Return the classes of spells in which a vCPU does not run; none on bare metal.

    One competitor for its CPU, if that can take up so much; else several, independent.
    """
    one = preempted_spells(machine, noise)
    if one is None:
        return []
    if one.share <= one.most_share:
        return [one]
    layers = _laid_over(one, log1p(-one.share))
    return [replace(layer, name=f"preempted {nth}") for nth, layer in enumerate(layers)]


def irqs_off_spells(machine: Machine, noise: Noise) -> NoisySpells:
    """Return when a CPU has interrupts off: sections, and handlers of background shootdowns."""
    spells = machine.spells.irqs_off
    length = spells.length
    own = NoisySpells(
        "irqs_off",
        noise.irqs_off_share,
        spells.frame.exact_ns,
        length.exact_ns,
        length.quantiles,
        "irqs_off_share",
    )
    if not (noise.irqs_off_tail_share or noise.shootdowns_per_s):
        return own
    parts = _irqs_off_parts(machine, noise)
    if not parts:
        return own
    points = mixture(parts)
    handled = noise.shootdowns_per_s > 0
    return NoisySpells(
        "irqs_off",
        sum(rate * mean(lengths) for rate, lengths in parts),
        max(spells.frame.exact_ns, Fraction(points[-1][1])),
        Fraction(mean(points)),
        points,
        "what irqs_off_share and shootdowns_per_s take" if handled else own.what,
    )


def irqs_off_layers(machine: Machine, noise: Noise) -> list[NoisySpells]:
    """
    Return the classes of spells that make up the time with interrupts off.

    One, if it can take up so much; else several of short spells, and several of the tail.
    Each covers its share of the time by itself; together they cover that of the noise.
    """
    whole = irqs_off_spells(machine, noise)
    if whole.share <= whole.most_share:
        return [whole]
    frame_ns = machine.spells.irqs_off.frame.exact_ns
    parts = _irqs_off_parts(machine, noise) or [(1.0, whole.points)]
    short = [part for part in parts if part[1][-1][1] <= frame_ns]
    long = [part for part in parts if part[1][-1][1] > frame_ns]
    taken = sum(rate * mean(lengths) for rate, lengths in parts)
    found: list[NoisySpells] = []
    for group in filter(None, (short, long)):
        points = mixture(group)
        one = replace(
            whole,
            frame_ns=max(frame_ns, Fraction(points[-1][1])),
            mean_ns=Fraction(mean(points)),
            points=points,
        )
        left = log1p(-whole.share) * sum(rate * mean(lengths) for rate, lengths in group) / taken
        found += _laid_over(one, left)
    return [replace(layer, name=f"irqs_off {nth}") for nth, layer in enumerate(found)]


# Classes of spells that together leave exp(left) of the time.
def _laid_over(one: NoisySpells, left: float) -> list[NoisySpells]:
    # What is not covered by one is not covered by all: the shares of time left multiply.
    nr = ceil(left / log1p(-one.most_share * _FULL))
    return [replace(one, share=-expm1(left / nr))] * nr


# What there is of sections, of longer ones and of handlers: how many to a nanosecond of time, and
# their lengths.
def _irqs_off_parts(machine: Machine, noise: Noise) -> list[tuple[float, Points]]:
    lengths = _section_lengths(machine, noise)
    rate = noise.irqs_off_share / mean(mixture(lengths))
    parts = [(rate * weight, points) for weight, points in lengths]
    handlers = constant(shootdown_ns(machine, noise))
    parts.append((noise.shootdowns_per_s / _NS_PER_S, handlers))
    return [part for part in parts if part[0]]


def shootdown_ns(machine: Machine, noise: Noise) -> float:
    """Return what a background shootdown takes on the CPU that it interrupts."""
    if noise.shootdown_ns is not None:
        return noise.shootdown_ns
    costs = machine.costs
    return float(sum(c.exact_ns for c in (costs.handler_entry, costs.invlpg, costs.handler_exit)))


# The lengths of interrupts-off sections, in nanoseconds, by how frequent they are.
def _section_lengths(machine: Machine, noise: Noise) -> list[tuple[float, Points]]:
    length = machine.spells.irqs_off.length
    sections = scaled(length.quantiles, float(length.exact_ns) / mean(length.quantiles))
    if not noise.irqs_off_tail_share or noise.irqs_off_max_ns is None:
        return [(1.0, sections)]
    longest_ns = sections[-1][1]
    if noise.irqs_off_max_ns <= longest_ns:
        raise InputError(
            f"noise: irqs_off_max_ns is {noise.irqs_off_max_ns:g}, but must be above"
            f" {longest_ns:g} ns, the longest section of {machine.name}"
        )
    tail = pareto(longest_ns, noise.irqs_off_max_ns)
    return [(1 - noise.irqs_off_tail_share, sections), (noise.irqs_off_tail_share, tail)]
