# SPDX-License-Identifier: MIT
"""
What every format is made of
----------------------------

A comparison, how to repeat it, and what has to stand beside any number of it: that
it is simulated, machine, kernels, seed, calibration and its error, assumed costs,
safety.  A single scenario is a comparison of one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from simulator.analysis.compare import Comparison, metrics_of
from simulator.analysis.frames import ResultTotals, name_of, nr_cpus
from simulator.analysis.measured import measured_for, was_fitted
from simulator.analysis.stats import UNCERTAINTY
from simulator.kernel import kernels, mutants, proposals
from simulator.published.times import Timing, read_timings
from simulator.report.evidence_text import crossing_text
from simulator.report.header import (
    machine_title,
    set_text,
    static_key_texts,
    trust_text,
    version_text,
)
from simulator.report.text import command_line, format_error, format_ns, wrapped

if TYPE_CHECKING:
    from simulator.experiment.evidence import Evidence

__all__ = ("Material", "fact_lines", "facts", "plain_number")

_HASH_DIGITS = 12
_MOST_COSTS = 4
_LABEL = 11
# Said by themselves, or telling replications apart.
_OWN_FACT = ("machine", "kernel", "seed", "replication", "set")


@dataclass(frozen=True, eq=False)
class Material:
    """
    What a report is made of.

    ``command`` repeats it; ``evidence`` says which uncertain costs it hangs on, of a sweep
    that drew them, and where it breaks even; ``every`` asks for rows that a format would
    leave out or fold.
    """

    comparison: Comparison
    command: str
    evidence: Evidence | None = None
    every: bool = False

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Each scenario with its baseline; of a single scenario, that with itself."""
        c = self.comparison
        return list(c.pairs) or [(label, label) for label in c.labels]

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases of all scenarios."""
        return self.comparison.phases

    @cached_property
    def _rows(self) -> dict[tuple[str, str, str], dict[str, Any]]:
        return {
            (str(row["scenario"]), str(row["phase"]), str(row["metric"])): {
                str(name): value for name, value in row.items()
            }
            for row in self.comparison.frame.to_dict("records")
        }

    def row(self, label: str, phase: str, metric: str) -> dict[str, Any] | None:
        """Return the row of the comparison's frame; None where it has no value."""
        row = self._rows.get((label, phase, metric))
        return None if row is None or row["verdict"] == "no value" else row

    @cached_property
    def _values(self) -> dict[str, list[dict[str, dict[str, float]]]]:
        c = self.comparison
        return {
            label: [metrics_of(run) for run in runs]
            for label, runs in zip(c.labels, c.runs, strict=True)
        }

    def values(self, label: str, phase: str, metric: str) -> list[float]:
        """Return the value of each replication."""
        return [of[metric][phase] for of in self._values[label]]

    def runs(self, label: str) -> Sequence[ResultTotals]:
        """Return the replications of a scenario."""
        return self.comparison.runs[self.comparison.labels.index(label)]


def facts(material: Material) -> list[tuple[str, str]]:
    """Return what has to stand beside any number, as pairs of label and text."""
    c = material.comparison
    first = [runs[0] for runs in c.runs]
    machines = {name_of(run.scenario.machine): run for run in reversed(first)}
    machines = dict(reversed(machines.items()))
    common = ", ".join(
        f"{name} {value}"
        for name, value in c.common.items()
        if name not in _OWN_FACT and value != "none"
    )
    sizes = list(dict.fromkeys(str(nr_cpus(run)) for run in first))
    found = [("simulated", "; ".join(machine_title(run) for run in machines.values()))]
    found.append(("command", material.command))
    found += [("kernel", text) for text in _kernels(first)]
    found.append(("same", f"{common}; CPUs {', '.join(sizes)}"))
    found.append(("runs", _runs(c)))
    found += [
        ("set", text) for text in dict.fromkeys(set_text(r.provenance) for r in first) if text
    ]
    found.append(("calibrated", _calibration(c)))
    for name, run in machines.items():
        text = trust_text(run.provenance)
        found.append(("assumed", text if len(machines) == 1 else f"{name}: {text}"))
    found.append(("hangs on", _ranking(material)))
    if material.evidence is not None:
        crossings = material.evidence.crossings
        found += [("break-even", crossing_text(*crossing)) for crossing in crossings]
    found += _safety(c)
    found += [("static key", text) for text in static_key_texts([r for rs in c.runs for r in rs])]
    found += [("note", str(note)) for note in c.provenance.get("notes", ())]
    found.append(("version", version_text(c.provenance)))
    return found


