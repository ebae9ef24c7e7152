# SPDX-License-Identifier: MIT
"""
Benchmarks
----------

``python -m benchmarks`` (``make bench``) measures host time and memory: of the
compiled engine beside other ways to write the same simulation, and of the kernel
side.  Nothing here is a test: a time depends on the machine it was taken on.
"""
