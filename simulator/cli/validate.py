# SPDX-License-Identifier: MIT
"""
``tlbsim validate``: the model held against reality
---------------------------------------------------
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.cli.output import complain, json_text, stepping
from simulator.cli.process import INTERRUPTED
from simulator.errors import InputError
from simulator.inputs import number

if TYPE_CHECKING:
    from simulator.analysis.frames import Totals
    from simulator.validation import CountsCheck, TimesPlan

__all__ = ("EXAMPLE", "HELP", "NAME", "configure", "run")

NAME = "validate"
HELP = "Hold the model against counts of real kernels and times of real machines."
EXAMPLE = "tlbsim validate --counts"

_MISMATCH = 1
_COUNTS_MACHINE = "epyc-7j13-vm252"
_CALLS, _CALLS_QUICK = 2000, 200
_REPLICATIONS = 3
_SEED = 1
# Which part has a use for which option.
_USES = {
    "counts": ("machine",),
    "times": ("machine", "times_of", "quick", "replications", "seed", "jobs"),
    "benchmarks": ("quick", "seed"),
}


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    option = parser.add_argument
    option("--json", action="store_true", help="print JSON")
    option(
        "--counts",
        metavar="FILE",
        nargs="?",
        const="",
        help="only counts, which must be met exactly: exit status 1 if one is not (default FILE:"
        " those of Linux 6.1.176 and 6.12.107)",
    )
    option(
        "--times",
        metavar="FILE",
        nargs="?",
        const="",
        help="only times (default FILE: those published with the batching series)",
    )
    option(
        "--benchmarks",
        metavar="FILE",
        nargs="?",
        const="",
        help="only flushes and interrupts by themselves (default FILE: what was published, with"
        " its columns)",
    )
    option(
        "--machine",
        metavar="NAME",
        help="simulate this one: for counts any with CPUs and memory enough (default"
        f" {_COUNTS_MACHINE}), for times instead of those that FILE names",
    )
    option(
        "--times-of",
        metavar="NAME",
        help="which machine of FILE (default: all, and with --machine its own, or"
        " that which it was fitted to)",
    )
    option(
        "--quick",
        action="store_true",
        help="times: extrapolate from fewer pages; benchmarks: fewer calls",
    )
    option(
        "--replications",
        metavar="N",
        type=number,
        help=f"times: simulations of each, for the interval (default {_REPLICATIONS})",
    )
    option(
        "--seed",
        metavar="N",
        type=number,
        help=f"times, benchmarks: seed of draws (default {_SEED})",
    )
    option(
        "--jobs",
        metavar="N",
        type=number,
        help="times: simulations at a time (default: as CPUs and memory allow)",
    )


def run(args: Namespace) -> tuple[int, str]:
    """Return the exit status and what to print; counts that differ are a failure."""
    asked = {
        "counts": args.counts is not None,
        "times": args.times is not None,
        "benchmarks": args.benchmarks is not None,
    }
    names = [name for name in asked if asked[name] or not any(asked.values())]
    _nothing_unused(args, names)
    prepare = {"counts": _counts, "times": _times, "benchmarks": _benchmarks}
    # What is wrong with either file comes out before anything is simulated.
    parts = {name: prepare[name](args) for name in names}
    found = {name: part() for name, part in parts.items()}
    status = max(status for status, _, _ in found.values())
    if args.json:
        values = {name: value for name, (_, value, _) in found.items()}
        return status, json_text(values if len(values) > 1 else next(iter(values.values())))
    return status, "\n\n".join(text for _, _, text in found.values())


def _nothing_unused(args: Namespace, names: Sequence[str]) -> None:
    used = {option for name in names for option in _USES[name]}
    for option in dict.fromkeys(option for options in _USES.values() for option in options):
        value = getattr(args, option)
        if option not in used and value is not None and value is not False:
            takers = " or ".join(f"--{name}" for name in _USES if option in _USES[name])
            asked = " and ".join(f"--{name}" for name in names)
            given = option.replace("_", "-")
            raise InputError(f"{given}: not used by {asked}, only by {takers}; leave it out")


def _seed(args: Namespace) -> int:
    from simulator.scenario import Scenario

    # For what is wrong with it.
    return Scenario(pages=1, seed=_SEED if args.seed is None else args.seed).seed


#: Exit status, what to print as JSON, and as text.
Found = tuple[int, object, str]


def _counts(args: Namespace) -> Callable[[], Found]:
    from simulator.machine import load_machine
    from simulator.published.counts import read_counts
    from simulator.report.validate_text import counts_json, counts_text
    from simulator.validation import boot_scenario, check_counts

    path = Path(args.counts) if args.counts else None
    source = str(path or "packaged: Debian's 6.1.176 and 6.12.107, counted with kprobes")
    boots = read_counts(path)
    machine = load_machine(args.machine or _COUNTS_MACHINE)
    scenarios = [boot_scenario(boot, machine) for boot in boots]

    def found() -> Found:
        with stepping(len(boots), "boots") as step:
            check: CountsCheck = check_counts(boots, scenarios, step)
        status = _MISMATCH if check.mismatches else 0
        return status, counts_json(check), counts_text(check, source)

    return found


def _times(args: Namespace) -> Callable[[], Found]:
    from simulator.experiment import check_jobs, default_jobs
    from simulator.machine import load_machine
    from simulator.published.times import of_machine, read_timings
    from simulator.report.validate_text import times_json, times_text
    from simulator.validation import plan_times

    if args.jobs is not None:
        check_jobs(args.jobs)
    timings = read_timings(Path(args.times) if args.times else None)
    machine = None if args.machine is None else load_machine(args.machine)
    if machine is not None or args.times_of is not None:
        name, others = (machine.name, machine.measured_as) if machine else ("", ())
        timings = of_machine(timings, name, args.times_of, others)
    seed = _seed(args)
    replications = _REPLICATIONS if args.replications is None else args.replications
    plan = plan_times(timings, machine, replications, seed, args.quick)
    jobs = args.jobs or default_jobs(plan.scenarios)

    def found() -> Found:
        status, results = _simulated(plan, jobs)
        checks = plan.checks(results)
        source = ", ".join(dict.fromkeys(timing.source for timing in timings))
        text = times_text(checks, source=source, seed=seed, provenance=results[0].provenance)
        return status, times_json(checks), text

    return found


def _benchmarks(args: Namespace) -> Callable[[], Found]:
    from simulator.published.benchmarks import read_figures
    from simulator.report.validate_text import benchmarks_json, benchmarks_text
    from simulator.validation import check_benchmarks

    seed = _seed(args)
    ntimes = _CALLS_QUICK if args.quick else _CALLS
    figures = read_figures(Path(args.benchmarks) if args.benchmarks else None)

    def found() -> Found:
        with stepping(None, "benchmarks") as step:
            checks = check_benchmarks(ntimes, seed, step, figures)
        return 0, benchmarks_json(checks), benchmarks_text(checks, ntimes=ntimes, seed=seed)

    return found


# What was finished is compared, even after an interrupt.
def _simulated(plan: TimesPlan, jobs: int) -> tuple[int, list[Totals]]:
    from simulator.experiment import simulate_totals

    results: list[Totals] = []
    with stepping(len(plan.scenarios), "simulations") as step:
        try:
            results.extend(simulate_totals(plan.scenarios, jobs, step))
        except KeyboardInterrupt:
            if not plan.checks(results):
                raise
            complain("interrupted; the table covers the simulations that were finished")
            return INTERRUPTED, results
    return 0, results
