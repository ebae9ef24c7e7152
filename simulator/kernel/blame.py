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
from contextlib import AbstractContextManager
from traceback import walk_tb

from simulator.errors import InputError, KernelError, first_line
from simulator.kernel.source import TEXT, line_of

__all__ = ("blame", "of_kernel", "raised_on_purpose")

_NOTE = "in the kernel of "
_RAISE = dis.opmap["RAISE_VARARGS"]


class of_kernel(AbstractContextManager[None]):
    """Note on whatever is raised that the kernel of a user's file ran; none if it is empty."""

    def __init__(self, file: str) -> None:
        self._file = file

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is not None and self._file:
            error.add_note(_NOTE + self._file)


def blame(error: BaseException) -> str | None:
    """
    Return where in a user's kernel file an error arose, and what it is.

    The first line names file, line, function and error, the second is the line itself.
    Where none of the file's functions was running, the first line names the file and the
    second what was; None if no user's file had a part in it.
    """
    # What ends a SimPy process is raised anew, from what it was.
    causes = _causes(error)
    frames = [(frame, line) for cause in causes for frame, line in walk_tb(cause.__traceback__)]
    for cause in causes:
        if isinstance(cause, KernelError) and cause.where:
            return f"{cause.where}: {_what(cause)}"
    own = [(frame, line) for frame, line in frames if TEXT in frame.f_globals]
    if own:
        frame, line = own[-1]
        code = frame.f_code
        where = f"{code.co_filename}, line {line}, in {code.co_name}()"
        source = line_of(code, frame.f_globals, line)
        return f"{where}: {_what(error)}" + (f"\n    {source}" if source else "")
    notes = [n for n in getattr(error, "__notes__", ()) if n.startswith(_NOTE)]
    if not notes:
        return None
    first = f"{notes[0].removeprefix(_NOTE)}: {_what(error)}"
    if isinstance(error, InputError | KernelError):
        return first
    frame, line = frames[-1]
    code = frame.f_code
    return f"{first}\n    in {code.co_name}(), {code.co_filename}, line {line}"


def _what(error: BaseException) -> str:
    text = first_line(error)
    if isinstance(error, InputError | KernelError):
        return text.removeprefix("kernel: ")
    return type(error).__name__ + (f": {text}" if text else "")


def raised_on_purpose(error: BaseException) -> bool:
    """Return whether an error was raised by a statement, as no interrupt from outside is."""
    # SimPy raises what ended a process anew, from what it was.
    while type(error.__cause__) is type(error):
        error = error.__cause__
    last = error.__traceback__
    if last is None:
        return False
    while last.tb_next is not None:
        last = last.tb_next
    return last.tb_frame.f_code.co_code[last.tb_lasti] == _RAISE


def _causes(error: BaseException) -> list[BaseException]:
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and all(cause is not seen for seen in causes):
        causes.append(cause)
        cause = cause.__cause__
    return causes
