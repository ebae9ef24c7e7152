# SPDX-License-Identifier: MIT
"""
What does synchronize_rcu() of v6.12 cost?
------------------------------------------

Since commit bd225530a4c7 ("mm/hugetlb_vmemmap: fix race with
speculative PFN walkers") (in v6.11) HVO waits for a grace period before
it remaps struct pages, and before it restores them: once to a batch, or
once to each folio that is worked on alone.

Covers:
    - v6.7 against v6.12, by the number of huge pages
    - a batch (writing nr_hugepages) against surplus pages, one by one
    - elapsed time, grace periods, flushes, the time in grace periods
    - from how many pages on a batch no longer feels its grace period
    - both ends of the range of a grace period, whose length is assumed

Scenario:
    The pool of 2 MB pages is empty. One task asks for N of them at once
    and gives them back; or it faults in N surplus pages, which are
    optimised one by one and, once freed, restored one by one.

Usage:
    python scenarios/synchronize_rcu.py
    python scenarios/synchronize_rcu.py --quick --machine laptop-8
"""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from simulator import Result, Scenario
from simulator.analysis.grace_periods import RcuCost, rcu_costs
from simulator.cli.output import whole_files
from simulator.cli.parser import Parser, number
from simulator.cli.process import exit_status
from simulator.experiment import simulate_all
from simulator.kernel import Kernel, load_kernel
from simulator.report import plots, rcu_report

MACHINE = "epyc-7j13-vm252"
KERNELS = ("v6.7", "v6.12")
COST = "costs.synchronize_rcu"
SITES = "static_key_sites"
STEP = 8  # from one number of pages to the next
NR_PAGES = 1 << 17  # the largest batch
NR_PAGES_QUICK = 1 << 15
NR_SURPLUS = 512  # the most that are worked on one by one: all cost the same
NR_SURPLUS_QUICK = 64
SMALL = 0.05  # of the time of a batch: less is lost in what else varies


def main(argv: Sequence[str]) -> tuple[int, str]:
    """Return the exit status and the report."""
    # Set up: wrong input ends here, before anything is simulated or written
    args = parse(argv)
    wanted = list(scenarios(args))

    # Simulate and draw
    with whole_files(args.out) as folder, tqdm(total=len(wanted), leave=False, disable=None) as bar:
        costs: list[RcuCost] = []
        firsts: dict[type[Kernel], Result] = {}
        for result in simulate_all(wanted, bar.update):
            costs += rcu_costs(result)
            firsts.setdefault(result.scenario.kernel_class, result)
        runs = list(firsts.values())
        plots.save(plots.plot_rcu(costs, runs[0], share=SMALL), folder / "synchronize-rcu.png")

        # Report
        command = shlex.join(["python", f"scenarios/{Path(__file__).name}", *argv])
        text = rcu_report(costs, runs, share=SMALL, command=command)
        (folder / "synchronize-rcu.txt").write_text(text, encoding="utf-8")
    return 0, text


def parse(argv: Sequence[str]) -> Namespace:
    """Return the options."""
    parser = Parser(description=__doc__)
    option = parser.add_argument
    option("--machine", metavar="NAME", default=MACHINE, help=f"default: {MACHINE}")
    option("--pages", metavar="N", type=number, help=f"the largest batch (default {NR_PAGES})")
    option("--cpus", metavar="N", type=number, help="the first N CPUs of the machine (default all)")
    option("--seed", metavar="N", type=number, default=1, help="seed of all draws (default 1)")
    option("--out", metavar="DIR", type=Path, default="out", help="for plot, text (default out)")
    option("--quick", action="store_true", help=f"batches of up to {NR_PAGES_QUICK} pages")
    return parser.parse(argv)


def scenarios(args: Namespace) -> Iterator[Scenario]:
    """Yield both kernels, then the newer one with the least and the longest grace period."""
    # As many as were counted in v6.12, so that v6.7 differs by the grace periods alone.
    sites = load_kernel(KERNELS[-1]).TUNABLES[SITES][0]
    base = Scenario(
        machine=args.machine, pages=1, cpus=args.cpus, seed=args.seed, tunables={SITES: sites}
    )
    asked = [
        base.replace(path=path, pages=pages)
        for path, most in largest(args, base).items()
        for pages in sizes(most)
    ]
    grace = base.machine_model.costs.synchronize_rcu
    lengths = (f"{end:g} {grace.unit}" for end in grace.range)
    machines = (base.machine_model.with_values({COST: length}) for length in lengths)
    for kernel in KERNELS:
        yield from (s.replace(kernel=kernel) for s in asked)
    for machine in machines:
        yield from (s.replace(kernel=KERNELS[-1], machine=machine) for s in asked)


def largest(args: Namespace, base: Scenario) -> dict[str, int]:
    """Return the most pages of each path: as asked for, or what the machine can hold."""
    machine = base.machine_model
    fit = int(machine.memory.node_memory.exact_bytes // base.page_bytes) * machine.nr_nodes
    pages = min(NR_PAGES_QUICK if args.quick else NR_PAGES, fit)
    if args.pages is not None:
        pages = base.replace(pages=args.pages).pages
    return {"pool": pages, "surplus": min(NR_SURPLUS_QUICK if args.quick else NR_SURPLUS, pages)}


def sizes(most: int) -> Iterator[int]:
    """Yield the powers of the step below a number of pages, and that."""
    pages = 1
    while pages < most:
        yield pages
        pages *= STEP
    yield most


if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(sys.argv[1:])))
