# SPDX-License-Identifier: MIT
"""
The compiled engine: the same answers, far faster
-------------------------------------------------

The events engine (:mod:`simulator.engine.events`) is the definition: read it first.  Here
tasks take turns without SimPy, and kernel code does not notice; no other CPU is a
process and no interrupt an event.  What CPUs answer is computed by functions that numba and
LLVM compile (:mod:`~simulator.engine.compiled.machine_code`), integer for integer as the events
engine has it.  Without them the same functions run interpreted.

Two arrays.  Compiled code sees two flat arrays of int64, everywhere called ``m`` and ``s``,
and the distances of all pairs of CPUs::

    m   the machine, never written: made by flatten()                    flat/machine.py
    +-----------------------+-------------+---------------------+----------------------+
    | M: numbers, offsets,  | idle states | by CPU: APIC ids,   | quantile tables of   |
    | costs, classes of     |             | phases of its       | costs and lengths    |
    | spells                |             | spells, ...         | of spells            |
    +-----------------------+-------------+---------------------+----------------------+

    s   what goes on: made by new_state() for each phase                 flat/state.py
    +-----------+-----------+-------+------------------------+------------+------------+
    | S:        | CPU, a    | histo-| by slot, a row of all  | by slot:   | by slot:   |
    | offsets,  | line for  | grams | CPUs: enqueued, sent,  | CALL, two  | TASK, with |
    | numbers   | each CPU  |       | released, acked, ...   | event keys | its record |
    +-----------+-----------+-------+------------------------+------------+------------+

A task of the phase has a *slot*, and in it one broadcast at a time.  ``M``, ``S``, ``CPU`` and
``TASK`` are named tuples of offsets: ``m[M.nr_cpus]``, ``s[line + CPU.drain_ns]`` where
``line = line_of(s, cpu)``, ``s[part(s, S.released) + slot * n + cpu]``.  Numba folds them into
the code as constants.  A place of the header (``S.released``) holds where a part begins, if
it is not said to be a number.

What a CPU does needs no memory of its past.  A CPU without a task is *lazy*: its idle,
preempted and irq-off spells are a function of the seed, the CPU and the time (``rules/``), so
that when an interrupt arrives, one look says when its handler starts and ends.  The CPU of
a task is *eager*: what it is doing decides.

One broadcast of a task alone (``alone/``) is one call, :func:`.broadcast_alone`::

    _enqueue   draw a cost for every CPU; their running sum are the times ``enqueued``
    _send      in the order of the interrupt controller: ``sent_ns``, ``arrived``
    _answer    each target by itself: spells, then ``started``, ``released``, and until when
               it is busy (``busy_until``); histograms count
    _wait      read each csd in turn: ``acked``; the last one ends the broadcast

Python writes into TASK which one it is and when it begins, gets back the end, and copies the
record out of TASK (``FLUSH_COLUMNS``).

With several tasks (``together/``) broadcasts overlap: they find queues that are not empty,
and interrupt each other's initiators.  A broadcast is then a row of *stages*, and every
slot has two event keys: the end of its stage, and what its CPU does next about an interrupt.
:func:`.advance` takes the earliest of them, again and again::

    walking        csds are enqueued; a handler that comes moves the later ones
    sending        interrupts off; lazy targets answer here, eager ones get an event key
    before_local   interrupts that waited are taken
    local          the own call, interrupts off
    waiting        reads csds as they are released; handlers in between cost time

Tasks and the compiled loop take turns: before kernel code goes on at a time, all that comes
earlier has been advanced to (``together/tasks.py``).

The rooms::

    engine.py     runs tasks, and tells the recorder
    turns.py      tasks take turns: a heap of keys, and greenlets that switch to each other
    tasks.py      a task whose broadcasts are in here
    flat/         what lies where, and how Python writes and reads it
    rules/        what every interrupt obeys: draws, order of sending, answers, acknowledgements
    alone/        a phase of one task, and its replay
    together/     a phase of several: queues, stages, and their replay
    jit.py        says what is compiled, and is called from Python
    machine_code.py   gives it out: from disk, or made of bitcode by LLVM
    bitcode.py    numba makes bitcode of Python
    cache.py      where both are kept; build.py: bitcode ahead of time, for a wheel

A *replay* (``r.ipis()``) starts from a checkpoint of ``s`` and runs the same functions again up
to the broadcasts that are asked for.
"""

from __future__ import annotations

from simulator.engine.compiled.engine import CompiledEngine

__all__ = ("CompiledEngine",)
