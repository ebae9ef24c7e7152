# SPDX-License-Identifier: MIT
r"""
The PMD split as it was posted: what does each form flush?
----------------------------------------------------------

The patch "hugetlb: batch PMD split for bulk vmemmap dedup" was posted
eight times, in four forms that differ in when they flush the TLBs: v1,
v2 (the one with remap_pte), v3 and v4 (with an inverted flag), v5 to v8
(as merged).

Covers:
    - number and kind of the flushes of each form, beside their formulas
    - what a split that fails, for want of memory, does to them
    - the path of single folios
    - the same with the next patch on top, which batches the remaps
    - which forms give pages back while a split PMD was never flushed

Scenario:
    The pool of 2 MB pages is empty, and one task asks for N of them.
    Once they lie together, 64 to a vmemmap PMD; once each in a PMD of
    its own, and the PTE page of the split in the middle cannot be had;
    once they are surplus pages, which are optimised one by one.

Usage:
    python scenarios/posted_forms.py
    python scenarios/posted_forms.py --quick --machine laptop-8 \
        --out /tmp/posted
"""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from simulator import Scenario, simulate
from simulator.analysis.flush_kinds import FlushCase
from simulator.cli.output import whole_files
from simulator.cli.parser import Parser, number
from simulator.cli.process import exit_status
from simulator.geometry import PMD_SPAN_BYTES, least_pmds
from simulator.kernel import load_kernel
from simulator.kernel.unflushed import watch_splits
from simulator.report import flush_kinds_report, plots

MACHINE = "epyc-7j13-vm252"
FORMS = ("v6.6+6@v1", "v6.6+6@v2", "v6.6+6@v3", "v6.6+6@v8")
# On top of them: one flush for all remaps. There is no posting beside these that differs.
NEXT_FORMS = ("v6.6+7@v1", "v6.6+7@v2", "v6.6+7@v3", "v6.6+7")
INVERTED = ("v6.6+6@v3", "v6.6+7@v3")
NR_PAGES = 4096
NR_PAGES_QUICK = 128


@dataclass(frozen=True)
class Wanted:
    """What to simulate for a case, and how many flushes each kernel should make."""

    title: str
    scenario: Scenario
    formulas: Mapping[str, tuple[str, int]]


def main(argv: Sequence[str]) -> tuple[int, str]:
    """Return the exit status and the report."""
    args = parse(argv)
    wanted = list(cases(args))
    total = sum(len(case.formulas) for case in wanted)
    with whole_files(args.out) as folder, tqdm(total=total, leave=False, disable=None) as bar:
        found = [simulated(case, bar) for case in wanted]
        plots.save(plots.plot_flush_kinds(found), folder / "posted-forms.png")
        command = shlex.join(["python", f"scenarios/{Path(__file__).name}", *argv])
        title = "Posted forms of the PMD split, by their flushes"
        text = flush_kinds_report(found, title=title, command=command)
        (folder / "posted-forms.txt").write_text(text, encoding="utf-8")
    return 0, text


def parse(argv: Sequence[str]) -> Namespace:
    """Return the options."""
    parser = Parser(description=__doc__)
    option = parser.add_argument
    option("--machine", metavar="NAME", default=MACHINE, help=f"default {MACHINE}")
    option("--pages", metavar="N", type=number, help=f"huge pages of 2 MB (default {NR_PAGES})")
    option("--seed", metavar="N", type=number, default=1, help="seed of all draws (default 1)")
    option("--out", metavar="DIR", type=Path, default="out", help="for plot, text (default out)")
    option("--quick", action="store_true", help=f"{NR_PAGES_QUICK} pages")
    return parser.parse(argv)


def cases(args: Namespace) -> Iterator[Wanted]:
    """Yield the four situations."""
    pages = args.pages
    if pages is None:
        pages = NR_PAGES_QUICK if args.quick else NR_PAGES
    listed = Scenario(machine=args.machine, pages=pages, phases=("alloc",), seed=args.seed)
    n, s = pages, nr_pmds(listed)
    yield Wanted(
        "A list of folios",
        listed,
        {form: ("S+1+N", s + 1 + n) if form in INVERTED else ("N+1", n + 1) for form in FORMS},
    )

    # As many as there are PMDs to have one each. The k-th split is the first to fail: the
    # merged form leaves it and all others to the remap pass, the others that one alone.
    apart = min(n, nr_pmds_of_machine(listed))
    k = (apart + 1) // 2
    late = dict.fromkeys(FORMS[:3], 1) | {FORMS[3]: apart - k + 1}
    yield Wanted(
        f"Split {k} of {apart} fails",
        listed.replace(pages=apart, placement=f"pmds={apart}", faults={"pte_page": (k,)}),
        {
            form: ("S-L+1+N", apart - late[form] + 1 + apart)
            if form in INVERTED
            else ("N+1+L", apart + 1 + late[form])
            for form in FORMS
        },
    )
    yield Wanted(
        "Single folios",
        listed.replace(path="surplus"),
        {form: ("N", n) if form in INVERTED else ("S+N", s + n) for form in FORMS},
    )
    yield Wanted(
        "A list of folios, with the next patch of the same posting",
        listed,
        {form: ("S+2", s + 2) if form in INVERTED else ("2", 2) for form in NEXT_FORMS},
    )


def nr_pmds(scenario: Scenario) -> int:
    """Return how many PMDs aligned folios lie in, which are taken from the nodes in turn."""
    nodes = scenario.machine_model.nr_nodes
    shares = [scenario.pages // nodes + (nid < scenario.pages % nodes) for nid in range(nodes)]
    return sum(least_pmds(share, "2M") for share in shares)


def nr_pmds_of_machine(scenario: Scenario) -> int:
    """Return how many vmemmap PMDs the machine has."""
    machine = scenario.machine_model
    return int(machine.memory.node_memory.exact_bytes // PMD_SPAN_BYTES) * machine.nr_nodes


def simulated(case: Wanted, bar: tqdm) -> FlushCase:
    """Return the case with the results of all its kernels."""
    results, unflushed = [], {}
    for name in case.formulas:
        kernel, noted = watch_splits(load_kernel(name))
        results.append(simulate(case.scenario.replace(kernel=kernel)))
        unflushed[name] = len(noted)
        bar.update()
    return FlushCase(case.title, results, case.formulas, unflushed)


if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(sys.argv[1:])))
