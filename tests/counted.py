# SPDX-License-Identifier: MIT
"""
What real kernels count, by formula
-----------------------------------

The formulas that fit everything that was counted in Linux 6.1.176 and 6.12.107,
and reach beyond the packaged rows: HVO off, 1 GB pages, one CPU and 64, surplus
pages.  c CPUs, N huge pages, S vmemmap PMDs split, V vmemmap pages to a huge page.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Broadcasts of do_sync_core() for a static key: three for every 256 sites.
SYNC_CORE = {"6.1": 15, "6.12": 9}
COUNTS = (
    "pages_got", "pmd_splits", "flush_tlb_kernel_range_calls", "flush_tlb_all_calls",
    "do_flush_tlb_all_exec_total", "do_kernel_range_flush_exec_total",
    "flush_tlb_one_kernel_exec_total", "on_each_cpu_calls", "vmemmap_pages_freed",
    "vmemmap_head_pages_allocated", "vmemmap_pages_allocated_restore", "synchronize_rcu_calls",
    "hugepage_allocs",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A boot: ``splits`` of its first fill and of its second."""

    kernel: str
    cpus: int
    pages: int
    splits: tuple[int, int]
    gigantic: bool = False
    hvo: bool = True
    mode: str = "count"

    def rows(self, run=1):
        """Return the four rows of the boot, each a mapping by column."""
        first, second = self.splits if self.hvo else (0, 0)
        counts = (self._alloc(first), self._free(), self._alloc(second), self._free())
        key = {
            "kernel": self.kernel,
            "vcpus": self.cpus,
            "hvo": "on" if self.hvo else "off",
            "page_kb": 1048576 if self.gigantic else 2048,
            "n_pages": self.pages,
            "mode": self.mode,
            "run": run,
        }
        labels = ("alloc", "free", "alloc2", "free2")
        nothing = dict.fromkeys(COUNTS, 0)
        return [
            key | {"phase": label} | nothing | each
            for label, each in zip(labels, counts, strict=True)
        ]

    def _batched(self):
        return self.kernel == "6.12" and self.mode == "count"

    def _ranges(self, splits):
        # Flushes made for single folios, and for their splits.
        c, n = self.cpus, self.pages
        each = 7 if self.kernel == "6.1" else 8
        key = SYNC_CORE[self.kernel]
        flushes = {
            "flush_tlb_kernel_range_calls": n + splits,
            "do_flush_tlb_all_exec_total": c * splits,
            "on_each_cpu_calls": n + splits + key,
        }
        if self.gigantic:  # more than 33 pages
            return flushes | {"do_flush_tlb_all_exec_total": c * (n + splits)}
        return flushes | {
            "do_kernel_range_flush_exec_total": c * n,
            "flush_tlb_one_kernel_exec_total": c * n * each,
        }

    def _all(self, calls, *, key):
        return {
            "flush_tlb_all_calls": calls,
            "do_flush_tlb_all_exec_total": calls * self.cpus,
            "on_each_cpu_calls": calls + (SYNC_CORE[self.kernel] if key else 0),
        }

    def _waits(self):
        if self.kernel == "6.1":
            return 0
        return 1 if self.mode == "count" else self.pages

    def _alloc(self, splits):
        n, v = self.pages, 4096 if self.gigantic else 8
        got = {"pages_got": n, "hugepage_allocs": n}
        if not self.hvo:
            return got | (self._all(2, key=False) if self._batched() else {})
        old = self.kernel == "6.1"
        return (
            got
            | (self._all(2, key=True) if self._batched() else self._ranges(splits))
            | {
                "pmd_splits": splits,
                "vmemmap_pages_freed": n * (v - 1 if old else v),
                "vmemmap_head_pages_allocated": 0 if old else n,
                "synchronize_rcu_calls": self._waits(),
            }
        )

    def _free(self):
        if not self.hvo:
            return {}
        v = 4096 if self.gigantic else 8
        return (self._all(1, key=True) if self._batched() else self._ranges(0)) | {
            "vmemmap_pages_allocated_restore": self.pages * (v - 1),
            "synchronize_rcu_calls": self._waits(),
        }


def cases():
    """Return boots that the packaged table has not."""
    for kernel in ("6.1", "6.12"):
        for cpus in (1, 2, 3, 64):
            yield Case(kernel, cpus, 1, (1, 0))
            yield Case(kernel, cpus, 1, (1, 1))
            yield Case(kernel, cpus, 130, (5, 0))
            yield Case(kernel, cpus, 130, (3, 2), hvo=False)
            yield Case(kernel, cpus, 1, (8, 0), gigantic=True)
            yield Case(kernel, cpus, 1, (8, 8), gigantic=True)
            yield Case(kernel, cpus, 3, (24, 16), gigantic=True)
            yield Case(kernel, cpus, 2, (16, 8), gigantic=True, hvo=False)
            yield Case(kernel, cpus, 1, (1, 0), mode="surp")
            yield Case(kernel, cpus, 70, (4, 3), mode="surp")
            yield Case(kernel, cpus, 7, (2, 0), mode="surp", hvo=False)
        yield Case(kernel, 8, 1024, (19, 0))
