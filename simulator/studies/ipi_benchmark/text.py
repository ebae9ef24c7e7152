# SPDX-License-Identifier: MIT
"""
ipi_benchmark
-------------

Its figures per call, beside the published ones where there are any, and as the
module prints them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simulator.analysis.benchmarks import CallTimes, call_times
from simulator.analysis.frames import ResultFrames
from simulator.published.benchmarks import PublishedFigure
from simulator.report.benchmark_text import against, benchmark_header, notes
from simulator.report.text import format_count, format_table, underlined

__all__ = ("ipi_report",)

_RECEIVED = "Normal IPI received"
_NORMAL = "Normal IPI"

_NOTES = (
    "Normal IPI received is until the handler runs, Normal IPI until the sender has seen that it "
    "did; on the first two CPUs.",
    "Dry-run and Self-IPI send no interrupt and are not simulated.",
)
_NOTES_OF_PUBLISHED = (
    "Fitted are costs.send and costs.inject, to the two broadcasts of the unmodified guest. The "
    "hypercall is predicted: it saves the exits but one.",
    "The hypercall does not care for the mode of the APIC: both pv-ipi cases are one here. What "
    "was published for the two differs by 3 % (broadcast) and 10 % (lock), and in cluster mode "
    "the lock made the broadcast faster: nothing can be predicted closer than that.",
    "Normal IPI is too long here, although half of the sender's exit, its way back into the "
    "guest, runs beside the delivery, as in KVM; that it is a half is assumed.",
)


def ipi_report(
    runs: Mapping[str, Sequence[ResultFrames]],
    published: Sequence[PublishedFigure],
    *,
    command: str,
) -> str:
    """
    Return the report as plain text, at most 72 columns wide.

    :param runs: by case, the results of the module on two CPUs (if any) and on all.
    :param published: figures of the machine, by the same cases.
    :param command: what to type to get the same text again.
    """
    every = [result for results in runs.values() for result in results]
    times = {
        case: {line: t for result in results for line, t in call_times(result).items()}
        for case, results in runs.items()
    }
    ntimes = max(t.calls for lines in times.values() for t in lines.values())
    title = "ipi_benchmark: what an IPI and a broadcast take"
    of = {(f.case, f.figure): f for f in published}
    rows: list[tuple[str, ...]] = []
    for case, lines in times.items():
        rows.append((f"{case}: {_sent(runs[case][-1], lines)} to a broadcast",))
        for line, t in lines.items():
            if line == _NORMAL:
                rows.append((f"  {_RECEIVED}", *against(of.get((case, _RECEIVED)), t.received_ns)))
            rows.append((f"  {line}", *against(of.get((case, line)), t.mean_ns)))
    table = format_table(rows, ("", "published", "simulated", "error", ""), "lrrrl")
    parts = ["\n".join(benchmark_header(title, command, every[:1], ntimes))]
    parts.append(f"{underlined('Time of one call')}\n{table}")
    parts.append(underlined("As the module prints it"))
    text = "\n\n".join(parts)
    for case, lines in times.items():
        text += f"\n{case} (simulated)\n"
        for line, t in lines.items():
            received_ns = round(t.received_ns * t.calls) if line == _NORMAL else 0
            text += f" {line + ':':<15} {received_ns:18d}, {round(t.mean_ns * t.calls):18d} ns\n"
    return text + "\n" + notes(_NOTES + _NOTES_OF_PUBLISHED * bool(published))


def _sent(result: ResultFrames, lines: Mapping[str, CallTimes]) -> str:
    ipi = result.scenario.machine_model.ipi
    hypercall = ipi.mode.value == "kvm_hypercall" and not ipi.shorthand.value
    nr = max(t.icr_writes for t in lines.values())
    return f"{format_count(nr)} {'hypercall' if hypercall else 'ICR write'}{'s' * (nr != 1)}"
