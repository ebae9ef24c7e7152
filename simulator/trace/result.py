# SPDX-License-Identifier: MIT
"""
Results
-------

A :class:`Result` offers what a run recorded as pandas frames, built on first
use, and can be saved to a folder and loaded again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.errors import InputError
from simulator.trace.files import save_result
from simulator.trace.frames import FRAMES, Category, Columns, ipi_columns
from simulator.trace.ipis import IpiLog
from simulator.trace.parquet import IpiWriter

if TYPE_CHECKING:
    import pandas as pd

__all__ = ("Result",)


class Result:
    """
    A finished simulation.

    ``scenario`` is what was simulated, ``provenance`` what it takes to make the
    numbers again.  Times are integer nanoseconds of simulated time (``_ns``)
    unless the name says otherwise; ``phase`` is a category: ``alloc``, ``free``,
    ``alloc2``, ...
    """

    def __init__(
        self,
        scenario: Any,
        provenance: Mapping[str, Any],
        columns: Callable[[str], Columns],
        replay: Callable[[IpiLog], None],
        describe: Callable[[], Mapping[str, Any]],
    ) -> None:
        self.scenario = scenario
        self.provenance = provenance
        self._columns = columns
        self._replay = replay
        self._describe = describe

    @cached_property
    def summary(self) -> pd.DataFrame:
        """
        One row per phase.

        ``phase``; ``pages``: folios worked on; ``elapsed_ns``, ``elapsed_s``;
        ``pages_per_s``; ``flushes``: broadcast flush_tlb_*() calls; ``ipis``: CPUs
        interrupted for them; ``ipis_saved``: queues found not empty, so no IPI;
        ``other_broadcasts``, ``other_ipis``: static-key patching; ``flush_ns``: the
        tasks' time in flushes, ``flush_share`` of all their time; ``pmd_splits``;
        ``optimized_folios``; ``failed_folios``: not optimised, or not given back;
        ``peak_held_pages``: most vmemmap pages unmapped and not yet given back;
        ``free_pages_min``: fewest free base pages; ``ptl_held_max_ns``: longest hold
        of init_mm.page_table_lock; ``irqs_off_max_ns``: longest stretch with
        interrupts off on a task's CPU; ``victim_lost_median_ns``,
        ``victim_lost_max_ns``: lost by the other CPUs.
        """
        return self._frame("summary")

    @cached_property
    def counts(self) -> pd.DataFrame:
        """
        One row per phase: how often what ran, as counted with kprobes.

        ``phase``; ``pages_got``: huge pages in the pool at the end; ``pmd_splits``;
        ``flush_tlb_kernel_range_calls``, ``flush_tlb_all_calls``;
        ``do_flush_tlb_all_exec_total``, ``do_kernel_range_flush_exec_total``,
        ``flush_tlb_one_kernel_exec_total``: executions on all CPUs;
        ``on_each_cpu_calls``; ``vmemmap_pages_freed``,
        ``vmemmap_head_pages_allocated``, ``vmemmap_pages_allocated_restore``;
        ``synchronize_rcu_calls``; ``hugepage_allocs``.
        """
        return self._frame("counts")

    @cached_property
    def folios(self) -> pd.DataFrame:
        """
        One row per folio and phase.

        ``phase``, ``folio`` (by order of allocation), ``task``: the one that worked on
        it (of a surplus page that is freed, a kworker), ``pfn``;
        ``start_ns``: work on it began; ``split_ns``, ``remap_ns``, ``restore_ns``:
        durations, flushes apart; ``flush_ns``: time in flushes made for this folio
        alone; ``end_ns``: its own work ended; ``ready_ns``: in the pool, or back with
        the allocator; ``status``: ``plain``, ``optimized``, ``split_failed``,
        ``freed``, ``restore_failed``.
        """
        return self._frame("folios")

    @cached_property
    def flushes(self) -> pd.DataFrame:
        """
        One row per broadcast.

        ``phase``, ``flush`` (by start), ``task``, ``cpu``: the initiator; ``reason``:
        ``split``, ``remap``, ``batch_split``, ``batch_remap``, ``restore``,
        ``batch_restore``, ``enomem``, ``sync_core``, ``benchmark``; ``kind``: ``range``,
        ``all``, ``none`` (no flush); ``pages`` of the range (0: everything); ``start_ns``;
        ``send_end_ns``: last IPI sent; ``last_ack_ns``: last csd released;
        ``end_ns``; ``targets``; ``ipis``; ``ipis_saved``; ``icr_writes``: writes to the
        interrupt controller, or hypercalls; ``slowest_cpu`` (-1: none); ``vector`` of
        the IPIs: ``CALL_FUNCTION_SINGLE`` where one CPU was interrupted,
        ``CALL_FUNCTION`` for more, ``none``.
        """
        return self._frame("flushes")

    @cached_property
    def cpus(self) -> pd.DataFrame:
        """
        One row per CPU and phase.

        ``phase``, ``cpu``, ``socket``; ``role``: ``initiator`` or ``target``;
        ``ipis`` taken; ``handler_ns``; ``refill_ns``: TLB misses after flushes;
        ``lost_ns``: both, while it had work to do; ``idle_woken``: times an idle CPU
        was woken; ``irqs_off_delay_ns``: added to acknowledgements.
        """
        return self._frame("cpus")

    @cached_property
    def time_by(self) -> pd.DataFrame:
        """
        One row per phase, task and category; sums to the phase's elapsed time per task.

        ``phase``, ``task``, ``category``, ``ns``, ``share``.
        """
        return self._frame("time_by")

    @cached_property
    def throughput(self) -> pd.DataFrame:
        """
        One row per window of time.

        ``phase``, ``start_ns``, ``window_ns``; ``folios`` that became ready in it;
        ``folios_worked``: whose own work ended in it; ``pages_per_s``: ready ones.
        """
        return self._frame("throughput")

    @cached_property
    def latency(self) -> pd.DataFrame:
        """
        One row per histogram bucket: log-linear, 128 to an octave, exactly mergeable.

        ``phase``; ``what``: ``folio`` (start to ready), ``flush``, ``ack`` (enqueue
        to release of a csd), ``handler``; ``low_ns``, ``high_ns`` (exclusive);
        ``count``.
        """
        return self._frame("latency")

    def ipis(self, flushes: Collection[int]) -> pd.DataFrame:
        """
        Return every IPI of some flushes, by replaying the scenario.

        ``flushes`` are numbers of the ``flushes`` frame.  One row per flush and
        target: ``flush``, ``cpu``, ``enqueue_ns``, ``send_ns`` (-1: none sent),
        ``arrive_ns``, ``start_ns``, ``end_ns``: csd released, ``ack_ns``: seen by the
        initiator; ``state`` in which it found the CPU: ``running``, ``irqs_off``,
        ``idle``, ``preempted``; ``sent``: False where the queue was not empty or the
        CPU polled.  Raises InputError for what is no number of a flush.
        """
        known = len(self.flushes)
        try:
            numbers = frozenset(index(flush) for flush in flushes)
        except TypeError:
            raise InputError(f"flushes: {flushes!r} is not a list of numbers of flushes") from None
        for flush in numbers:
            if not 0 <= flush < known:
                raise InputError(f"flushes: {flush} is not 0 to {known - 1}")
        log = IpiLog(numbers)
        self._replay(log)
        return _to_frame(ipi_columns(log))

    def write_ipis(self, path: str | Path) -> None:
        """
        Write every IPI of the run, as of :meth:`ipis`, to a Parquet file.

        The run is replayed, and needs no more memory for that than a batch of rows.
        Raises InputError where pyarrow is missing or the file cannot be written.
        """
        with IpiWriter(Path(path)) as writer:
            log = IpiLog(range(int(self.counts["on_each_cpu_calls"].sum())), writer.write)
            self._replay(log)
            log.flush()

    def save(self, directory: str | Path) -> None:
        """
        Write the result to a folder: a new one, or one that holds an older result.

        Raises InputError if it cannot, and then changes nothing.
        """
        save_result(
            Path(directory),
            self._describe(),
            self.provenance,
            {name: self._columns(name) for name in FRAMES},
        )

    def rows(self, frame: str) -> list[dict[str, Any]]:
        """Return the rows of a frame as mappings of plain values; needs no pandas."""
        columns = {
            name: [column.names[code] for code in column.codes.tolist()]
            if isinstance(column, Category)
            else column.tolist()
            for name, column in self._columns(frame).items()
        }
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def _frame(self, name: str) -> pd.DataFrame:
        return _to_frame(self._columns(name))


def _to_frame(columns: Columns) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            name: pd.Categorical.from_codes(
                column.codes, dtype=pd.CategoricalDtype(list(column.names))
            )
            if isinstance(column, Category)
            else column
            for name, column in columns.items()
        }
    )
