# SPDX-License-Identifier: MIT
"""
Per-folio against batched split and remap of the vmemmap
--------------------------------------------------------

What the series "Batch hugetlb vmemmap modification operations" (v6.6 to v6.7)
does to the time of `echo N > nr_hugepages`, to the TLB flushes, and to the
other CPUs meanwhile.

Covers:
    - the kernels of the series, patch by patch, as a table for a mail
    - HVO off beside on, so that what should not change is seen not to
    - the price of batching: pages held, locks held, interrupts off
    - plots of time, latency, throughput, number of CPUs, and single flushes

Scenario:
    The pool of 2 MB pages is empty. One task asks for N of them, then gives
    all back; each flush on the way interrupts every other CPU. The two machines
    are those on which the series was measured.

Usage:
    python scenarios/batch_pmd_split.py
    python scenarios/batch_pmd_split.py --quick --machine laptop-8 --out /tmp/laptop
"""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from tqdm import tqdm

from simulator import Result, Scenario
from simulator.cli.output import complain, whole_files
from simulator.cli.parser import Parser, number
from simulator.cli.process import INTERRUPTED, exit_status
from simulator.experiment import simulate_all
from simulator.report import batching_report, plots

MACHINES = ("epyc-7j13-vm252", "xeon-e7-8895-8s")
# Before the series; lists of folios; one flush for all splits; for all remaps; for all restores.
KERNELS = ("v6.6", "v6.6+5", "v6.6+6", "v6.6+7", "v6.6+8")
NR_PAGES = 256  # huge pages of 2 MB
NR_PAGES_QUICK = 32
NR_CPUS = (2, 8, 32, 64, 128)  # the CPU counts to try, beside all CPUs
NR_CPUS_QUICK = (2, 8)
NR_CPUS_LANES = 8  # so few CPUs that each can be followed through a flush


def main(argv: Sequence[str]) -> tuple[int, str]:
    """Return the exit status and the report."""
    # Set up: wrong input ends here, before anything is simulated or written
    args = parse(argv)
    wanted = list(scenarios(args))

    # Simulate and draw
    results: list[Result] = []
    status = 0
    with whole_files(args.out) as folder, tqdm(total=len(wanted), leave=False, disable=None) as bar:
        try:
            results.extend(simulate_all(wanted, bar.update))
            for name, figure in figures(results, args.cpus):
                plots.save(figure, folder / f"{name}.png")
        except KeyboardInterrupt:
            if not results:
                raise
            complain("interrupted; what was finished is reported")
            status = INTERRUPTED

        # Report
        command = shlex.join(["python", f"scenarios/{Path(__file__).name}", *argv])
        on_all_cpus = [r for r in results if r.scenario.cpus == args.cpus]
        text = batching_report(on_all_cpus, command=command, reference=KERNELS[0])
        (folder / "report.txt").write_text(text, encoding="utf-8")
    return status, text


def parse(argv: Sequence[str]) -> Namespace:
    """Return the options."""
    parser = Parser(description=__doc__)
    option = parser.add_argument
    option("--machine", metavar="NAME", action="append", help=f"default: {', '.join(MACHINES)}")
    option("--pages", metavar="N", type=number, help=f"huge pages of 2 MB (default {NR_PAGES})")
    option("--cpus", metavar="N", type=number, help="the first N CPUs of a machine (default all)")
    option("--seed", metavar="N", type=number, default=1, help="seed of all draws (default 1)")
    option("--out", metavar="DIR", type=Path, default="out", help="for plots, text (default out)")
    option("--quick", action="store_true", help=f"{NR_PAGES_QUICK} pages, fewer CPU counts")
    args = parser.parse(argv)
    if args.pages is None:
        args.pages = NR_PAGES_QUICK if args.quick else NR_PAGES
    return args


def scenarios(args: Namespace) -> Iterator[Scenario]:
    """Yield what to simulate: each machine with HVO off, on, and on with fewer CPUs."""
    for machine in dict.fromkeys(args.machine or MACHINES):
        whole = Scenario(machine=machine, pages=args.pages, cpus=args.cpus, seed=args.seed)
        fewer = [n for n in (NR_CPUS_QUICK if args.quick else NR_CPUS) if n < whole.nr_cpus]
        for hvo, cpus in ((False, args.cpus), (True, args.cpus), *((True, n) for n in fewer)):
            for kernel in KERNELS:
                yield whole.replace(kernel=kernel, hvo=hvo, cpus=cpus)


def figures(results: Sequence[Result], cpus: int | None) -> Iterator[tuple[str, Figure]]:
    """Yield the name of each plot and the plot."""
    for machine in dict.fromkeys(r.scenario.machine_model.name for r in results):
        swept = [r for r in results if r.scenario.machine_model.name == machine]
        both = [r for r in swept if r.scenario.cpus == cpus]
        hvo = [r for r in both if r.scenario.hvo]
        yield f"{machine}-elapsed", plots.plot_elapsed(both)
        yield f"{machine}-where-time-goes", plots.plot_time_by(both)
        yield f"{machine}-latency", plots.plot_latency(hvo)
        yield f"{machine}-throughput", plots.plot_throughput(hvo)
        yield f"{machine}-cpus", plots.plot_scaling([r for r in swept if r.scenario.hvo])
        if hvo[0].scenario.nr_cpus == 1:
            continue  # nobody to interrupt
        yield f"{machine}-flush-per-folio", timeline(hvo[0], "remap")
        yield f"{machine}-flush-batched", timeline(hvo[-1], "batch_remap")
        lanes = [r for r in swept if r.scenario.hvo and r.scenario.nr_cpus <= NR_CPUS_LANES]
        most = max(lanes, key=lambda r: r.scenario.nr_cpus)
        yield f"{machine}-flush-few-cpus", timeline(most, "remap")


def timeline(result: Result, reason: str) -> Figure:
    """Return the CPUs around the middle one of the flushes made for this reason."""
    found = result.flushes.loc[result.flushes["reason"] == reason, "flush"]
    flush = int(found.iloc[len(found) // 2])
    return plots.plot_flush_timeline(result, flush, result.ipis([flush]))


if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(sys.argv[1:])))
