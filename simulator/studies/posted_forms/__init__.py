# SPDX-License-Identifier: MIT
"""
The PMD split as it was posted: what does each form flush?
----------------------------------------------------------

The four forms in which "hugetlb: batch PMD split for bulk vmemmap
dedup" was posted, alone and with the next patch on top, which batches
the remaps: on a list of folios, where a split fails, and on single
folios.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from simulator.geometry import PMD_SPAN_BYTES, least_pmds
from simulator.studies.study import Findings, Progress, Study, option

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulator.scenario import Scenario
    from simulator.studies.posted_forms.numbers import FlushCase

__all__ = ("FORMS", "NEXT_FORMS", "PostedForms", "PostedFormsFindings", "Wanted")

MACHINE = "epyc-7j13-vm252"
FORMS = ("v6.6+6@v1", "v6.6+6@v2", "v6.6+6@v3", "v6.6+6@v8")
# On top of them: one flush for all remaps. There is no posting beside these that differs.
NEXT_FORMS = ("v6.6+7@v1", "v6.6+7@v2", "v6.6+7@v3", "v6.6+7")
INVERTED = ("v6.6+6@v3", "v6.6+7@v3")
NR_PAGES, NR_PAGES_QUICK = 4096, 128
TITLE = "Posted forms of the PMD split, by their flushes"


@dataclass(frozen=True)
class Wanted:
    """What to simulate for a case, and how many flushes each kernel should make."""

    title: str
    scenario: Scenario
    formulas: Mapping[str, tuple[str, int]]


@dataclass(frozen=True, kw_only=True)
class PostedForms(Study):
    """The flushes of each form beside their formulas, and the splits that none followed."""

    NAME: ClassVar = "posted_forms"
    QUESTION: ClassVar = "The PMD split as it was posted: what does each form flush?"
    REPORT: ClassVar = "posted-forms.txt"

    machine: str = option("name", MACHINE, f"default {MACHINE}")
    pages: int | None = option("number", None, f"huge pages of 2 MB (default {NR_PAGES})")
    seed: int = option("number", 1, "seed of all draws (default 1)")
    quick: bool = option("flag", False, f"{NR_PAGES_QUICK} pages")

    @cached_property
    def cases(self) -> tuple[Wanted, ...]:
        """The four situations."""
        from simulator.scenario import Scenario

        pages = NR_PAGES_QUICK if self.quick else NR_PAGES
        listed = Scenario(
            machine=self.machine,
            pages=pages if self.pages is None else self.pages,
            phases=("alloc",),
            seed=self.seed,
        )
        return tuple(_cases(listed))

    def scenarios(self) -> list[Scenario]:
        """Return each form in each situation."""
        return [case.scenario.replace(kernel=name) for case in self.cases for name in case.formulas]

    def run(self, progress: Progress | None = None) -> PostedFormsFindings:
        """Simulate each form in each situation."""
        cases = [_simulated(case, progress) for case in self.cases]
        return PostedFormsFindings(study=self, cases=cases)


@dataclass(frozen=True, kw_only=True, eq=False)
class PostedFormsFindings(Findings):
    """The situations, each with the results of its kernels."""

    study: PostedForms
    cases: Sequence[FlushCase]

    @property
    def unsafe(self) -> bool:
        """Whether a run broke what must hold."""
        from simulator.analysis.safety import any_unsafe

        return any_unsafe(result for case in self.cases for result in case.results)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row per situation and kernel."""
        from simulator.studies.posted_forms.numbers import case_rows

        return [row for case in self.cases for row in case_rows(case, "alloc")]

    def text(self, command: str = "") -> str:
        """Return the tables of flushes."""
        from simulator.studies.posted_forms.text import flush_kinds_report

        command = command or self.study.command
        return flush_kinds_report(self.cases, title=TITLE, command=command)

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Yield the plot of flushes by kind."""
        from simulator.studies.posted_forms.plot import plot_flush_kinds

        yield "posted-forms", plot_flush_kinds(self.cases)


def _cases(listed: Scenario) -> Iterator[Wanted]:
    n, s = listed.pages, _nr_pmds(listed)
    yield Wanted(
        "A list of folios",
        listed,
        {form: ("S+1+N", s + 1 + n) if form in INVERTED else ("N+1", n + 1) for form in FORMS},
    )

    # As many as there are PMDs to have one each. The k-th split is the first to fail: the
    # merged form leaves it and all others to the remap pass, the others that one alone.
    apart = min(n, _nr_pmds_of_machine(listed))
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


# How many PMDs aligned folios lie in, which are taken from the nodes in turn.
def _nr_pmds(scenario: Scenario) -> int:
    nodes = scenario.machine_model.nr_nodes
    shares = [scenario.pages // nodes + (nid < scenario.pages % nodes) for nid in range(nodes)]
    return sum(least_pmds(share, "2M") for share in shares)


def _nr_pmds_of_machine(scenario: Scenario) -> int:
    machine = scenario.machine_model
    return int(machine.memory.node_memory.exact_bytes // PMD_SPAN_BYTES) * machine.nr_nodes


def _simulated(case: Wanted, progress: Progress | None) -> FlushCase:
    from simulator.run import simulate
    from simulator.studies.posted_forms.numbers import FlushCase

    results = []
    for name in case.formulas:
        results.append(simulate(case.scenario.replace(kernel=name)))
        if progress is not None:
            progress()
    return FlushCase(case.title, results, case.formulas)
