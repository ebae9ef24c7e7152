# SPDX-License-Identifier: MIT
"""
The first published figures of HVO: does the model give them?
-------------------------------------------------------------

Before HVO was merged its author published how long 10240 huge pages
take with it and without, and histograms of the time of each page, on a
machine that is not stated.

Covers:
    - the four times, published and simulated
    - the four histograms, as bpftrace prints them
    - what the one prediction hangs on: how soon an idle CPU goes into
      C1E

Scenario:
    Kernel v5.14: 6 of 8 vmemmap pages go back, nothing is split, every
    page flushes. The machine is a guess, fitted to the times with HVO
    off and to the allocation with HVO on; freeing with HVO on, and both
    histograms with HVO on, are predicted. With --quick the last-level
    cache is made smaller by as much as the number of pages, or all
    struct pages would be in it, and freeing with HVO off would take
    half the time.

Usage:
    python scenarios/hvo_2021.py
    python scenarios/hvo_2021.py --quick --out /tmp/hvo
"""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from simulator import Scenario, simulate
from simulator.analysis.hvo_2021 import published_hvo_2021
from simulator.calibration import Setting, with_cache_for
from simulator.cli.output import whole_files
from simulator.cli.parser import Parser, number
from simulator.cli.process import exit_status
from simulator.machine import load_machine
from simulator.report import hvo_2021_report, plots

MACHINE = "server-2021"
KERNEL = "v5.14"
NR_PAGES_QUICK = 1024
# Within the range of the value: intel_idle says 20 us, at which the simulated CPUs just get there.
RESIDENCY = "30us"
QUICK = "with --quick, the last-level cache as much smaller as there are fewer pages"


def main(argv: Sequence[str]) -> tuple[int, str]:
    """Return the exit status and the report."""
    args = parse(argv)
    published = published_hvo_2021()
    off, on, late = scenarios(args, published[0].pages)
    with whole_files(args.out) as folder, tqdm(total=3, leave=False, disable=None) as bar:
        results = {}
        for hvo, scenario in ((False, off), (True, on)):
            results[hvo] = simulate(scenario)
            bar.update()
        variant = (f"C1E after {RESIDENCY} instead of 20us", simulate(late))
        bar.update()
        plots.save(plots.plot_hvo_2021(results, published), folder / "hvo-2021.png")
        command = shlex.join(["python", f"scenarios/{Path(__file__).name}", *argv])
        remark = QUICK if args.quick else ""
        text = hvo_2021_report(results, [variant], published, command=command, remark=remark)
        (folder / "hvo-2021.txt").write_text(text, encoding="utf-8")
    return 0, text


def parse(argv: Sequence[str]) -> Namespace:
    """Return the options."""
    parser = Parser(description=__doc__)
    option = parser.add_argument
    option("--seed", metavar="N", type=number, default=1, help="seed of all draws (default 1)")
    option("--out", metavar="DIR", type=Path, default="out", help="for plot, text (default out)")
    option("--quick", action="store_true", help=f"{NR_PAGES_QUICK} pages, less cache")
    return parser.parse(argv)


def scenarios(args: Namespace, pages: int) -> tuple[Scenario, Scenario, Scenario]:
    """Return HVO off, HVO on, and HVO on with idle CPUs that stay in C1 for longer."""
    machine = load_machine(MACHINE)
    on = Scenario(machine=machine, kernel=KERNEL, pages=pages, seed=args.seed)
    if args.quick:
        setting = Setting(KERNEL, on.hvo, pages, on.page_size)
        machine = with_cache_for(NR_PAGES_QUICK, setting, machine, pages)
        on = on.replace(machine=machine, pages=NR_PAGES_QUICK)
    late = machine.with_values({"idle_states.C1E.residency": RESIDENCY})
    return on.replace(hvo=False), on, on.replace(machine=late)


if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(sys.argv[1:])))
