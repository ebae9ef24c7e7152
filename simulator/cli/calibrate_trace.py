# SPDX-License-Identifier: MIT
"""
``tlbsim calibrate --from-ftrace``: a machine fitted to a trace
---------------------------------------------------------------
"""

from __future__ import annotations

from argparse import Namespace

from simulator.cli.output import json_text
from simulator.cli.profile_file import check_profile, write_profile
from simulator.errors import InputError
from simulator.inputs import user_path

__all__ = ("calibrate_trace",)

# Options of the other ways to calibrate.
_OTHERS = ("here", "times", "times_of", "fit", "fit_on", "full")


def calibrate_trace(args: Namespace) -> tuple[int, str]:
    """Return the exit status and what to print."""
    for name in _OTHERS:
        if getattr(args, name):
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"from-ftrace: fits to a trace alone: leave out {option}")
    from simulator.calibration import inherits_from
    from simulator.calibration.from_trace import fit_trace, profile_toml
    from simulator.machine.load import profile_files
    from simulator.report.trace_fit_text import trace_fit_json, trace_fit_report
    from simulator.trace import read_ftrace

    if args.out is not None:
        check_profile(args.out, {"from-ftrace": args.from_ftrace})
        for file in () if args.machine is None else profile_files(args.machine):
            check_profile(args.out, {"machine": file})
    trace = read_ftrace(user_path(args.from_ftrace, "from-ftrace"))
    fit = fit_trace(trace, args.machine, noise=args.noise, seed=args.seed)
    out = None
    if args.out is not None:
        out = str(args.out)
        inherits = inherits_from(str(fit.profile["inherits"]), args.out)
        write_profile(args.out, profile_toml({**fit.profile, "inherits": inherits}))
    if args.json:
        return 0, json_text(trace_fit_json(fit, out))
    return 0, trace_fit_report(fit, out)
