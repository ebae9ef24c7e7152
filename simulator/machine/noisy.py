# SPDX-License-Identifier: MIT
"""
A noise on a machine
--------------------

The spells of each class, from what the noise says and what the machine says
where it does not: how much of the time they take, how long they last, and in
frames of which length they are drawn.

Modelled: interrupts-off sections, the longer ones of the noise and the handlers
of background shootdowns as one class, mixed by how frequent each of them is.
Idle time whose mean when an interrupt comes is the one that the noise states.

Not modelled: an idle time of more than two frames; that the frame, which is
never shorter than the longest spell, cuts long spells more than short ones.

Sources: the machine's and the noise's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from simulator.errors import InputError
from simulator.machine.mixture import Points, constant, mean, mixture, pareto, scaled
from simulator.machine.model import Machine
from simulator.machine.noise import Noise
from simulator.machine.schema import IdleState

__all__ = (
    "NoisySpells",
    "check_noise",
    "idle_frame",
    "idle_mix",
    "irqs_off_spells",
    "preempted_spells",
    "shootdown_ns",
)

_NS_PER_S = 10**9


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
        if spells is not None and spells.share > spells.most_share:
            raise InputError(
                f"noise: {spells.what} is {spells.share:.4g}, but spells of the length that they"
                f" have on {machine.name} reach at most {spells.most_share:.3g}"
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


def idle_mix(noise: Noise, machine: Machine) -> list[tuple[IdleState, float]]:
    """Return each idle state and its share of the CPUs that an interrupt finds idle."""
    frame_ns = float(idle_frame(machine, noise))
    p = noise.idle_share

    def shorter(idle_ns: float) -> float:
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
    sections = _with_tail(machine, noise)
    handler_ns = shootdown_ns(machine, noise)
    # How many of each there are to a nanosecond of time.
    section_rate = noise.irqs_off_share / mean(sections)
    handler_rate = noise.shootdowns_per_s / _NS_PER_S
    if not section_rate + handler_rate:
        return own
    points = mixture([(section_rate, sections), (handler_rate, constant(handler_ns))])
    return NoisySpells(
        "irqs_off",
        noise.irqs_off_share + handler_rate * handler_ns,
        max(spells.frame.exact_ns, Fraction(points[-1][1])),
        Fraction(mean(points)),
        points,
        "what irqs_off_share and shootdowns_per_s take" if handler_rate else own.what,
    )


def shootdown_ns(machine: Machine, noise: Noise) -> float:
    """Return what a background shootdown takes on the CPU that it interrupts."""
    if noise.shootdown_ns is not None:
        return noise.shootdown_ns
    costs = machine.costs
    return float(sum(c.exact_ns for c in (costs.handler_entry, costs.invlpg, costs.handler_exit)))


# The lengths of interrupts-off sections, in nanoseconds.
def _with_tail(machine: Machine, noise: Noise) -> Points:
    length = machine.spells.irqs_off.length
    sections = scaled(length.quantiles, float(length.exact_ns) / mean(length.quantiles))
    if not noise.irqs_off_tail_share or noise.irqs_off_max_ns is None:
        return sections
    longest_ns = sections[-1][1]
    if noise.irqs_off_max_ns <= longest_ns:
        raise InputError(
            f"noise: irqs_off_max_ns is {noise.irqs_off_max_ns:g}, but must be above"
            f" {longest_ns:g} ns, the longest section of {machine.name}"
        )
    tail = pareto(longest_ns, noise.irqs_off_max_ns)
    return mixture([(1 - noise.irqs_off_tail_share, sections), (noise.irqs_off_tail_share, tail)])
