# SPDX-License-Identifier: MIT
"""
kernel/jump_label.c and text_poke_bp_batch()
--------------------------------------------

Modelled: hugetlb_optimize_vmemmap_key.  The first increment and the last
decrement patch code: in batches of 256 sites, each with three broadcasts of
do_sync_core().  The number of sites is the tunable ``static_key_sites``.

Not modelled: cpus_read_lock, text_mutex (nothing else patches code here).

Sources: arch/x86/kernel/alternative.c (TP_VEC_MAX is 256); counted in Linux
6.1.176 (1107 sites, 15 broadcasts) and 6.12.107 (687 sites, 9 broadcasts).
"""

from __future__ import annotations

from typing import Final

from simulator.engine import DONE, Steps, Task
from simulator.engine.calls import Call, Categories
from simulator.kernel.base import KernelBase
from simulator.kernel.structs import StaticKey

__all__ = ("JumpLabel",)

_TP_VEC_MAX: Final = 256
_STATIC_KEY = Categories("static_key", "static_key", "static_key", "static_key")


class JumpLabel(KernelBase):
    """static_branch_inc(), static_branch_dec() and code patching."""

    def static_branch_inc(k, task: Task, key: StaticKey) -> Steps:
        """Count one more user of a key; the first one patches code; for ``yield from``."""
        if key.enabled > 0 and task.ready():
            task.work("static_key", k.cost.atomic.each_ns)
            key.enabled += 1
            return DONE
        return k.static_key_slow_inc(task, key)

    def static_key_slow_inc(k, task: Task, key: StaticKey) -> Steps:
        """The same where others come first, or code is to be patched; generator."""
        if not task.ready():
            yield from task.meet()
        task.work("static_key", k.cost.atomic.each_ns)
        if key.enabled > 0:
            key.enabled += 1
            return
        yield from k.jump_label_mutex.acquire(task)
        if key.enabled == 0:
            # Others see 0 until the code is patched, and wait for the mutex.
            yield from k.jump_label_update(task)
        key.enabled += 1
        yield from k.jump_label_mutex.release(task)

    def static_branch_dec(k, task: Task, key: StaticKey) -> Steps:
        """Count one user less; the last one patches code; for ``yield from``."""
        if key.enabled > 1 and task.ready():
            task.work("static_key", k.cost.atomic.each_ns)
            key.enabled -= 1
            return DONE
        return k.static_key_slow_dec(task, key)

    def static_key_slow_dec(k, task: Task, key: StaticKey) -> Steps:
        """The same where others come first, or code is to be patched; generator."""
        if not task.ready():
            yield from task.meet()
        task.work("static_key", k.cost.atomic.each_ns)
        if key.enabled > 1:
            key.enabled -= 1
            return
        yield from k.jump_label_mutex.acquire(task)
        key.enabled -= 1
        if key.enabled == 0:
            yield from k.jump_label_update(task)
        yield from k.jump_label_mutex.release(task)

    def jump_label_update(k, task: Task) -> Steps:
        """Patch every site of the key; generator."""
        left = k.config.tunables["static_key_sites"]
        while left > 0:
            nr_sites = min(left, _TP_VEC_MAX)
            yield from k.text_poke_bp_batch(task, nr_sites)
            left -= nr_sites

    def text_poke_bp_batch(k, task: Task, nr_sites: int) -> Steps:
        """Patch up to 256 sites: INT3, the rest, the first byte; generator."""
        run_ns = k.cost.sync_core.each_ns
        call = Call("sync_core", "none", "do_sync_core", 0, run_ns, 0, _STATIC_KEY)
        task.work("static_key", k.cost.text_poke_site.ns(nr_sites))
        for _ in ("int3", "tail", "first byte"):
            yield from k.engine.on_each_cpu(task, call)
