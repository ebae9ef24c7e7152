# SPDX-License-Identifier: MIT
"""
Fitting a few costs to a few timings
------------------------------------

:func:`fit` finds the values of some parameters, each within its plausible
range, that bring a model nearest to measured times: least squares of the
relative errors.  It knows nothing of simulations; the model is a function.

What the data say about a parameter is judged at the solution from the change
of every relative error when the parameter crosses its whole plausible range.
A combination of parameters that changes no error by more than
``RESOLUTION`` is not identified: it stays where it started, and no interval is
given for its members.

Modelled: errors of measurement that are independent and of one relative size;
an error of the model's own that comes from its draws, the same for all
timings of one cell.

Not modelled: what the model lacks, which an interval from a few cells cannot
hold; what was fitted before, which is taken as known.

Sources: SciPy's trust region reflective algorithm; the covariance is that of
linear regression at the solution, residual variance times the inverse of the
normal matrix (Seber and Wild, "Nonlinear regression", 1989, section 2.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.analysis.stats import LEVEL

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

__all__ = ("RESOLUTION", "Estimated", "Fit", "Parameter", "fit")

#: What crossing the whole range must change, as a share of a time, to be seen at all: 0.1 %.
RESOLUTION = 1e-3
# Of the largest singular value: what is below may be curvature and rounding.
_RELATIVE_RESOLUTION = 1e-3
# The step of the Jacobian, as a part of the range. A simulated time moves in steps of whole
# nanoseconds per call, so a step has to be far above one; the model is nearly linear.
_STEP = 0.05
_AT_BOUND = 2e-3
_MAX_EVALUATIONS = 50
# Of a range: finer than any interval, coarser than the steps of a simulated time.
_TOLERANCE = 1e-4

# A parameter with less than this in every unseen direction is decided by the data.
_MIXED = 0.01

Model = Callable[[Sequence[float]], Sequence[float]]
Covariance = tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True)
class Parameter:
    """What may be changed: where it starts, and between which values it is plausible."""

    name: str
    start: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high or not self.low <= self.start <= self.high:
            raise ValueError(f"{self.name}: {self.start} does not lie in a range to vary in")


@dataclass(frozen=True)
class Estimated:
    """
    A parameter after the fit.

    ``standard_error``, ``low`` and ``high`` (the ends of the 95 % interval, cut off at the
    plausible range) are None where the data cannot tell; ``bound`` is ``"low"`` or ``"high"`` if
    the value was held up at the end of its range; ``confounded`` are the parameters among which
    only a combination is identified, ``invisible`` says that no timing depends on this one.
    """

    parameter: Parameter
    value: float
    standard_error: float | None
    low: float | None
    high: float | None
    bound: str | None
    confounded: tuple[str, ...]
    invisible: bool

    @property
    def identified(self) -> bool:
        """Whether the data decide the value."""
        return not self.invisible and not self.confounded

    def note(self, degrees_of_freedom: int) -> str:
        """Return what there is to say about the value, or an empty text."""
        if self.invisible:
            return "not identified: no timing depends on it; left as it was"
        if self.confounded:
            return f"not identified: cannot be told from {', '.join(self.confounded)}"
        if self.bound is not None:
            way = "less" if self.bound == "low" else "more"
            return f"at the {self.bound} end of its range: the timings ask for {way}"
        if degrees_of_freedom == 0:
            return "no interval: as many parameters as timings"
        cut = (self.low == self.parameter.low, self.high == self.parameter.high)
        if all(cut):
            return "the interval is wider than the plausible range"
        if any(cut):
            way = "low" if cut[0] else "high"
            return f"the interval goes on beyond the {way} end of the plausible range"
        return ""


@dataclass(frozen=True)
class Fit:
    """
    The parameters with what is known of them, and what remains.

    ``residuals`` are simulated over measured, less 1, in the order of the data.
    ``singular_values`` are those of the Jacobian of the residuals over parameters in units of
    their ranges; ``rank`` of them can be told from nothing.  ``covariance`` is that of the values,
    a row and a column for each parameter: None without spare data (``degrees_of_freedom`` 0), and
    None for a parameter that is not identified or at a bound.
    """

    estimated: tuple[Estimated, ...]
    residuals: tuple[float, ...]
    singular_values: tuple[float, ...]
    rank: int
    degrees_of_freedom: int
    covariance: Covariance | None
    evaluations: int
    converged: bool

    @property
    def values(self) -> tuple[float, ...]:
        """The fitted values."""
        return tuple(e.value for e in self.estimated)

    @property
    def decided(self) -> int:
        """
        How many values, or combinations of some, the data decide.

        A value at the end of its range is not one: the end of the range decides it.
        """
        return len(self.residuals) - self.degrees_of_freedom


def fit(
    model: Model,
    parameters: Sequence[Parameter],
    measured: Sequence[float],
    model_errors: Sequence[float] | None = None,
    cells: Sequence[object] | None = None,
) -> Fit:
    """
    Return the values of the parameters that bring ``model`` nearest to what was measured.

    ``model`` returns one time for each in ``measured``, in the same unit.  ``model_errors`` are
    the standard errors of these, as shares; timings with the same of ``cells`` share theirs.

    >>> a, b = Parameter("a", 1.0, 0.0, 10.0), Parameter("b", 1.0, 0.0, 10.0)
    >>> line = fit(lambda v: [v[0] + v[1] * x for x in (1, 2, 3)], [a, b], [5.0, 7.0, 9.0])
    >>> [round(value, 6) for value in line.values], line.rank, line.degrees_of_freedom
    ([3.0, 2.0], 2, 1)
    """
    if not parameters or not measured:
        raise ValueError("a fit needs parameters and data")
    if not all(math.isfinite(time) and time > 0 for time in measured):
        raise ValueError("a measured time is not above 0")
    problem = _Problem(model, parameters, measured)
    if model_errors is not None:
        problem.set_model_errors(model_errors, range(len(measured)) if cells is None else cells)
    return problem.solve()


class _Problem:
    """The fit with every range stretched to [0, 1], and the model asked once for each point."""

    def __init__(
        self, model: Model, parameters: Sequence[Parameter], measured: Sequence[float]
    ) -> None:
        import numpy as np

        self.np = np
        self.model = model
        self.parameters = tuple(parameters)
        self.measured = np.array(measured, dtype=np.float64)
        self.low = np.array([p.low for p in parameters])
        self.width = np.array([p.high - p.low for p in parameters])
        self.known: dict[tuple[float, ...], FloatArray] = {}
        self.model_covariance = np.zeros((len(measured), len(measured)))

    def set_model_errors(self, errors: Sequence[float], cells: Sequence[object]) -> None:
        same = self.np.array([[one == other for other in cells] for one in cells])
        self.model_covariance = same * self.np.outer(errors, errors)

    def solve(self) -> Fit:
        from scipy.optimize import least_squares

        start = (self.np.array([p.start for p in self.parameters]) - self.low) / self.width
        found = least_squares(
            self.residuals,
            start,
            jac=self.seen_jacobian,
            bounds=(0.0, 1.0),
            xtol=_TOLERANCE,
            ftol=_TOLERANCE,
            gtol=1e-10,
            max_nfev=_MAX_EVALUATIONS,
        )
        at = self.at_bounds(self.unseen_as_before(found.x, start))
        return self.judged(at, converged=found.status > 0)

    def values(self, at: FloatArray) -> tuple[float, ...]:
        # The ends of a range are themselves, whatever rounding says.
        return tuple(
            p.low if u <= 0 else p.high if u >= 1 else min(max(v, p.low), p.high)
            for p, u, v in zip(
                self.parameters, at.tolist(), (self.low + at * self.width).tolist(), strict=True
            )
        )

    def residuals(self, at: FloatArray) -> FloatArray:
        values = self.values(at)
        if values not in self.known:
            times = self.np.array(self.model(values), dtype=self.np.float64)
            self.known[values] = times / self.measured - 1.0
        return self.known[values]

    def jacobian(self, at: FloatArray) -> FloatArray:
        columns = []
        here = self.residuals(at)
        for i, u in enumerate(at.tolist()):
            step = _STEP if u <= 0.5 else -_STEP
            there = at.copy()
            there[i] = u + step
            columns.append((self.residuals(there) - here) / step)
        return self.np.stack(columns, axis=1)

    def seen_jacobian(self, at: FloatArray) -> FloatArray:
        """Return the Jacobian without what cannot be told from nothing."""
        u, s, vt = self.np.linalg.svd(self.jacobian(at), full_matrices=False)
        seen: FloatArray = (u * self.np.where(s >= self.threshold(s), s, 0.0)) @ vt
        return seen

    def threshold(self, singular: FloatArray) -> float:
        return max(RESOLUTION, _RELATIVE_RESOLUTION * float(singular[0]))

    def unseen_as_before(self, at: FloatArray, start: FloatArray) -> FloatArray:
        """Return the solution moved back towards the start in the directions not seen."""
        np = self.np
        _, singular, vt = np.linalg.svd(self.jacobian(at))
        blind = vt[int((singular >= self.threshold(singular)).sum()) :]
        back: FloatArray = np.clip(at - (at - start) @ blind.T @ blind, 0.0, 1.0)
        worse = np.linalg.norm(self.residuals(back)) - np.linalg.norm(self.residuals(at))
        return at if worse > RESOLUTION else back

    def at_bounds(self, at: FloatArray) -> FloatArray:
        """Return the solution with what all but reached a bound put there."""
        # The algorithm stays inside the bounds by a hair.
        return self.np.where(at < _AT_BOUND, 0.0, self.np.where(at > 1 - _AT_BOUND, 1.0, at))

    def judged(self, at: FloatArray, *, converged: bool) -> Fit:
        np = self.np
        residuals = self.residuals(at)
        jacobian = self.jacobian(at)
        singular = np.linalg.svd(jacobian, compute_uv=False)
        threshold = self.threshold(singular)
        invisible = np.linalg.norm(jacobian, axis=0) < threshold
        bound = ((at == 0.0) | (at == 1.0)) & ~invisible
        # What is at the end of its range was not free, and is taken as known.
        free = np.flatnonzero(~invisible & ~bound)
        confounded, covariance, spare = self.free_part(jacobian, residuals, free, threshold)
        deviations = _deviations(covariance, len(at))
        return Fit(
            estimated=tuple(
                self.estimated(
                    i,
                    self.values(at)[i],
                    deviations[i],
                    spare,
                    bound=("low" if at[i] == 0.0 else "high") if bound[i] else None,
                    confounded=confounded.get(i, ()),
                    invisible=bool(invisible[i]),
                )
                for i in range(len(at))
            ),
            residuals=tuple(residuals.tolist()),
            singular_values=tuple(singular.tolist()),
            rank=int((singular >= threshold).sum()),
            degrees_of_freedom=spare,
            covariance=covariance,
            evaluations=len(self.known),
            converged=converged,
        )

    def free_part(
        self,
        jacobian: FloatArray,
        residuals: FloatArray,
        free: npt.NDArray[np.int64],
        threshold: float,
    ) -> tuple[dict[int, tuple[str, ...]], Covariance | None, int]:
        """Return what is confounded, the covariance, and the degrees of freedom."""
        np = self.np
        if not len(free):
            return {}, None, len(residuals)
        u, singular, vt = np.linalg.svd(jacobian[:, free])
        rank = int((singular >= threshold).sum())
        blind = vt[rank:]
        mixed = [int(i) for i in free[(np.abs(blind) > _MIXED).any(axis=0)]]
        confounded = {i: tuple(self.parameters[j].name for j in mixed if j != i) for i in mixed}
        spare = len(residuals) - rank
        if spare == 0:
            return confounded, None, 0
        inverse = vt[:rank].T / singular[:rank]
        # How the solution follows a change of the residuals.
        follows = inverse @ u[:, :rank].T
        errors = np.eye(len(residuals)) * float(residuals @ residuals) / spare
        scaled = follows @ (errors + self.model_covariance) @ follows.T
        full = np.full((len(self.width), len(self.width)), np.nan)
        full[np.ix_(free, free)] = scaled
        full[mixed, :] = full[:, mixed] = np.nan
        full *= np.outer(self.width, self.width)
        covariance = tuple(
            tuple(None if math.isnan(cell) else cell for cell in row) for row in full.tolist()
        )
        return confounded, covariance, spare

    def estimated(
        self,
        i: int,
        value: float,
        deviation: float | None,
        spare: int,
        *,
        bound: str | None,
        confounded: tuple[str, ...],
        invisible: bool,
    ) -> Estimated:
        from scipy.special import stdtrit

        parameter = self.parameters[i]
        low = high = None
        if deviation is not None:
            half = float(stdtrit(spare, 0.5 + LEVEL / 2)) * deviation
            low, high = max(value - half, parameter.low), min(value + half, parameter.high)
        return Estimated(parameter, value, deviation, low, high, bound, confounded, invisible)


def _deviations(covariance: Covariance | None, number: int) -> list[float | None]:
    if covariance is None:
        return [None] * number
    variances = [covariance[i][i] for i in range(number)]
    return [None if v is None else math.sqrt(v) for v in variances]
