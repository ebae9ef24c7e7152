# SPDX-License-Identifier: MIT
"""
Whether it is safe
------------------

:mod:`~simulator.ordering.invariants` names what must hold; :mod:`~simulator.ordering.checker`
watches every run; :mod:`~simulator.ordering.litmus` explores all interleavings of small protocols.
"""
