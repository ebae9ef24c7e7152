# SPDX-License-Identifier: MIT
"""
Where a task among others lies in the flat state
------------------------------------------------

The words of one slot of ``TASKS`` (:mod:`simulator.engine.compiled.layout`): the
task's CPU, the interrupt under way to it, and its broadcast.
"""

from __future__ import annotations

from typing import Final

# The CPU ...
CPU: Final = 0
IRQS_OFF: Final = 1
OFF_SINCE: Final = 2
IDLE_FROM: Final = 3  # since when it sleeps; -1: it is awake
ENDED: Final = 4
STOLEN: Final = 5  # all that handlers and refills took
# ... the interrupt under way to it, if any ...
HANDLER: Final = 6  # NONE to ENTERED
ENTRY_NS: Final = 7
POLLED: Final = 8
FOUND: Final = 9  # the state in which it finds the CPU
# ... and its broadcast.
STAGE: Final = 10  # NONE to WAITING
NTH: Final = 11
UNTIL: Final = 12  # the end of the stage, if no handler runs before
INTERRUPTED: Final = 13  # by handlers, so far
WAIT_CPU: Final = 14  # it has read the csds of all CPUs before this one,
WAIT_NS: Final = 15  # at this time,
SPINS: Final = 16  # and spins
# What is told of it at its end; times without handlers:
ENQUEUE_TOOK: Final = 17
SEND_TOOK: Final = 18
WAIT_TOOK: Final = 19
SEND_END: Final = 20
END: Final = 21
LAST: Final = 22  # its last release
NR_IPIS: Final = 23
NR_SAVED: Final = 24
WRITES: Final = 25
SLOWEST: Final = 26
OFF_MAX: Final = 27  # its longest time with interrupts off
# What a replay is told: whether its only target polls, and its part of TOLD.
TARGET_POLLS: Final = 28
NEXT_TOLD: Final = 29
END_TOLD: Final = 30
WORDS: Final = 32

# HANDLER: an interrupt comes, waits until interrupts are on, is handled but has not taken the list.
NONE: Final = 0
COMING: Final = 1
DEFERRED: Final = 2
ENTERED: Final = 3
# STAGE: enqueues, sends, is about to call locally, does so, waits.
WALKING: Final = 1
SENDING: Final = 2
BEFORE_LOCAL: Final = 3
LOCAL: Final = 4
WAITING: Final = 5
