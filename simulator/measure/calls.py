# SPDX-License-Identifier: MIT
"""
System calls and memory, timed from Python
------------------------------------------

The C library through ctypes, without giving up the interpreter lock, so that no
other thread of this process gets between the two readings of the clock.  What
Python and the clock add to a call is some 0.3 us; only differences of times are
used, in which it cancels.

Sources: Linux v6.6 include/uapi/linux/membarrier.h,
include/uapi/asm-generic/mman-common.h, arch/x86/entry/syscalls/syscall_64.tbl.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from typing import Self

from simulator.geometry import BASE_PAGE_BYTES as PAGE

__all__ = ("PAGE", "Calls", "Region", "clock")

clock = time.perf_counter_ns

_READ, _WRITE = 1, 2
_PRIVATE, _ANONYMOUS = 2, 0x20
_DONTNEED, _NOHUGEPAGE, _POPULATE_WRITE = 4, 15, 23
_SYS_MEMBARRIER = 324
_GLOBAL, _PRIVATE_EXPEDITED, _REGISTER_PRIVATE_EXPEDITED = 1, 8, 16

Timed = Callable[[], int]  # does something, and returns how long the part of interest took


class Calls:
    """The C library, for the calls that are timed."""

    def __init__(self) -> None:
        # PyDLL keeps the lock during a call, CDLL would drop it.
        self.lib = ctypes.PyDLL(None, use_errno=True)
        size, address, number = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int
        self.lib.mmap.restype = address
        self.lib.mmap.argtypes = (address, size, number, number, number, ctypes.c_long)
        self.lib.munmap.argtypes = (address, size)
        self.lib.mprotect.argtypes = (address, size, number)
        self.lib.madvise.argtypes = (address, size, number)
        self.lib.memset.argtypes = (address, number, size)
        self.lib.memcpy.argtypes = (address, address, size)

    def getppid(self) -> int:
        """Time the shortest of system calls."""
        call = self.lib.getppid
        start = clock()
        call()
        return clock() - start

    def grace_period(self) -> int | None:
        """Time synchronize_rcu(), which membarrier(GLOBAL) is; None where it is not to be had."""
        start = clock()
        status = self.lib.syscall(_SYS_MEMBARRIER, _GLOBAL, 0, 0)
        took_ns = clock() - start
        return took_ns if status == 0 else None

    def membarrier(self) -> Timed | None:
        """Return what times an IPI to the running threads of this process, without a flush."""
        call = self.lib.syscall
        if call(_SYS_MEMBARRIER, _REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0:
            return None

        def timed() -> int:
            start = clock()
            call(_SYS_MEMBARRIER, _PRIVATE_EXPEDITED, 0, 0)
            return clock() - start

        return timed


class Region:
    """Anonymous memory of 4 KB pages between two pages that cannot be touched."""

    def __init__(self, calls: Calls, nr_pages: int) -> None:
        self.calls = calls
        self.nr_pages = nr_pages
        self.size = nr_pages * PAGE
        whole = (nr_pages + 2) * PAGE
        found = calls.lib.mmap(None, whole, 0, _PRIVATE | _ANONYMOUS, -1, 0)
        if found in (None, ctypes.c_void_p(-1).value):
            raise OSError(ctypes.get_errno(), f"mmap() of {nr_pages} pages failed")
        self._whole = (found, whole)
        self.start = found + PAGE
        calls.lib.madvise(self.start, self.size, _NOHUGEPAGE)
        calls.lib.mprotect(self.start, self.size, _READ | _WRITE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.calls.lib.munmap(*self._whole)

    def protect(self) -> int:
        """Write to every page, then time taking the right to write: a flush of them all."""
        lib, start, size = self.calls.lib, self.start, self.size
        lib.mprotect(start, size, _READ | _WRITE)
        lib.memset(start, 1, size)
        begin = clock()
        lib.mprotect(start, size, _READ)
        return clock() - begin

    def discard(self) -> int:
        """Write to every page, then time giving them all back: a flush."""
        lib, start, size = self.calls.lib, self.start, self.size
        lib.mprotect(start, size, _READ | _WRITE)
        lib.memset(start, 1, size)
        begin = clock()
        lib.madvise(start, size, _DONTNEED)
        return clock() - begin

    def populate(self) -> int | None:
        """Time page faults for all pages, taken in one call; None before Linux 5.14."""
        lib, start, size = self.calls.lib, self.start, self.size
        lib.madvise(start, size, _DONTNEED)
        begin = clock()
        status = lib.madvise(start, size, _POPULATE_WRITE)
        return clock() - begin if status == 0 else None

    def touch(self, page: int) -> int:
        """Time the first write to a page: a fault."""
        fill, address = self.calls.lib.memset, self.start + page * PAGE
        begin = clock()
        fill(address, 1, 1)
        return clock() - begin

    def fill(self, page: int, size: int = PAGE) -> int:
        """Time writing a page as a whole."""
        fill, address = self.calls.lib.memset, self.start + page * PAGE
        begin = clock()
        fill(address, 1, size)
        return clock() - begin

    def copy(self, source: int, target: int, size: int = PAGE) -> int:
        """Time copying a page to another one."""
        copy, base = self.calls.lib.memcpy, self.start
        begin = clock()
        copy(base + target * PAGE, base + source * PAGE, size)
        return clock() - begin
