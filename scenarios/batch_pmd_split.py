# SPDX-License-Identifier: MIT
r"""
Per-folio against batched split and remap of the vmemmap
--------------------------------------------------------

What the series "Batch hugetlb vmemmap modification operations" (v6.6 to
v6.7) does to the time of `echo N > nr_hugepages`, to the TLB flushes,
and to the other CPUs meanwhile.

Covers:
    - the kernels of the series, patch by patch, as a table for a mail
    - the published times of both machines, beside the simulated ones
    - HVO off beside on, so that what should not change is seen not to
    - the price of batching: pages held, locks held, interrupts off
    - plots of time, latency, throughput, number of CPUs, and single
      flushes

Scenario:
    The pool of 2 MB pages is empty. One task asks for N of them, then
    gives all back; each flush on the way interrupts every other CPU.
    The two machines are those on which the series was measured, and N
    is as large as it was there: half a million. The plots of the number
    of CPUs and of single flushes are of fewer pages, which is enough
    for what they show.

Usage:
    python scenarios/batch_pmd_split.py
    python scenarios/batch_pmd_split.py --quick --machine laptop-8 \
        --out /tmp/laptop
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
from simulator.analysis import ResultTotals, published_times
from simulator.cli.output import complain, whole_files
from simulator.cli.parser import Parser, number
from simulator.cli.process import INTERRUPTED, exit_status
from simulator.experiment import check_jobs, default_jobs, simulate_all, simulate_totals
from simulator.report import batching_report, plots

MACHINES = ("epyc-7j13-vm252", "xeon-e7-8895-8s")
# Before the series; lists of folios; one flush for all splits; for all remaps; for all restores.
KERNELS = ("v6.6", "v6.6+5", "v6.6+6", "v6.6+7", "v6.6+8")
NR_PAGES = 256  # huge pages of 2 MB, where no time was published and for the sweep over CPUs
NR_PAGES_QUICK = 32
NR_CPUS = (2, 8, 32, 64, 128)  # the CPU counts to try, beside all CPUs
NR_CPUS_QUICK = (2, 8)
NR_CPUS_LANES = 8  # so few CPUs that each can be followed through a flush


def main(argv: Sequence[str]) -> tuple[int, str]:
    """Return the exit status and the report."""
    # Set up: wrong input ends here, before anything is simulated or written
    args = parse(argv)
    compared = list(scenarios(args))
    swept = list(sweep(args))

    # Simulate and draw
    results: list[ResultTotals] = []
    status = 0
    total = len(compared) + len(swept)
    with whole_files(args.out) as folder, tqdm(total=total, leave=False, disable=None) as bar:
        try:
            jobs = args.jobs or default_jobs(compared)
            results.extend(simulate_totals(compared, jobs, bar.update))
            results.sort(key=lambda r: compared.index(r.scenario))
            small = list(simulate_all(swept, bar.update))
            for name, figure in figures(results, small):
                plots.save(figure, folder / f"{name}.png")
        except KeyboardInterrupt:
            if not results:
                raise
            complain("interrupted; what was finished is reported")
            status = INTERRUPTED

        # Report
        results.sort(key=lambda r: compared.index(r.scenario))
        command = shlex.join(["python", f"scenarios/{Path(__file__).name}", *argv])
        text = batching_report(
            results, command=command, reference=KERNELS[0], published=published_times()
        )
        (folder / "report.txt").write_text(text, encoding="utf-8")
    return status, text


def parse(argv: Sequence[str]) -> Namespace:
    """Return the options."""
    parser = Parser(description=__doc__)
    option = parser.add_argument
    option("--machine", metavar="NAME", action="append", help=f"default: {', '.join(MACHINES)}")
    option(
        "--pages",
        metavar="N",
        type=number,
        help=f"huge pages of 2 MB (default: as published, else {NR_PAGES})",
    )
    option("--cpus", metavar="N", type=number, help="the first N CPUs of a machine (default all)")
    option("--seed", metavar="N", type=number, default=1, help="seed of all draws (default 1)")
    option("--out", metavar="DIR", type=Path, default="out", help="for plots, text (default out)")
    option("--quick", action="store_true", help=f"{NR_PAGES_QUICK} pages, fewer CPU counts")
    option("--jobs", metavar="N", type=number, help="simulations at a time (default: one per CPU)")
    args = parser.parse(argv)
    if args.jobs is not None:
        check_jobs(args.jobs)
    return args


def machines(args: Namespace) -> Iterator[Scenario]:
    """Yield for each machine a scenario with the number of pages asked for or published."""
    published = {t.machine: t.pages for t in published_times()}
    for machine in dict.fromkeys(args.machine or MACHINES):
        name = Scenario(machine=machine, pages=1).machine_model.name
        pages = args.pages
        if pages is None:
            pages = NR_PAGES_QUICK if args.quick else published.get(name, NR_PAGES)
        yield Scenario(machine=machine, pages=pages, cpus=args.cpus, seed=args.seed)


def scenarios(args: Namespace) -> Iterator[Scenario]:
    """Yield what the tables compare: each machine with HVO off and on, each kernel."""
    for whole in machines(args):
        for hvo in (False, True):
            for kernel in KERNELS:
                yield whole.replace(kernel=kernel, hvo=hvo)


def sweep(args: Namespace) -> Iterator[Scenario]:
    """Yield each machine with all CPUs and fewer of them, each kernel, HVO on, few pages."""
    for whole in machines(args):
        small = whole.replace(pages=min(whole.pages, NR_PAGES))
        fewer = [n for n in (NR_CPUS_QUICK if args.quick else NR_CPUS) if n < small.nr_cpus]
        for cpus in (args.cpus, *fewer):
            for kernel in KERNELS:
                yield small.replace(kernel=kernel, cpus=cpus)


def figures(
    results: Sequence[ResultTotals], swept: Sequence[Result]
) -> Iterator[tuple[str, Figure]]:
    """Yield the name of each plot and the plot."""
    for machine in dict.fromkeys(r.scenario.machine_model.name for r in results):
        both = [r for r in results if r.scenario.machine_model.name == machine]
        hvo = [r for r in both if r.scenario.hvo]
        yield f"{machine}-elapsed", plots.plot_elapsed(both, published_times())
        yield f"{machine}-where-time-goes", plots.plot_time_by(both)
        yield f"{machine}-latency", plots.plot_latency(hvo)
        yield f"{machine}-throughput", plots.plot_throughput(hvo)
        small = [r for r in swept if r.scenario.machine_model.name == machine]
        yield f"{machine}-cpus", plots.plot_scaling(small)
        first, last = small[0], small[len(KERNELS) - 1]
        if first.scenario.nr_cpus == 1:
            continue  # nobody to interrupt
        yield f"{machine}-flush-per-folio", timeline(first, "remap")
        yield f"{machine}-flush-batched", timeline(last, "batch_remap")
        lanes = [r for r in small if r.scenario.nr_cpus <= NR_CPUS_LANES]
        most = max(lanes, key=lambda r: r.scenario.nr_cpus)
        yield f"{machine}-flush-few-cpus", timeline(most, "remap")


def timeline(result: Result, reason: str) -> Figure:
    """Return the CPUs around the middle one of the flushes made for this reason."""
    found = result.flushes.loc[result.flushes["reason"] == reason, "flush"]
    flush = int(found.iloc[len(found) // 2])
    return plots.plot_flush_timeline(result, flush, result.ipis([flush]))


if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(sys.argv[1:])))
