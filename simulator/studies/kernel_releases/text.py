# SPDX-License-Identifier: MIT
"""
A fill on every release, as tables
----------------------------------
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.analysis.by_kernel import KernelPhase, of_kernels
from simulator.analysis.frames import ResultFrames
from simulator.report.by_kernel_text import by_kernel_report
from simulator.report.text import format_ns, format_ratio
from simulator.studies.kernel_releases import KernelReleases

__all__ = ("releases_report",)

_NOTE = (
    "Releases differ here by HVO and its flushes alone: the allocation of huge pages, and"
    " what else changed, is as in the first."
)


def releases_report(
    phases: Sequence[KernelPhase], runs: Sequence[ResultFrames], command: str
) -> str:
    """Return the tables as plain text, at most 72 columns wide."""
    return by_kernel_report(
        KernelReleases.QUESTION,
        phases,
        runs,
        answer="; ".join(_answers(phases)) + ".",
        command=command,
        notes=[_NOTE],
    )


def _answers(phases: Sequence[KernelPhase]) -> list[str]:
    kernels = of_kernels(phases)
    answers = []
    for group, phase in dict.fromkeys((row.group, row.phase) for row in phases):
        times = {r.kernel: r.elapsed_ns for r in phases if (r.group, r.phase) == (group, phase)}
        first, last = times[kernels[0]], times[kernels[-1]]
        best = min(times, key=lambda kernel: times[kernel])
        answers.append(
            f"{phase} of {group}: {format_ns(first)} in {kernels[0]}, {format_ns(last)} in"
            f" {kernels[-1]} ({format_ratio(first / last)} as fast), least in {best}"
        )
    return answers
