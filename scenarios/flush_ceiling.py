# SPDX-License-Identifier: MIT
r"""
Where should the ceiling of single-page flushes be?
---------------------------------------------------

x86 flushes up to 33 pages one by one, and everything where there are
more: commit a5102476a24b ("x86/mm: Set TLB flush tunable to sane value
(33)") (in v3.17). When is it cheaper to flush everything, and to miss
the rest again?

Covers:
    - flushes by their number of pages, published and simulated
    - the number of pages from which a full flush is cheaper, by how
      much of the TLB is used again after it
    - the same on other machines, as their profiles have it

Scenario:
    One CPU flushes over and over, with the ceiling out of the way;
    nobody else is there. What a flush takes from the TLB is missed
    again afterwards.

Usage:
    python scenarios/flush_ceiling.py
    python scenarios/flush_ceiling.py --quick --machine laptop-8 \
        --out /tmp/ceiling
"""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from simulator import Result, Scenario, load_machine
from simulator.analysis import call_times, published_figures
from simulator.cli.output import whole_files
from simulator.cli.parser import Parser, number
from simulator.cli.process import exit_status
from simulator.kernel.modules.tlb_flush import ALL, TlbFlush
from simulator.report import ceiling_report, plots
from simulator.run import simulate_module
from simulator.validation.benchmarks import CEILING

MACHINE = "core-i5-3320m"
# Others to ask, bare metal and guests.
MACHINES = ("core-i5-4590", "xeon-8375c-2s", "epyc-7r13-2s", "xeon-e7-8895-8s", "epyc-7j13-vm252")
SIZES = tuple(range(1, 129))  # pages
ENTRIES = (0, 64, 128, 192, 256, 512)  # translations used again after a full flush
DRAWN = (0, 128, 192, 256, 512)
NTIMES, NTIMES_QUICK = 1000, 10


def main(argv: Sequence[str]) -> tuple[int, str]:
    """Return the exit status and the report."""
    # Set up: wrong input ends here, before anything is simulated or written
    args = parse(argv)
    whole = scenario(args.machine, args)
    by_entries = {n: refilled(whole, n) for n in ENTRIES}
    by_machine = {name: scenario(name, args) for name in dict.fromkeys((args.machine, *MACHINES))}

    # Simulate and draw
    module = TlbFlush((*SIZES, None), NTIMES_QUICK if args.quick else NTIMES)
    total = len(by_entries) + len(by_machine)
    with whole_files(args.out) as folder, tqdm(total=total, leave=False, disable=None) as bar:

        def run(wanted: Scenario) -> Result:
            bar.update()
            return simulate_module(wanted, module)

        refills = {n: run(s) for n, s in by_entries.items()}
        machines = {s.machine_model.name: run(s) for s in by_machine.values()}
        flushes = machines[whole.machine_model.name]
        published = published_figures("flush", whole.machine_model.name)
        ceiling = whole.kernel_class.TUNABLES[CEILING][0]
        full_ns = {n: call_times(refills[n])[ALL].whole_ns for n in DRAWN}
        figure = plots.plot_ceiling(flushes, full_ns, published, ceiling=ceiling)
        plots.save(figure, folder / "flush-ceiling.png")

        # Report
        text = ceiling_report(
            flushes,
            {n: cheaper_from(result) for n, result in refills.items()},
            {name: cheaper_from(result) for name, result in machines.items()},
            published,
            command=shlex.join(["python", f"scenarios/{Path(__file__).name}", *argv]),
            ceiling=ceiling,
        )
        (folder / "flush-ceiling.txt").write_text(text, encoding="utf-8")
    return 0, text


def parse(argv: Sequence[str]) -> Namespace:
    """Return the options."""
    parser = Parser(description=__doc__)
    option = parser.add_argument
    option("--machine", metavar="NAME", default=MACHINE, help=f"default: {MACHINE}")
    option("--seed", metavar="N", type=number, default=1, help="seed of all draws (default 1)")
    option("--out", metavar="DIR", type=Path, default="out", help="for plot, text (default out)")
    option("--quick", action="store_true", help=f"{NTIMES_QUICK} flushes of each, not {NTIMES}")
    return parser.parse(argv)


def scenario(machine: str, args: Namespace) -> Scenario:
    """Return one CPU of a machine, with the ceiling out of the way."""
    return Scenario(
        machine=load_machine(machine), pages=1, cpus=1, seed=args.seed,
        tunables={CEILING: max(SIZES)},
    )  # fmt: skip


def refilled(whole: Scenario, entries: int) -> Scenario:
    """Return the scenario with so many TLB misses after a full flush."""
    machine = whole.machine_model
    miss_ns = float(machine.costs.refill_page.exact_ns)
    return whole.replace(machine=machine.with_values({"costs.refill_full": entries * miss_ns}))


def cheaper_from(result: Result) -> int | None:
    """Return the least number of pages whose flush costs more than a full one."""
    times = call_times(result)
    return next((n for n in SIZES if times[str(n)].whole_ns > times[ALL].whole_ns), None)


if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(sys.argv[1:])))
