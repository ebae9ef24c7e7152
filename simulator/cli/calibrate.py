# SPDX-License-Identifier: MIT
"""
``tlbsim calibrate``: a machine fitted to timings, or measured
--------------------------------------------------------------
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from simulator.cli.calibrate_trace import calibrate_trace
from simulator.cli.output import json_text, stepping
from simulator.cli.profile_file import check_profile, write_profile
from simulator.errors import InputError
from simulator.inputs import number

__all__ = ("EXAMPLE", "HELP", "NAME", "configure", "run")

NAME = "calibrate"
HELP = "Fit a machine to timings of a real one, or measure this one, and write a profile."
EXAMPLE = "tlbsim calibrate --machine epyc-7j13-vm252 --out fitted.toml"


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    option = parser.add_argument
    option("--json", action="store_true", help="print JSON")
    option("--machine", metavar="NAME", help="a profile, or a TOML file, to start from")
    option(
        "--times",
        metavar="FILE",
        type=Path,
        help="CSV with a row per timing (default: the published ones); columns machine, kernel,"
        " hvo, phase, n_pages, page_kb, real_s, and source if you like; rows may repeat",
    )
    option(
        "--times-of",
        metavar="NAME",
        help="which machine of the file (default: its own, or that which it was fitted to)",
    )
    option(
        "--fit",
        metavar="KEYS[@CELLS]",
        action="append",
        default=[],
        help="one step: costs such as inject,send or enqueue+ack (one factor on both), after @ the"
        " cells they are fitted to: off, on, alloc, free, 2M, 1G, joined by +; may be given"
        " several times (default: huge_alloc_2m,huge_free_2m@off, then inject@on in a guest and"
        " enqueue+ack@on on bare metal)",
    )
    option(
        "--fit-on",
        metavar="KERNEL",
        action="append",
        default=[],
        help="fit the timings of this kernel instead of the unmodified ones; the profile says so",
    )
    option(
        "--noise", metavar="NOISE", default="quiet", help="a preset, as tlbsim noises lists them"
    )
    option("--seed", metavar="N", type=number, default=1, help="seed of all draws (default 1)")
    option("--full", action="store_true", help="in the end, simulate all pages: takes minutes")
    option("--out", metavar="FILE", type=Path, help="write the profile there")
    option(
        "--here",
        action="store_true",
        help="measure this machine instead, with real system calls for some seconds",
    )
    option(
        "--from-ftrace",
        metavar="FILE",
        help="fit the steps of a flush to the trace of a real machine instead (see: tlbsim trace)",
    )


def run(args: Namespace) -> tuple[int, str]:
    """Return the exit status and what to print."""
    if args.from_ftrace is not None:
        return calibrate_trace(args)
    if args.here:
        return _here(args)
    if args.machine is None:
        args.parser.error(
            "the following arguments are required: --machine (or --here, --from-ftrace)"
        )
    from simulator.calibration import (
        calibrate,
        default_steps,
        fitted_timings,
        inherits_from,
        parse_steps,
        profile_text,
    )
    from simulator.machine import load_machine
    from simulator.machine.load import profile_files
    from simulator.published.times import of_machine, read_timings
    from simulator.report.calibration_text import calibration_json, calibration_report

    machine = load_machine(args.machine)
    if args.out is not None:
        check_profile(args.out, {"times": args.times})
        for file in profile_files(args.machine):
            check_profile(args.out, {"machine": file})
    timings = read_timings(args.times)
    timings = of_machine(timings, machine.name, args.times_of, machine.measured_as)
    allowed = fitted_timings(timings, args.fit_on)
    steps = parse_steps(args.fit, machine) if args.fit else default_steps(machine, allowed)
    with stepping(None, "simulations") as step:
        found = calibrate(
            machine,
            timings,
            steps,
            fit_on=args.fit_on,
            noise=args.noise,
            seed=args.seed,
            full=args.full,
            progress=step,
        )
    out = None
    if args.out is not None:
        out = str(args.out)
        write_profile(
            args.out, profile_text(found, inherits_from(args.machine, args.out), _today())
        )
    if args.json:
        return 0, json_text(calibration_json(found, out))
    return 0, calibration_report(found, out)


def _here(args: Namespace) -> tuple[int, str]:
    _nothing_to_fit(args)
    if args.out is not None:
        check_profile(args.out, {})
    from simulator.measure import here_profile, measure_here, measured_costs, values_ns
    from simulator.report.measure_text import here_json, here_report

    here = measure_here()
    date = _today()
    measured = measured_costs(here, date)
    out = None
    if args.out is not None:
        out = str(args.out)
        write_profile(args.out, here_profile(here, measured, date))
    costs = values_ns(measured)
    if args.json:
        return 0, json_text(here_json(here, costs, out))
    return 0, here_report(here, costs, out)


def _nothing_to_fit(args: Namespace) -> None:
    for name in ("machine", "times", "times_of", "fit", "fit_on", "full"):
        if getattr(args, name):
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"here: measures, and fits nothing: leave out {option}")


def _today() -> str:
    import datetime as dt

    return dt.datetime.now(dt.UTC).date().isoformat()
