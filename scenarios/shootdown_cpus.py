# SPDX-License-Identifier: MIT
r"""
What does one more CPU cost?
----------------------------

A flush of one page against the number of CPUs that it has to reach, on
machines from a desktop to 8 sockets, bare metal and guests.

Covers:
    - the published cost of madvise() with 1, 2 and 4 threads on a
      Haswell
    - the same beside one peer in a small cloud VM, and what the peer
      loses
    - what the first other CPU costs, and each further one, on every
      machine

Scenario:
    One CPU flushes over and over; the others run. A flush of user pages
    reaches the CPUs of its process, one of kernel pages all of them:
    the first N CPUs of a machine stand for either.

Usage:
    python scenarios/shootdown_cpus.py
    python scenarios/shootdown_cpus.py --quick --machine core-i5-4590 \
        --out /tmp/cpus
"""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from simulator import Machine, Scenario
from simulator.analysis import published_figures
from simulator.cli.output import whole_files
from simulator.cli.parser import Parser, number
from simulator.cli.process import exit_status
from simulator.kernel.modules.tlb_flush import TlbFlush
from simulator.machine.values import CostByDistance, Time
from simulator.report import plots, shootdown_report
from simulator.run import simulate_module
from simulator.validation.benchmarks import SHOOTDOWN_NOISE

MACHINES = (
    "core-i5-4590",
    "xeon-8375c-2s",
    "epyc-7r13-2s",
    "xeon-e7-8895-8s",
    "xeon-skx-vm80",
    "epyc-7j13-vm252",
    "epyc-zen4-vm2",
)
# Published, and no cost of it fitted: how far do the assumed ones carry the prediction?
PREDICTED = ("core-i5-4590",)
SIZES = (1, 8, 32)  # pages
NTIMES, NTIMES_QUICK = 10_000, 500


def main(argv: Sequence[str]) -> tuple[int, str]:
    """Return the exit status and the report."""
    # Set up: wrong input ends here, before anything is simulated or written
    args = parse(argv)
    swept = scenarios(args)

    # Simulate and draw
    total = sum(map(len, swept.values()))
    ntimes = NTIMES_QUICK if args.quick else NTIMES
    with whole_files(args.out) as folder, tqdm(total=total, leave=False, disable=None) as bar:
        runs = {}
        for machine, by_cpus in swept.items():
            runs[machine] = {}
            for cpus, scenario in by_cpus.items():
                # More pages are of interest where they were measured: beside one peer.
                sizes = SIZES if cpus <= 2 else SIZES[:1]
                runs[machine][cpus] = simulate_module(scenario, TlbFlush(sizes, ntimes))
                bar.update()
        ends = {
            machine: [
                {n: simulate_module(s, TlbFlush((1,), ntimes)) for n, s in by_cpus.items()}
                for by_cpus in at_both_ends(swept[machine])
            ]
            for machine in PREDICTED
            if machine in swept
        }
        published = [f for f in published_figures("madvise") if "before" not in f.case]
        plots.save(plots.plot_shootdowns(runs, published), folder / "shootdown-cpus.png")

        # Report
        command = shlex.join(["python", f"scenarios/{Path(__file__).name}", *argv])
        text = shootdown_report(
            runs, published, published_figures("victim"), command=command, ends=ends
        )
        (folder / "shootdown-cpus.txt").write_text(text, encoding="utf-8")
    return 0, text


def parse(argv: Sequence[str]) -> Namespace:
    """Return the options."""
    parser = Parser(description=__doc__)
    option = parser.add_argument
    option("--machine", metavar="NAME", action="append", help="default: all that were published")
    option("--seed", metavar="N", type=number, default=1, help="seed of all draws (default 1)")
    option("--out", metavar="DIR", type=Path, default="out", help="for plot, text (default out)")
    option("--quick", action="store_true", help=f"{NTIMES_QUICK} flushes, not {NTIMES}")
    return parser.parse(argv)


def scenarios(args: Namespace) -> dict[str, dict[int, Scenario]]:
    """Return the scenarios by machine and number of CPUs: the powers of two, and all."""
    found = {}
    for name in dict.fromkeys(args.machine or MACHINES):
        whole = Scenario(machine=name, pages=1, noise=SHOOTDOWN_NOISE, seed=args.seed)
        powers = [2**i for i in range(whole.nr_cpus.bit_length()) if 2**i < whole.nr_cpus]
        counts = [*powers, whole.nr_cpus]
        found[whole.machine_model.name] = {n: whole.replace(cpus=n) for n in counts}
    return found


def at_both_ends(by_cpus: Mapping[int, Scenario]) -> Iterator[dict[int, Scenario]]:
    """Yield the scenarios with all assumed costs of a flush least, and with all greatest."""
    machine = by_cpus[1].machine_model
    for end in (0, 1):
        values = {
            key: f"{cost.range[end]:g} {cost.unit}"
            for key, cost in costs_of(machine)
            if cost.kind == "assumed"
        }
        changed = machine.with_values(values)
        yield {n: s.replace(machine=changed) for n, s in by_cpus.items()}


def costs_of(machine: Machine) -> Iterator[tuple[str, Time]]:
    """Yield the costs that a flush is made of, by the names that set them."""
    for name in ("flush_base", "enqueue", "send", "deliver", "handler_entry", "invlpg", "ack"):
        cost = getattr(machine.costs, name)
        if isinstance(cost, CostByDistance):
            for distance, time in cost.times.items():
                yield f"costs.{name}.{distance}", time
        else:
            yield f"costs.{name}", cost


if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(sys.argv[1:])))
