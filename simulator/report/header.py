# SPDX-License-Identifier: MIT
"""
What every report says first
----------------------------

That its numbers are simulated, for which machine and kernel, from which
scenario and version, and how far the model behind them can be trusted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simulator.analysis.frames import ResultTotals, fields_of, name_of, nr_cpus, phases_of
from simulator.analysis.safety import safety_of
from simulator.analysis.static_key import static_key_shares
from simulator.report.text import (
    command_line,
    format_count,
    format_share,
    underlined,
    wrapped,
)

__all__ = (
    "cited_kernels",
    "header_lines",
    "machine_title",
    "request_text",
    "set_text",
    "static_key_lines",
    "static_key_texts",
    "study_lines",
    "trust_text",
    "version_text",
)

# Fields that have a line of their own in the header, or do not bear on the numbers.
_OWN_LINE = {"machine", "kernel", "pages", "page_size", "hvo", "phases", "path", "cpus"}
_OWN_LINE |= {"noise", "seed", "replication", "placement", "allocators"}


def machine_title(result: ResultTotals) -> str:
    """Return what the machine is, in words where it has them, with its name."""
    machine = result.scenario.machine_model
    return f"{machine.title} ({machine.name})" if machine.title != machine.name else machine.name


def request_text(result: ResultTotals) -> str:
    """Return what was asked of the kernel: pages, path, phases."""
    s = result.scenario
    parts = [
        f"{format_count(s.pages)} huge pages of {name_of(s.page_size)}",
        f"HVO {name_of(s.hvo)}",
        f"{format_count(nr_cpus(result))} CPUs",
        f"path {name_of(s.path)}",
    ]
    if s.allocators != 1:
        parts.append(f"{s.allocators} allocators")
    parts += [f"placement {name_of(s.placement)}", f"phases {', '.join(phases_of(result))}"]
    return "; ".join(parts)


def version_text(provenance: Mapping[str, object]) -> str:
    """Return the version of the simulator, and the commit where it is known."""
    version = f"tlbsim {provenance.get('version', 'of unknown version')}"
    commit = provenance.get("commit")
    return f"{version}, commit {str(commit)[:12]}" if commit else version


def set_text(provenance: Mapping[str, object]) -> str:
    """
    Return which values of the machine the user set; empty if none.

    >>> set_text({"set": {"costs.inject": "900 ns", "ipi.mode": "physical"}})
    'costs.inject=900 ns, ipi.mode=physical'
    """
    values = provenance.get("set")
    if not isinstance(values, Mapping):
        return ""
    return ", ".join(f"{key}={value}" for key, value in values.items())


def trust_text(provenance: Mapping[str, object]) -> str:
    """
    Return how many values of the machine are assumed, and which were fitted.

    >>> trust_text({"assumed_costs": 31, "costs": 74, "fitted": ["costs.inject"]})
    '31 of 74 values are assumed; fitted to the unmodified kernel: costs.inject'
    """
    assumed, costs = provenance.get("assumed_costs"), provenance.get("costs")
    if assumed is None or costs is None:
        return "some values are assumed"
    parts = [
        f"fitted to {kernel}: {names}"
        for kernel, key in (
            ("the unmodified kernel", "fitted"),
            ("a patched kernel, which is then no prediction", "fitted_to_patched"),
        )
        if (names := _names(provenance.get(key)))
    ]
    return f"{assumed} of {costs} values are assumed; {'; '.join(parts) or 'none fitted'}"


def _names(names: object) -> str:
    return ", ".join(map(str, names)) if isinstance(names, Sequence) else ""


def header_lines(result: ResultTotals) -> list[str]:
    """Return the lines that open the report of one run."""
    s = result.scenario
    safety = safety_of([result])
    rows: list[tuple[str, str]] = [
        ("simulated", machine_title(result)),
        ("kernel", name_of(fields_of(s)["kernel"])),
        ("request", request_text(result)),
        ("noise", name_of(s.noise)),
        ("seed", f"{s.seed}, replication {s.replication}"),
        *_further_fields(result),
        *(("set", text) for text in [set_text(result.provenance)] if text),
        ("version", version_text(result.provenance)),
        ("model", trust_text(result.provenance)),
        (safety.label, safety.text),
        *(("static key", text) for text in static_key_texts([result])),
        *(("note", note) for note in _notes(result)),
    ]
    key = result.provenance["key"]
    # Whole on one line, so that it can be copied: 64 digits, after less than the other labels.
    return [*(wrapped(value, f"{name:<11}") for name, value in rows), f"{'key':<8}{key}"]


def static_key_texts(results: Sequence[ResultTotals]) -> list[str]:
    """Return a text on where patching a static key weighs; none if nowhere."""
    shares = static_key_shares(results)
    if not shares:
        return []
    kernels = {found.kernel for found in shares}
    most = max(shares, key=lambda found: found.share)
    if len(kernels) == 1 and len({name_of(r.scenario.kernel) for r in results}) == 1:
        parts = [f"{format_share(found.share)} of {found.phase}" for found in shares]
        takes = f"{', '.join(parts)}, in {format_count(most.broadcasts)} broadcasts"
    else:
        takes = (
            f"up to {format_share(most.share)} of the time ({most.kernel}, {most.phase}:"
            f" {format_count(most.broadcasts)} broadcasts), over 5% with"
            f" {', '.join(sorted(kernels))}"
        )
    modules = ",".join(str(number) for number in sorted({found.modules for found in shares}))
    return [
        f"patching takes {takes}; static_key_modules={modules}, and 0 to 125 modules of a machine"
        " may use it"
    ]


def static_key_lines(results: Sequence[ResultTotals]) -> list[str]:
    """Return the same as lines of a report's header."""
    return [wrapped(text, "static key ") for text in static_key_texts(results)]


