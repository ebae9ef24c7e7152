# SPDX-License-Identifier: MIT
"""
A phase of one task
-------------------

All other CPUs are lazy, so that one call computes a broadcast from start to end.
"""
