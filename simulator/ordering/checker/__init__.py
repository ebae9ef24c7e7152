# SPDX-License-Identifier: MIT
"""
A checker on every run
----------------------

:func:`attach_checker` wraps functions of one kernel object by name, as
:mod:`simulator.kernel.records` does, and tells the run's recorder what breaks an invariant of
:mod:`simulator.ordering.invariants`.  It costs no simulated time and changes nothing.

=====================================  ====================================================
:mod:`~.translations`                  what other CPUs may still hold in their TLBs
:mod:`~.stores`                        splits, remaps, restores, flushes: against those
:mod:`~.held_locks`                    which locks are held where, and in which order
:mod:`~.accounting`                    pages and folios: taken, given back
:mod:`~.report`                        from a violation to a row, with function and line
=====================================  ====================================================

Modelled: page-table stores as runs, with an epoch per PMD; a TLB may hold any translation that
was valid until a flush of its address begins after the store, and ends.

Not modelled: what a TLB really held; other readers of struct pages than the kernel code
itself, and the writer that ``Checks.head_writer`` stands for.
"""

from __future__ import annotations

from simulator.ordering.checker.checker import Checks, attach_checker

__all__ = ("Checks", "attach_checker")
