# SPDX-License-Identifier: MIT
"""
A command as a process: exit status, standard output, one line of error
-----------------------------------------------------------------------

Shared by ``tlbsim`` and the scripts in ``scenarios/``.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from traceback import print_exception

from simulator.cli.output import complain
from simulator.errors import InputError, KernelError, one_line, wrong_lines
from simulator.garbage import SELDOM

__all__ = ("FAILED", "INTERRUPTED", "exit_status")

# Something that was asked for is not as it should be: counts differ, a result was not saved.
FAILED = 1
_WRONG_INPUT = 2
# As the shell reports the signals: 128 + SIGINT, 128 + SIGPIPE.
INTERRUPTED = 130
_NO_READER = 141


def exit_status(command: Callable[[], tuple[int, str]], *, traceback: bool = False) -> int:
    """
    Run a command, print the text that it returns, and return the exit status.

    What a user did wrong is one line on standard error, or one for each thing that is wrong with
    a file, and standard output stays empty.
    An error in a user's kernel code is shown by its line there, and with ``traceback`` in full.
    """
    gc.set_threshold(*SELDOM)
    if sys.stdout is None:
        complain("standard output: is closed")
        return _WRONG_INPUT
    try:
        status, text = command()
        return _write(status, text)
    except InputError as error:
        blamed = _blamed(error)
        lines = wrong_lines(error) if blamed is None else [f"kernel: {blamed.splitlines()[0]}"]
        for line in lines:
            complain(line)
        return _WRONG_INPUT
    except BaseException as error:  # noqa: BLE001 - kernel code raises anything
        return _ended_by(error, traceback=traceback)


def _ended_by(error: BaseException, *, traceback: bool) -> int:
    blamed = _blamed(error)
    # What a kernel may not do is told in lines of its own.
    told = str(error).splitlines() if isinstance(error, KernelError) else []
    if blamed is None and isinstance(error, KeyboardInterrupt):
        complain("interrupted")
        return INTERRUPTED
    if blamed is None and not told:
        raise error
    if traceback and sys.stderr is not None:
        print_exception(error)
    first, *rest = told if blamed is None else [*blamed.splitlines(), *told[1:]]
    complain(f"kernel: {first}")
    if sys.stderr is not None:
        sys.stderr.writelines(f"{one_line(line)}\n" for line in rest)
    return FAILED


def _blamed(error: BaseException) -> str | None:
    # Only what has run a kernel has loaded it.
    if "simulator.kernel.blame" not in sys.modules:
        return None
    from simulator.kernel.blame import blame, raised_on_purpose

    # What ends a run from outside has no statement that raised it.
    if isinstance(error, KeyboardInterrupt) and not raised_on_purpose(error):
        return None
    return blame(error)


def _write(status: int, text: str) -> int:
    try:
        try:
            sys.stdout.write(text)
        except UnicodeEncodeError as error:
            # The name of a user's file, for which this output has no letters: as on stderr.
            sys.stdout.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has seen enough. Python flushes once more at exit: let it go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NO_READER
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise InputError(f"standard output: {error.strerror}") from None
    return status
