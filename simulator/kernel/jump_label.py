# SPDX-License-Identifier: MIT
"""
kernel/jump_label.c and text_poke_bp_batch()
--------------------------------------------

Modelled: hugetlb_optimize_vmemmap_key.  The first increment and the last
decrement patch code: in batches of 256 sites, each with three broadcasts of
do_sync_core().  The number of sites is the tunable ``static_key_sites``; every loaded
module that uses the key (``static_key_modules``) is a batch of its own.

Not modelled: cpus_read_lock, text_mutex (nothing else patches code here).

Sources: arch/x86/kernel/alternative.c (TP_VEC_MAX is 256); counted in Linux
6.1.176 (1107 sites, 15 broadcasts) and 6.12.107 (687 sites, 9 broadcasts; 12 with one
module).
"""

from __future__ import annotations

from typing import Final

from simulator.engine.calls import Call, Categories
from simulator.kernel.base import KernelBase
from simulator.kernel.structs import StaticKey

__all__ = ("JumpLabel",)

_TP_VEC_MAX: Final = 256
#: Sites of the key in a module, assumed; always a single batch of their own.
_MODULE_SITES: Final = 8
_STATIC_KEY = Categories("static_key", "static_key", "static_key", "static_key")


class JumpLabel(KernelBase):
    """static_branch_inc(), static_branch_dec() and code patching."""

    def static_branch_inc(k, key: StaticKey) -> None:
        """Count one more user of a key; the first one patches code."""
        k.atomic_op("static_key")
        if key.enabled > 0:
            key.enabled += 1
            return
        k.jump_label_mutex.lock()
        if key.enabled == 0:
            # Others see 0 until the code is patched, and wait for the mutex.
            k.jump_label_update(key)
        key.enabled += 1
        k.jump_label_mutex.unlock()

    def static_branch_dec(k, key: StaticKey) -> None:
        """Count one user less; the last one patches code."""
        k.atomic_op("static_key")
        if key.enabled > 1:
            key.enabled -= 1
            return
        k.jump_label_mutex.lock()
        # Of a key that is 0 already the kernel only warns.
        if key.enabled > 0:
            key.enabled -= 1
            if key.enabled == 0:
                k.jump_label_update(key)
        k.jump_label_mutex.unlock()

    def jump_label_update(k, key: StaticKey) -> None:
        """Patch every site of the key."""
        left = k.config.tunables["static_key_sites"]
        while left > 0:
            nr_sites = min(left, _TP_VEC_MAX)
            k.text_poke_bp_batch(nr_sites)
            left -= nr_sites
        for _ in range(k.config.tunables["static_key_modules"]):
            k.text_poke_bp_batch(_MODULE_SITES)

    def text_poke_bp_batch(k, nr_sites: int) -> None:
        """Patch up to 256 sites: INT3, the rest, the first byte."""
        run_ns = k.cost.sync_core.each_ns
        call = Call("sync_core", "none", "do_sync_core", 0, run_ns, 0, _STATIC_KEY)
        k.current.work("static_key", k.cost.text_poke_site.ns(nr_sites))
        for _ in ("int3", "tail", "first byte"):
            k.text_poke_sync(call)

    def text_poke_sync(k, call: Call) -> None:
        """Have every CPU see patched code."""
        k.engine.on_each_cpu(call)

    def atomic_op(k, category: str) -> None:
        """One atomic read-modify-write; what it finds is what all others left."""
        task = k.current
        if task.planned_ns < task.clear_ns:
            task.met_ns = task.planned_ns  # as Task.meet(), without a call
        else:
            task.meet()
        ns = k.cost.atomic.each_ns
        task.planned_ns += ns  # as Task.work()
        task.time_by[category] += ns
