# SPDX-License-Identifier: MIT
r"""
When memory is short: the answers to ENOMEM at a PMD split
----------------------------------------------------------

What hugetlb_vmemmap_optimize_folios() ends with if it cannot get all
the PTE pages that it wants: half of the discussion of "batch PMD split
for bulk vmemmap dedup" was about what it should do then.

Covers:
    - the answer that was merged (v6.7), the ones that were debated, and
      v6.6
    - few free base pages, from none to enough for all
    - huge pages that share vmemmap PMDs (64 to one) or have one each
    - one PTE page that cannot be had, though others can
    - head pages and restore pages that cannot be had

Scenario:
    The pool is empty, no PMD is split, and so many base pages are free.
    One task asks for N huge pages of 2 MB. Each PMD that is split takes
    a page, each optimised folio gives back 7 net: splitting can feed
    itself, if it is let.

Usage:
    python scenarios/memory_pressure.py
    python scenarios/memory_pressure.py --quick --machine laptop-8 \
        --out /tmp/pressure
"""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from simulator import Scenario, simulate
from simulator.cli.output import whole_files
from simulator.cli.parser import Parser, number
from simulator.cli.process import exit_status
from simulator.experiment import simulate_all
from simulator.report import plots, pressure_report

MACHINE = "epyc-7j13-vm252"
# Before the series, the answer that was merged, and the others.
KERNELS = (
    "v6.6",
    "v6.7",
    "v6.7+enomem-abort",
    "v6.7+enomem-ignore",
    "v6.7+enomem-go-on",
    "v6.7+enomem-retry",
)
NR_PAGES = 1024  # huge pages of 2 MB
NR_PAGES_QUICK = 64
STEP = 2  # from one number of free pages to the next
STEP_LISTED = 16  # ... in the tables
ONE_FAILS = "the PTE page of the split in the middle, once"


def main(argv: Sequence[str]) -> tuple[int, str]:
    """Return the exit status and the report."""
    # Set up: wrong input ends here, before anything is simulated or written
    args = parse(argv)
    swept = {where: list(sweep(base)) for where, base in placements(args).items()}
    failing = failures(args)

    # Simulate and draw
    total = sum(map(len, swept.values())) + sum(map(len, failing.values()))
    with whole_files(args.out) as folder, tqdm(total=total, leave=False, disable=None) as bar:
        results = {where: list(simulate_all(runs, bar.update)) for where, runs in swept.items()}
        failed = {what: list(simulate_all(runs, bar.update)) for what, runs in failing.items()}
        figure = plots.plot_pressure(results, failed[ONE_FAILS])
        plots.save(figure, folder / "memory-pressure.png")

        # Report
        command = shlex.join(["python", f"scenarios/{Path(__file__).name}", *argv])
        table = {
            where: [r for r in results[where] if r.scenario.free_pages in listed(runs)]
            for where, runs in swept.items()
        }
        text = pressure_report(table, failed, command=command)
        (folder / "memory-pressure.txt").write_text(text, encoding="utf-8")
    return 0, text


def parse(argv: Sequence[str]) -> Namespace:
    """Return the options."""
    parser = Parser(description=__doc__)
    option = parser.add_argument
    option("--machine", metavar="NAME", default=MACHINE, help=f"default: {MACHINE}")
    option("--pages", metavar="N", type=number, help=f"huge pages of 2 MB (default {NR_PAGES})")
    option("--cpus", metavar="N", type=number, help="the first N CPUs of the machine (default all)")
    option("--seed", metavar="N", type=number, default=1, help="seed of all draws (default 1)")
    option("--out", metavar="DIR", type=Path, default="out", help="for plot, text (default out)")
    option("--quick", action="store_true", help=f"{NR_PAGES_QUICK} pages")
    args = parser.parse(argv)
    if args.pages is None:
        args.pages = NR_PAGES_QUICK if args.quick else NR_PAGES
    return args


def placements(args: Namespace) -> dict[str, Scenario]:
    """Return the scenarios to start from by how the huge pages lie."""
    base = Scenario(
        machine=args.machine, pages=args.pages, cpus=args.cpus, seed=args.seed, phases=("alloc",)
    )
    return {
        "Each huge page in a PMD of its own": base.replace(placement=f"pmds={base.pages}"),
        "64 huge pages to a PMD": base,
    }


def sweep(base: Scenario) -> list[Scenario]:
    """Return each number of free pages, from none to enough, with each kernel."""
    probe = simulate(base.replace(kernel="v6.7"))
    nr_pmds = int(probe.summary["pmd_splits"].iloc[0])
    # A PTE page for each PMD, and a head page for each folio too.
    counts = [0, *powers(STEP, nr_pmds), nr_pmds, nr_pmds + base.pages]
    return [base.replace(free_pages=n, kernel=k) for n in counts for k in KERNELS]


def listed(runs: Sequence[Scenario]) -> set[int | None]:
    """Return the numbers of free pages that the tables list: the ends, and some between."""
    counts = sorted({s.free_pages for s in runs if s.free_pages is not None})
    return {0, *powers(STEP_LISTED, counts[-2]), *counts[-2:]}


def powers(base: int, below: int) -> Iterator[int]:
    """Yield the powers of a number, from 1 on, that are below another."""
    power = 1
    while power < below:
        yield power
        power *= base


def failures(args: Namespace) -> dict[str, list[Scenario]]:
    """Return what else cannot be had, and the scenarios of the kernels that it concerns."""
    base = placements(args)["Each huge page in a PMD of its own"].replace(phases=("alloc", "free"))
    middle = 7 * (base.pages // 2)
    cases = {
        "nothing fails": base,
        "no new head page at all": base.replace(
            faults={"head_page": tuple(range(1, base.pages + 1))}
        ),
        # Enough pages for all: what fails is over at once, and most answers cost nothing then.
        ONE_FAILS: base.replace(
            phases=("alloc",), free_pages=2 * base.pages, faults={"pte_page": (base.pages // 2,)}
        ),
        "one restore page in the middle": base.replace(faults={"restore_page": (middle,)}),
        "three restore pages in a row": base.replace(
            faults={"restore_page": (middle, middle + 1, middle + 2)}
        ),
        f"{max(2, base.pages // 4):,} base pages free before the alloc": base.replace(
            free_pages=max(2, base.pages // 4)
        ),
    }
    return {
        what: [s.replace(kernel=k) for k in (KERNELS if what == ONE_FAILS else KERNELS[:2])]
        for what, s in cases.items()
    }


if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(sys.argv[1:])))
