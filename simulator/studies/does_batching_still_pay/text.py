# SPDX-License-Identifier: MIT
"""
Batched and not, as tables
--------------------------
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.analysis.frames import ResultFrames
from simulator.report.header import machine_title, study_lines
from simulator.report.text import (
    format_ns,
    format_ratio,
    format_share,
    format_table,
    underlined,
    wrapped,
)
from simulator.studies.does_batching_still_pay import DoesBatchingStillPay
from simulator.studies.does_batching_still_pay.numbers import Point, break_even_ns, gain

__all__ = ("batching_report",)

_HEADER = (
    "CPUs", "IPI:\na page", "of it\nflushes", "batched", "gain",
    "INVLPGB:\na page", "of it\nflushes", "batched", "gain",
)  # fmt: skip
_NOTES = (
    "EXTRAPOLATION: nobody has published HVO with INVLPGB, nor what TLBSYNC takes on two"
    " sockets. Its costs are assumed from flushes of user addresses under load on one socket;"
    " see `tlbsim machines`.",
    "A page: time of the phase by huge pages, without batching and with it. Gain: how many times"
    " as fast batching makes it. IPI: the same kernel and machine with tlbi=ipi.",
    "KVM's and Hyper-V's flushes serve the addresses of processes only (pv_ops), and KVM offers"
    " INVLPGB to no ordinary guest: in a guest all of this is by IPI.",
)


def batching_report(found: Sequence[Point], runs: Sequence[ResultFrames], command: str) -> str:
    """Return the tables as plain text, at most 72 columns wide."""
    first = runs[0]
    most = max(point.cpus for point in found)
    phases = list(dict.fromkeys(point.phase for point in found))
    answer = "; ".join(_answer(found, most, phase) for phase in phases)
    simulated = (
        f"{machine_title(first)}; {first.scenario.pages:,} huge pages of 2 MB; one task; noise"
        f" {first.scenario.noise_model.name}; seed {first.scenario.seed}"
    )
    head = [
        *study_lines(DoesBatchingStillPay.QUESTION, command, simulated, runs),
        wrapped(f"EXTRAPOLATED: {answer}", "answer     "),
    ]
    tables = [f"{underlined(phase)}\n{_table(found, phase)}" for phase in phases]
    notes = "\n".join(wrapped(note) for note in _NOTES)
    return "\n\n\n".join(["\n".join(head), *tables, notes]) + "\n"


def _answer(found: Sequence[Point], cpus: int, phase: str) -> str:
    by_ipi, by_hardware = (gain(found, name, cpus, phase) for name in ("ipi", "invlpgb"))
    took = [p for p in found if (p.mechanism, p.cpus, p.phase) == ("invlpgb", cpus, phase)]
    each_ns = took[0].flush_ns / took[0].flushes
    return (
        f"{phase} on {cpus} CPUs: batching makes it {format_ratio(by_ipi)} as fast by IPI,"
        f" {format_ratio(by_hardware)} by INVLPGB; a flush takes {format_ns(each_ns)}, and would"
        f" have to take {format_ns(break_even_ns(found, cpus, phase))} for batching to double it"
    )


def _table(found: Sequence[Point], phase: str) -> str:
    rows = []
    for cpus in dict.fromkeys(point.cpus for point in found):
        cells = [str(cpus)]
        for mechanism in ("ipi", "invlpgb"):
            unbatched, batched = (
                p for p in found if (p.mechanism, p.cpus, p.phase) == (mechanism, cpus, phase)
            )
            cells += [
                format_ns(unbatched.elapsed_ns / unbatched.pages),
                format_share(unbatched.flush_share),
                format_ns(batched.elapsed_ns / batched.pages),
                format_ratio(gain(found, mechanism, cpus, phase)),
            ]
        rows.append(cells)
    return format_table(rows, _HEADER, align="rrrrrrrrr")
