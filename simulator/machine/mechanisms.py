# SPDX-License-Identifier: MIT
"""
How a flush can reach other CPUs
--------------------------------

Every machine can send interrupts (``ipi`` of a profile).  What it has besides is a
table here: where it serves (``seat``), what bounds it, and what its steps cost.
Which of them a kernel takes is up to its version, see :mod:`simulator.kernel.tlb`.

Modelled: :class:`Invlpgb`, :class:`Tlbi`, :class:`Sbi` and :class:`Rar` for kernel
addresses.  :class:`UserOnly` (KVM's and Hyper-V's flushes) serves the addresses of
processes alone, which HVO never flushes: it is stated, and changes nothing.

Not modelled: more than one server for the hardware of a machine; what INVLPGB or TLBI
of user addresses cost; fabrics that get slower the more requests they have.

Sources: each value of a profile names its own.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from simulator.machine.values import Cost, Count, Fact, Strict

__all__ = (
    "MECHANISM_TEXT",
    "Invlpgb",
    "Mechanism",
    "Mechanisms",
    "Rar",
    "Sbi",
    "Seat",
    "Tlbi",
    "UserOnly",
)

#: As a report says it.
MECHANISM_TEXT: Final = {
    "ipi": "IPI",
    "invlpgb": "INVLPGB",
    "tlbi": "TLBI",
    "sbi": "SBI",
    "rar": "RAR",
    "kvm_pv": "KVM PV",
    "hyperv": "Hyper-V",
}

Seat = Literal["kernel ranges", "user mms", "both"]


class Mechanism(Strict):
    """A way to flush other CPUs' TLBs; ``seat`` says of which addresses."""

    seat: Fact[Seat] = Field(description="of which addresses it flushes")


class Invlpgb(Mechanism):
    """AMD's INVLPGB and TLBSYNC: one server for the machine, no interrupts."""

    count_max: Count = Field(description="pages that one INVLPGB invalidates (CPUID)")
    invlpgb: Cost = Field(description="one INVLPGB at the server, of up to count_max pages")
    tlbsync: Cost = Field(description="one TLBSYNC at the server")
    stall: Cost = Field(description="what one flush stops every other CPU for, refills apart")


class Tlbi(Mechanism):
    """
    arm64's TLBI, broadcast inner-shareable, and DSB: one server for the machine.

    With what the posted pause of all other CPUs takes (a what-if: no kernel does it).
    """

    tlbi: Cost = Field(description="one TLBI at the server, of one page or of everything")
    dsb: Cost = Field(description="DSB ISH once all TLBIs of the CPU have been served")
    dsb_ishst: Cost = Field(description="DSB ISHST before TLBIs, and with ISB after set_pte()")
    stall: Cost = Field(description="what one TLBI stops every other CPU for, refills apart")
    nmi: Cost = Field(description="pseudo-NMI, from its arrival until the CPU has paused")
    mask_bit: Cost = Field(description="one CPU sets its bit in the cpumask (v1 of the pause)")
    count: Cost = Field(description="one CPU counts itself (v2 of the pause)")


class Sbi(Mechanism):
    """RISC-V's remote fence: the firmware interrupts harts in M-mode, one flush at a time."""

    ecall: Cost = Field(description="call into the firmware and back")
    request: Cost = Field(description="one hart: its queue in the firmware, and the interrupt")
    trap: Cost = Field(description="M-mode interrupt at a hart, entry and exit")


class Rar(Mechanism):
    """Intel's Remote Action Request: microcode at the targets, whatever they run."""

    slots: Count = Field(description="payloads, each under a lock of its own")
    payload: Cost = Field(description="one payload written")
    action: Cost = Field(description="microcode at a target, the flush itself included")


class UserOnly(Mechanism):
    """A hypervisor's flush, which is for the addresses of processes alone."""


class Mechanisms(Strict):
    """What a machine has besides interrupts."""

    invlpgb: Invlpgb | None = Field(default=None, description="INVLPGB and TLBSYNC")
    tlbi: Tlbi | None = Field(default=None, description="TLBI and DSB")
    sbi: Sbi | None = Field(default=None, description="SBI remote fence")
    rar: Rar | None = Field(default=None, description="Remote Action Request")
    kvm_pv: UserOnly | None = Field(default=None, description="KVM's paravirtual flush")
    hyperv: UserOnly | None = Field(default=None, description="Hyper-V's flush hypercall")

    @property
    def present(self) -> dict[str, Mechanism]:
        """Those that the machine has, by name."""
        return {name: found for name, found in self if found is not None}
