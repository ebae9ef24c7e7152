# SPDX-License-Identifier: MIT
"""
The kernel's events, and how it prints them
-------------------------------------------

One table for whoever reads traces and whoever writes them: the name of an event
leads to its format.  Kernel functions that matter to a TLB flush are named here
too, since kprobes and the function tracers print those.

Modelled: x86, Linux 6.1 to 7.3.

Not modelled: other architectures' IPI events (``ipi_raise``, ``ipi_entry``).

Sources: ``TP_printk`` of include/trace/events/{tlb,csd,ipi}.h and
arch/x86/include/asm/trace/irq_vectors.h; the csd and ipi events came with
68f4ff04dbad ("sched, smp: Trace smp callback causing an IPI") (in v6.4) and
949fa3f11ced ("trace,smp: Add tracepoints around remotelly called functions") (in v6.4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Final

__all__ = (
    "CALLBACKS",
    "FLUSHES",
    "PROBES",
    "TRACEPOINTS",
    "FlushFunction",
    "Tracepoint",
    "is_null",
    "mask_cpus",
    "mask_text",
    "symbol",
)


@dataclass(frozen=True)
class Tracepoint:
    """
    An event of the kernel: ``system:name``, printed as ``text``, whose fields are in braces.

    >>> TRACEPOINTS["csd_function_entry"].print(func="do_flush_tlb_all", csd="0" * 16)
    'func=do_flush_tlb_all, csd=0000000000000000'
    >>> TRACEPOINTS["csd_function_entry"].read("func=do_flush_tlb_all+0x0/0x10 (-123) csd=0x0 (0)")
    ('do_flush_tlb_all+0x0/0x10', '0x0')
    """

    system: str
    name: str
    text: str
    fields: tuple[str, ...] = field(init=False, compare=False)
    _printed: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # A reason has blanks, a mask commas.
        values = {"reason": ".+?", "cpumask": "[^ ]+"}
        parts, names = [], []
        for literal, name, _, _ in Formatter().parse(self.text):
            parts.append(re.escape(literal))
            if name is not None:
                parts.append(f"({values.get(name, '[^ ,]+')})")
                names.append(name)
        object.__setattr__(self, "fields", tuple(names))
        object.__setattr__(self, "_printed", re.compile("".join(parts)))

    def print(self, **fields: object) -> str:
        """Return the text of an event with these fields."""
        return self.text.format(**fields)

    def read(self, text: str) -> tuple[str, ...] | None:
        """
        Return the fields of a printed event, in the order of ``text``; None where one is missing.

        Takes the form of the trace option ``fields`` and of ``trace-cmd report -R`` too.
        """
        match = self._printed.match(text)
        if match is not None:
            return match.groups()
        found = dict(_FIELD.findall(text))
        return (
            tuple(found[name] for name in self.fields) if found.keys() >= set(self.fields) else None
        )

    def is_whole(self, text: str) -> bool:
        """Return whether a text has all that the kernel prints of an event."""
        return self._printed.fullmatch(text) is not None or self._printed.match(text) is None


_FIELD = re.compile(r"(\w+)=([^ ,]+)")


def _table(*points: Tracepoint) -> Mapping[str, Tracepoint]:
    return {point.name: point for point in points}


TRACEPOINTS: Final = _table(
    Tracepoint("tlb", "tlb_flush", "pages:{pages} reason:{reason} ({number})"),
    Tracepoint("csd", "csd_queue_cpu", "cpu={cpu} callsite={callsite} func={func} csd={csd}"),
    Tracepoint("csd", "csd_function_entry", "func={func}, csd={csd}"),
    Tracepoint("csd", "csd_function_exit", "func={func}, csd={csd}"),
    Tracepoint("ipi", "ipi_send_cpu", "cpu={cpu} callsite={callsite} callback={callback}"),
    Tracepoint(
        "ipi", "ipi_send_cpumask", "cpumask={cpumask} callsite={callsite} callback={callback}"
    ),
    Tracepoint("irq_vectors", "call_function_entry", "vector={vector}"),
    Tracepoint("irq_vectors", "call_function_exit", "vector={vector}"),
    Tracepoint("irq_vectors", "call_function_single_entry", "vector={vector}"),
    Tracepoint("irq_vectors", "call_function_single_exit", "vector={vector}"),
)


@dataclass(frozen=True)
class FlushFunction:
    """A function that broadcasts: the kind of flush, and what it has other CPUs call."""

    name: str
    kind: str
    callbacks: tuple[str, ...]


#: Broadcasts by the function that makes them.  The kinds are those of the ``flushes`` frame, and
#: ``mm`` for the pages of a process, which no simulation has.
FLUSHES: Final[Mapping[str, FlushFunction]] = {
    flush.name: flush
    for flush in (
        FlushFunction("flush_tlb_all", "all", ("do_flush_tlb_all",)),
        # A range above the ceiling of single pages is flushed as everything.
        FlushFunction(
            "flush_tlb_kernel_range", "range", ("do_kernel_range_flush", "do_flush_tlb_all")
        ),
        FlushFunction("flush_tlb_mm_range", "mm", ("flush_tlb_func",)),
        FlushFunction("arch_tlbbatch_flush", "mm", ("flush_tlb_func",)),
        FlushFunction("text_poke_sync", "none", ("do_sync_core",)),
    )
}

#: The function that broadcasts a callback, where a trace does not name it.
CALLBACKS: Final[Mapping[str, str]] = {
    "do_flush_tlb_all": "flush_tlb_all",
    "do_kernel_range_flush": "flush_tlb_kernel_range",
    "flush_tlb_func": "flush_tlb_mm_range",
    "do_sync_core": "text_poke_sync",
}

#: Names of kprobes for functions, as they are recorded here: trace-cmd and perf print addresses
#: only.  Whoever names a probe after its function needs none of this.
PROBES: Final[Mapping[str, tuple[str, bool]]] = {
    name: (function, returns)
    for name, function, returns in (
        ("fta", "flush_tlb_all", False),
        ("ftax", "flush_tlb_all", True),
        ("fkr", "flush_tlb_kernel_range", False),
        ("fkrx", "flush_tlb_kernel_range", True),
        ("oec", "on_each_cpu_cond_mask", False),
        ("dfa", "do_flush_tlb_all", False),
        ("dkr", "do_kernel_range_flush", False),
        ("st", "nr_hugepages_store", False),
        ("stx", "nr_hugepages_store", True),
        ("dem", "demote_store", False),
        ("hvos", "hugetlb_vmemmap_optimize_folios", False),
        ("hvrs", "hugetlb_vmemmap_restore_folios", False),
        ("hvo1", "hugetlb_vmemmap_optimize", False),
        ("hvr1", "hugetlb_vmemmap_restore", False),
        ("hvo2", "__hugetlb_vmemmap_optimize_folio", False),
        ("hvr2", "hugetlb_vmemmap_restore_folio", False),
        ("vrr", "vmemmap_remap_range", False),
        ("syn", "synchronize_rcu", False),
        ("tpb", "text_poke_bp_batch", False),
    )
}


def symbol(text: str) -> str:
    """
    Return the function of a printed address; an address that is only a number is returned as it is.

    >>> symbol("do_flush_tlb_all+0x4/0x10"), symbol("do_flush_tlb_all")
    ('do_flush_tlb_all', 'do_flush_tlb_all')
    """
    return text.partition("+")[0]


def is_null(pointer: str) -> bool:
    """
    Return whether a printed pointer is NULL.

    >>> [is_null(text) for text in ("(nil)", "0000000000000000", "0x0", "00000000bf510c07")]
    [True, True, True, False]
    """
    return pointer in ("(nil)", "(null)") or not pointer.strip("0x")


def mask_text(cpus: frozenset[int], nr_cpus: int) -> str:
    """
    Return a CPU mask as the kernel prints it (``%*pb``).

    >>> mask_text(frozenset((1, 3)), 64)
    '00000000,0000000a'
    """
    mask = sum(1 << cpu for cpu in cpus)
    words = [mask >> 32 * i & 0xFFFFFFFF for i in range(-(-nr_cpus // 32))]
    first_bits = nr_cpus % 32 or 32
    first = f"{words[-1]:0{-(-first_bits // 4)}x}"
    return ",".join([first, *(f"{word:08x}" for word in reversed(words[:-1]))])


def mask_cpus(text: str, of: frozenset[int]) -> frozenset[int]:
    """
    Return the CPUs of a printed mask.

    The kernel prints hexadecimal words, trace-cmd a list.  Where a text could be
    either, it is the one that names CPUs in `of` only.

    >>> sorted(mask_cpus("00000000,0000000a", frozenset((0, 1, 3))))
    [1, 3]
    >>> sorted(mask_cpus("0,2-3", frozenset((0, 2, 3))))
    [0, 2, 3]
    """
    readings = [found for found in (_hexadecimal(text), _listed(text)) if found is not None]
    for found in readings:
        if found <= of:
            return found
    return readings[0] if readings else frozenset()


def _hexadecimal(text: str) -> frozenset[int] | None:
    if not re.fullmatch(r"[0-9a-f]{1,8}(,[0-9a-f]{8})*", text):
        return None
    mask = int(text.replace(",", ""), 16)
    return frozenset(i for i in range(mask.bit_length()) if mask >> i & 1)


def _listed(text: str) -> frozenset[int] | None:
    if not re.fullmatch(r"\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*", text):
        return None
    found: set[int] = set()
    for part in text.split(","):
        low, _, high = part.partition("-")
        found.update(range(int(low), int(high or low) + 1))
    return frozenset(found)
