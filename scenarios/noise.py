# SPDX-License-Identifier: MIT
r"""
Does the conclusion survive what the other CPUs do?
---------------------------------------------------

Batching saves flushes. What a flush takes depends on the slowest CPU
that it interrupts: one that is idle, has interrupts off, handles
somebody else's shootdown, or is a virtual CPU that the host does not
run.

Covers:
    - v6.6 against v6.7 under every noise preset, and along one key of a
      noise
    - the speed-up with its interval, so that a change of it can be told
      from chance
    - the time of one flush: median, 99th percentile, maximum

Scenario:
    The pool is empty. One task asks for N huge pages of 2 MB and gives
    them back, several times with other draws. Replications of both
    kernels meet the same noise.

Usage:
    python scenarios/noise.py
    python scenarios/noise.py --quick --machine laptop-8 \
        --key idle_depth_ns --out /tmp/noise
"""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from simulator import InputError, Result, Scenario, noises
from simulator.analysis.under_noise import noise_case
from simulator.cli.output import whole_files
from simulator.cli.parser import Parser, number
from simulator.cli.process import exit_status
from simulator.errors import nearest
from simulator.experiment import simulate_all
from simulator.report import noise_report, plots
from simulator.report.text import format_ns

MACHINE = "epyc-7j13-vm252"
KERNELS = ("v6.6", "v6.7")
PRESET = "quiet"  # what a key is changed in
#: The keys that can be swept: their values, and what else has to be set for them.
KEYS: dict[str, tuple[tuple[float, ...], dict[str, float]]] = {
    "preempted_share": ((0, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.3), {}),
    "idle_share": ((0, 0.01, 0.05, 0.2, 0.5, 0.95), {}),
    "idle_depth_ns": ((2e3, 1e4, 1e5, 1e6, 1e7), {"idle_share": 0.5}),
    "irqs_off_share": ((0, 1e-4, 1e-3, 5e-3, 0.01, 0.018), {}),
    "irqs_off_tail_share": ((0, 1e-4, 1e-3, 0.01, 0.1), {"irqs_off_max_ns": 1e6}),
    "shootdowns_per_s": ((0, 10, 100, 1000, 5000), {}),
}
NR_PAGES = 1024  # huge pages of 2 MB
NR_PAGES_QUICK = 32
NR_RUNS = 5  # replications
NR_RUNS_QUICK = 2


def main(argv: Sequence[str]) -> tuple[int, str]:
    """Return the exit status and the report."""
    # Set up: wrong input ends here, before anything is simulated or written
    args = parse(argv)
    base = Scenario(machine=args.machine, pages=args.pages, cpus=args.cpus, seed=args.seed)
    key = swept_key(args, base)
    presets = [(name, "", base.replace(noise=name)) for name in noises()]
    swept = list(sweep(base, key))

    # Simulate and draw
    total = args.replications * len(KERNELS) * (len(presets) + len(swept))
    with whole_files(args.out) as folder, tqdm(total=total, leave=False, disable=None) as bar:
        runs = [simulated(s, args.replications, bar) for _, _, s in (*presets, *swept)]
        cases = [
            noise_case(label, of_key, phase, found)
            for phase in base.phase_labels
            for (label, of_key, _), found in zip((*presets, *swept), runs, strict=True)
        ]
        changed = f"{key}, in place of that of {PRESET}{_with(key)}"
        groups = {
            "Presets": [c for c in cases if not c.key],
            changed: [c for c in cases if c.key],
        }
        first = [[c for c in found if c.phase == "alloc"] for found in groups.values()]
        common = [r for found in runs[: len(presets)] for of_kernel in found for r in of_kernel]
        plots.save(plots.plot_noise(*first, key, changed, common), folder / "noise.png")

        # Report
        command = shlex.join(["python", f"scenarios/{Path(__file__).name}", *argv])
        text = noise_report(groups, common[0], command=command)
        (folder / "noise.txt").write_text(text, encoding="utf-8")
    return 0, text


def parse(argv: Sequence[str]) -> Namespace:
    """Return the options."""
    parser = Parser(description=__doc__)
    option = parser.add_argument
    option("--machine", metavar="NAME", default=MACHINE, help=f"default: {MACHINE}")
    option("--key", metavar="KEY", help=f"key to change: {', '.join(KEYS)}")
    option("--pages", metavar="N", type=number, help=f"huge pages of 2 MB (default {NR_PAGES})")
    option("--cpus", metavar="N", type=number, help="the first N CPUs of the machine (default all)")
    option("--replications", metavar="N", type=number, help=f"default {NR_RUNS}")
    option("--seed", metavar="N", type=number, default=1, help="seed of all draws (default 1)")
    option("--out", metavar="DIR", type=Path, default="out", help="for plot, text (default out)")
    option("--quick", action="store_true", help=f"{NR_PAGES_QUICK} pages, {NR_RUNS_QUICK} runs")
    args = parser.parse(argv)
    if args.pages is None:
        args.pages = NR_PAGES_QUICK if args.quick else NR_PAGES
    if args.replications is None:
        args.replications = NR_RUNS_QUICK if args.quick else NR_RUNS
    if not isinstance(args.replications, int) or not 1 <= args.replications <= 1000:
        raise InputError(f"replications: must be 1 to 1000, not {args.replications}")
    return args


def swept_key(args: Namespace, base: Scenario) -> str:
    """Return the key that is swept: the one asked for, or what the machine feels most."""
    virtual = base.machine_model.virtual
    key = args.key or ("preempted_share" if virtual else "idle_share")
    if key not in KEYS:
        raise InputError(f"key: {key!r} is not one of {', '.join(KEYS)}{nearest(key, KEYS)}")
    if key == "preempted_share" and not virtual:
        raise InputError(f"key: {base.machine_model.name} has no virtual CPUs; try idle_share")
    return key


def sweep(base: Scenario, key: str) -> Iterator[tuple[str, str, Scenario]]:
    """Yield each value of a key as a label, the key, and the scenario."""
    values, others = KEYS[key]
    for value in values:
        noise = {"preset": PRESET, **others, key: value}
        label = format_ns(value) if key.endswith("_ns") else f"{value:g}"
        yield label, key, base.replace(noise=noise)


def _with(key: str) -> str:
    others = KEYS[key][1]
    return "".join(f", with {name}={value:g}" for name, value in others.items())


def simulated(scenario: Scenario, replications: int, bar: Any) -> list[list[Result]]:
    """Return the replications of both kernels."""
    return [
        list(
            simulate_all(
                [scenario.replace(kernel=k, replication=i) for i in range(replications)],
                bar.update,
            )
        )
        for k in KERNELS
    ]


if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(sys.argv[1:])))