def fact_lines(material: Material, prefix: str = "") -> list[str]:
    """Return the facts as lines of at most 72 columns; the command can be pasted."""
    lines = []
    last = ""
    for label, text in facts(material):
        head = f"{prefix}{'' if label == last else label:<{_LABEL}}"
        last = label
        folded = command_line(text, head) if label == "command" else wrapped(text, head)
        lines += [
            line if line.startswith(prefix) else f"{prefix}{line[len(prefix) :]}"
            for line in folded.splitlines()
        ]
    return lines


def plain_number(value: float) -> str:
    """
    Return a number as tables for programs and for LKP have it: no unit, no exponent.

    >>> [plain_number(x) for x in (133652480.0, 4112.0, 0.0704912, 12.5, float("nan"))]
    ['133652480', '4112', '0.07049', '12.50', '-']
    """
    if math.isnan(value):
        return "-"
    if float(value).is_integer() or abs(value) >= 10_000:
        return f"{value:.0f}"
    digits = (3 if abs(value) >= 0.001 else 2) - math.floor(math.log10(abs(value)))
    return f"{value:.{max(0, digits)}f}"


# What each kernel is: a commit or a title, or the content of a user's file.
def _kernels(first: Sequence[ResultTotals]) -> list[str]:
    known = {*kernels(), *proposals(), *mutants()}
    found: dict[str, str] = {}
    for run in first:
        kernel = run.scenario.kernel_class
        if kernel.name in known:
            cited = f'{kernel.commit} ("{kernel.subject}")' if kernel.commit else kernel.subject
            found[kernel.name] = f"{kernel.name}  {cited}".rstrip()
        else:
            digest = kernel.digest()[:_HASH_DIGITS] or "unknown"
            found[kernel.name] = f"{kernel.name}  a file of one's own, sha256 {digest}"
    return list(found.values())


def _runs(c: Comparison) -> str:
    what = "draws of the uncertain costs" if c.method is UNCERTAINTY else "replications"
    most = int(c.frame["n"].max())
    seeds = ", ".join(map(str, c.seeds))
    if most == 1:
        return f"n=1, seed {seeds}: one run each, so no interval, and nothing is significant"
    n = str(c.replications) if most == c.replications else f"{c.replications} to {most}"
    return f"n={n} {what}, paired, seed {seeds}; {100 * c.level:g}% intervals"


# How far the simulated times are from those measured of the same, or that none were.
def _calibration(c: Comparison) -> str:
    published = read_timings()
    told: dict[tuple[Any, ...], str] = {}
    for runs in c.runs:
        found = measured_for(runs[0], published)
        for phase, timing in found.items():
            told[timing.cell] = _error(runs, phase, timing)
    if told:
        return "against times measured of the same: " + "; ".join(told.values())
    fits = {}
    for runs in c.runs:
        machine = runs[0].scenario.machine_model
        fits[machine.name] = sum(len(fit.times) for fit in machine.fits())
    fitted = ", ".join(
        f"{name} fitted to {n or 'no'} published time{'' if n == 1 else 's'}"
        for name, n in fits.items()
    )
    return f"{fitted}; of just this nothing was measured (see: tlbsim validate)"


def _error(runs: Sequence[ResultTotals], phase: str, timing: Timing) -> str:
    elapsed = [
        float(ns)
        for run in runs
        for of, ns in zip(run.summary["phase"], run.summary["elapsed_ns"], strict=True)
        if of == phase
    ]
    error = math.fsum(elapsed) / len(elapsed) / timing.elapsed_ns - 1
    s = runs[0].scenario
    how = "fitted" if was_fitted(s.machine_model, timing) else "predicted"
    return (
        f"{name_of(s.kernel)} HVO {name_of(s.hvo)} {phase} {format_error(error)} of"
        f" {format_ns(timing.elapsed_ns, 5)} ({how})"
    )


def _ranking(material: Material) -> str:
    ranking = None if material.evidence is None else material.evidence.ranking
    if ranking is None or ranking.empty:
        return "not asked; compare --uncertainty 64 ranks the assumed costs that matter"
    clear = ranking[ranking["clear"].astype(bool)].sort_values("share", ascending=False)
    told = {
        str(row["factor"]): f"{row['factor']} ({100 * row['share']:.0f}%)"
        for row in clear.to_dict("records")
    }
    names = list(dict.fromkeys(told.values()))[:_MOST_COSTS]
    return ", ".join(names) or "no single cost clearly"


def _safety(c: Comparison) -> list[tuple[str, str]]:
    unsafe = [(s.label, f"{label}: {s.text}") for label, s in c.safety.items() if s.unsafe]
    verdicts = dict.fromkeys(s.verdict for s in c.safety.values())
    return unsafe or [("safety", "; ".join(verdicts))]
