# SPDX-License-Identifier: MIT
"""
A checker on every run
----------------------

:class:`Checker` wraps functions of one kernel object by name, as
:mod:`simulator.kernel.records` does, and tells the run's recorder what breaks an invariant of
:mod:`simulator.ordering.invariants`.  It costs no simulated time and changes nothing.

=====================================  ====================================================
``translations``                       what other CPUs may still hold in their TLBs
``stores``                             splits, remaps, restores and frees against flushes
``barriers``                           the two places of smp_wmb()
``live_entries``                       break-before-make
``held_locks``                         which locks are held where, and in which order
``accounting``                         pages: taken, given back
``other_writers``                      somebody else who writes the head struct page
``report``                             from a violation to a row, with function and line
=====================================  ====================================================

Modelled: page-table stores as runs, with an epoch per PMD; a TLB may hold any translation that
was valid until a flush of its address begins after the store, and ends.

Not modelled: what a TLB really held; other readers of struct pages than the kernel code
itself, and the writer that ``Checks.head_writer`` stands for.
"""

from __future__ import annotations

from simulator.ordering.checker.checker import Checker, Checks

__all__ = ("Checker", "Checks")
