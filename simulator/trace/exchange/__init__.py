# SPDX-License-Identifier: MIT
"""
Traces in the formats of others
-------------------------------

``tracepoints``: the kernel's events and how it prints them, one table for
reading and writing; ``textfile``: lines of a file that may be anything;
``lines``: the forms in which a line of a trace is printed; ``pairing``: from
events to flushes and their targets; ``ftrace``: all of it, as frames.
"""
