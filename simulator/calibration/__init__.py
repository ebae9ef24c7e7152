# SPDX-License-Identifier: MIT
"""
Calibration
-----------

Fits some costs of a machine to timings of a real one by simulating it again and
again, and writes what it found as a profile.  The fit itself, which knows no
simulation, is :mod:`simulator.analysis.calibrate`.
"""

from __future__ import annotations

from simulator.calibration.cells import Cells, Check
from simulator.calibration.extrapolation import (
    PhaseTime,
    Setting,
    extrapolated_ns,
    phase_times,
    sizes,
)
from simulator.calibration.fitted_profile import inherits_from, profile_text
from simulator.calibration.fitting import Calibrated, Cell, FittedStep, calibrate, fitted_timings
from simulator.calibration.parameters import Step, default_steps, parse_steps

__all__ = (
    "Calibrated",
    "Cell",
    "Cells",
    "Check",
    "FittedStep",
    "PhaseTime",
    "Setting",
    "Step",
    "calibrate",
    "default_steps",
    "extrapolated_ns",
    "fitted_timings",
    "inherits_from",
    "parse_steps",
    "phase_times",
    "profile_text",
    "sizes",
)
