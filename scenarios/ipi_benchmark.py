# SPDX-License-Identifier: MIT
r"""
ipi_benchmark: what does KVM's "send IPI" hypercall save?
---------------------------------------------------------

A broadcast that leaves the guest once, instead of once for every
cluster of CPUs or for every CPU: the benchmark behind Linux commit
4180bf1b655a ("KVM: X86: Implement "send IPI" hypercall") (in v4.19), on
the machine of that commit.

Covers:
    - one IPI, a broadcast, a broadcast whose function takes a lock
    - x2APIC cluster mode and physical mode, each with and without the
      hypercall
    - the published figures beside the simulated ones, and which were
      fitted
    - another machine, as its profile has it

Scenario:
    The kernel module ipi_benchmark on one CPU. Nothing else runs, and a
    vCPU that halts answers as one that runs: its host polls for it for
    longer than the time between two IPIs.

Usage:
    python scenarios/ipi_benchmark.py
    python scenarios/ipi_benchmark.py --quick --machine xeon-8375c-2s \
        --out /tmp/ipi
"""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from simulator import Scenario, load_machine
from simulator.analysis import published_figures
from simulator.cli.output import whole_files
from simulator.cli.parser import Parser, number
from simulator.cli.process import exit_status
from simulator.errors import InputError
from simulator.fields import Between
from simulator.kernel.modules.ipi_benchmark import (
    BROADCAST_IPI,
    NORMAL_IPI,
    NTIMES,
    IpiBenchmark,
)
from simulator.report import ipi_report, plots
from simulator.run import simulate_module
from simulator.validation.benchmarks import IPI_NOISE, ipi_scenarios

MACHINE = "xeon-skx-vm80"
NTIMES_QUICK = 1000
NTIMES_MAX = 10_000_000


def main(argv: Sequence[str]) -> tuple[int, str]:
    """Return the exit status and the report."""
    # Set up: wrong input ends here, before anything is simulated or written
    args = parse(argv)
    wanted = scenarios(args)

    # Simulate and draw
    total = len(dict.fromkeys(wanted.values()))
    with whole_files(args.out) as folder, tqdm(total=total, leave=False, disable=None) as bar:
        done = {}
        for scenario in dict.fromkeys(wanted.values()):
            done[scenario] = [
                simulate_module(scenario.replace(cpus=2), IpiBenchmark((NORMAL_IPI,), args.ntimes)),
                simulate_module(scenario, IpiBenchmark(ntimes=args.ntimes)),
            ]
            bar.update()
        runs = {case: done[scenario] for case, scenario in wanted.items()}
        published = published_figures("ipi_benchmark", args.machine)
        broadcasts = {case: on_all for case, (_, on_all) in runs.items()}
        figure = plots.plot_broadcasts(broadcasts, BROADCAST_IPI, published)
        plots.save(figure, folder / "ipi-benchmark.png")

        # Report
        command = shlex.join(["python", f"scenarios/{Path(__file__).name}", *argv])
        text = ipi_report(runs, published, command=command)
        (folder / "ipi-benchmark.txt").write_text(text, encoding="utf-8")
    return 0, text


def parse(argv: Sequence[str]) -> Namespace:
    """Return the options."""
    parser = Parser(description=__doc__)
    option = parser.add_argument
    option("--machine", metavar="NAME", default=MACHINE, help=f"default: {MACHINE}")
    option("--ntimes", metavar="N", type=number, help=f"calls of each kind (default {NTIMES})")
    option("--seed", metavar="N", type=number, default=1, help="seed of all draws (default 1)")
    option("--out", metavar="DIR", type=Path, default="out", help="for plot, text (default out)")
    option("--quick", action="store_true", help=f"{NTIMES_QUICK} calls")
    args = parser.parse(argv)
    if args.ntimes is None:
        args.ntimes = NTIMES_QUICK if args.quick else NTIMES
    try:
        Between(1, NTIMES_MAX)(args.ntimes)
    except InputError as error:
        raise InputError(f"ntimes: {error}") from None
    return args


def scenarios(args: Namespace) -> dict[str, Scenario]:
    """Return the scenarios by case: the published ones, or a machine as it is."""
    machine = load_machine(args.machine)
    if machine.nr_cpus == 1:
        raise InputError(f"machine: {machine.name} has one CPU, and nobody to interrupt")
    if args.machine == MACHINE:
        return ipi_scenarios(machine, args.seed)
    return {machine.title: Scenario(machine=machine, pages=1, noise=IPI_NOISE, seed=args.seed)}


if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(sys.argv[1:])))
