# SPDX-License-Identifier: MIT
"""
All interleavings of small programs
-----------------------------------

``program``: what CPUs do.  ``recorder``, ``protocol``: programs written as functions, ``table``,
``vmsa``: programs read from files.  ``models``: what must be performed before what.  ``tlb``: what
a CPU may hold.  ``machine``: a program on a model, as states and steps.  ``explorer``: all of
them.  ``suite``: the tests of the package, ``protocols/``: those of HVO.

A protocol of one's own is a file::

    from simulator.ordering.litmus import Cpu, Protocol

    def writer(k: Cpu): ...
    def reader(k: Cpu): ...

    mine = Protocol("mine", "what it does", (writer, reader))
"""

from __future__ import annotations

from simulator.ordering.litmus.protocol import Protocol
from simulator.ordering.litmus.recorder import Cpu
from simulator.ordering.litmus.tlb import Translation

__all__ = ("Cpu", "Protocol", "Translation")
