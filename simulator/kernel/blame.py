# SPDX-License-Identifier: MIT
"""
Errors in a user's kernel code
------------------------------

A kernel from a user's file runs deep inside the simulator.  When it raises, the
line of that file is what its author has to see; how the simulator came there is
of no use to anyone.
"""

from __future__ import annotations

import dis
import linecache
from collections.abc import Iterator
from traceback import walk_tb

__all__ = ("MARK", "blame", "raised_on_purpose")

#: A global of modules that are users' kernel files.
MARK = "__tlbsim_kernel_file__"
_RAISE = dis.opmap["RAISE_VARARGS"]


def blame(error: BaseException) -> str | None:
    """
    Return where in a user's kernel file an error arose, and what it is.

    The first line names file, line, function and error, the second is the line itself;
    None if no user's file had a part in it.
    """
    # What ends a SimPy process is raised anew, from what it was.
    own = [
        (frame, line)
        for cause in _causes(error)
        for frame, line in walk_tb(cause.__traceback__)
        if MARK in frame.f_globals
    ]
    if not own:
        return None
    frame, line = own[-1]
    code = frame.f_code
    first = next(iter(str(error).splitlines()), "")
    what = type(error).__name__ + (f": {first}" if first else "")
    where = f"{code.co_filename}, line {line}, in {code.co_name}()"
    source = linecache.getline(code.co_filename, line).strip()
    return f"{where}: {what}" + (f"\n    {source}" if source else "")


def raised_on_purpose(error: BaseException) -> bool:
    """Return whether an error was raised by a statement, as no interrupt from outside is."""
    last = error.__traceback__
    if last is None:
        return False
    while last.tb_next is not None:
        last = last.tb_next
    return last.tb_frame.f_code.co_code[last.tb_lasti] == _RAISE


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__