def cited_kernels(results: Sequence[ResultTotals]) -> list[str]:
    """
    Return a line for each kernel with what it stands for, as one cites a commit.

    Who reads a mail does not know our names.
    """
    lines = {}
    for r in results:
        kernel = r.scenario.kernel_class
        if kernel.subject:
            cited = f'{kernel.commit} ("{kernel.subject}")' if kernel.commit else kernel.subject
            posted = kernel.proposed_in
            lines[name_of(r.scenario.kernel)] = f"{cited}, {posted}" if posted else cited
    width = max(map(len, lines), default=0)
    labels = ["kernels", *[""] * len(lines)]
    return [
        wrapped(cited, f"{label:<11}{name:<{width}}  ")
        for label, (name, cited) in zip(labels, lines.items(), strict=False)
    ]


def study_lines(
    title: str,
    command: str,
    simulated: str,
    runs: Sequence[ResultTotals],
    further: Sequence[str] = (),
) -> list[str]:
    """
    Return the lines that open the report of a study.

    :param command: what to type to get the report again.
    :param simulated: machine and request, in words.
    :param runs: a result of each kernel.
    :param further: lines of this study alone, before those on its kernels.
    """
    first = runs[0].provenance
    return [
        underlined(f"{title} (simulated)"),
        command_line(command, "command    "),
        wrapped(version_text(first), "version    "),
        wrapped(simulated, "simulated  "),
        wrapped(trust_text(first), "model      "),
        *further,
        *cited_kernels(runs),
        *static_key_lines(runs),
    ]


# Faults, tunables and the like are named where they are set, and only there.
def _further_fields(result: ResultTotals) -> list[tuple[str, str]]:
    return [
        (name[:10], name_of(value))
        for name, value in fields_of(result.scenario).items()
        if name not in _OWN_LINE and name_of(value) != "none"
    ]


def _notes(result: ResultTotals) -> Sequence[str]:
    notes = result.provenance.get("notes", ())
    return [notes] if isinstance(notes, str) else [str(note) for note in notes]
