# SPDX-License-Identifier: MIT
"""
Where a task lies in the flat state
-----------------------------------

The words of one slot of ``TASKS`` (:mod:`simulator.engine.compiled.flat.layout`): the
task's CPU, the interrupt under way to it, its broadcast, and what is told of its
broadcasts.
"""

from __future__ import annotations

from typing import Final

# The CPU ...
IRQS_OFF: Final = 0
IDLE_FROM: Final = 1  # since when it sleeps; -1: it is awake
ENDED: Final = 2
STOLEN: Final = 3  # all that handlers and refills took
# ... the interrupt under way to it, if any ...
HANDLER: Final = 4  # NONE to ENTERED
ENTRY_NS: Final = 5
POLLED: Final = 6
FOUND: Final = 7  # the state in which it finds the CPU
# ... and its broadcast.
STAGE: Final = 8  # NONE to WAITING
NTH: Final = 9  # its number among those of the CPU; -1: there was none
UNTIL: Final = 10  # the end of the stage, if no handler runs before
WAIT_CPU: Final = 11  # it has read the csds of all CPUs before this one,
WAIT_NS: Final = 12  # at this time,
SPINS: Final = 13  # and spins
# What a replay is told: whether its only target polls, and its part of TOLD.
TARGET_POLLS: Final = 14
NEXT_TOLD: Final = 15
END_TOLD: Final = 16
# Where its time went in broadcasts since Python last asked: by Categories, without handlers,
# and in handlers; and its longest time with interrupts off.
SPENT: Final = 17
ENQUEUE_TOOK: Final = 17
SEND_TOOK: Final = 18
LOCAL_TOOK: Final = 19
WAIT_TOOK: Final = 20
INTERRUPTED: Final = 21
OFF_MAX: Final = 22
# The record of its last broadcast, FLUSH_COLUMNS of simulator.trace.contract.
RECORD: Final = 23
PHASE: Final = 23
FLUSH: Final = 24
NUMBER: Final = 25  # of the task
CPU: Final = 26
REASON: Final = 27
KIND: Final = 28
PAGES: Final = 29
START: Final = 30
SEND_END: Final = 31
LAST_ACK: Final = 32
END: Final = 33
TARGETS: Final = 34
NR_IPIS: Final = 35
NR_SAVED: Final = 36
WRITES: Final = 37
SLOWEST: Final = 38
WORDS: Final = 40

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
