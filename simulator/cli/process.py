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

from simulator.cli.output import complain
from simulator.errors import InputError

__all__ = ("INTERRUPTED", "exit_status")

_WRONG_INPUT = 2
# A simulation makes millions of objects and hardly a cycle: looking for cycles every 700 objects,
# as Python does, takes a tenth of its time.
_GC_THRESHOLD = (100_000, 50, 100)
# As the shell reports the signals: 128 + SIGINT, 128 + SIGPIPE.
INTERRUPTED = 130
_NO_READER = 141


def exit_status(command: Callable[[], tuple[int, str]]) -> int:
    """
    Run a command, print the text that it returns, and return the exit status.

    What a user did wrong is one line on standard error, and standard output stays empty.
    """
    gc.set_threshold(*_GC_THRESHOLD)
    try:
        try:
            status, text = command()
        except SystemExit:
            # --help and --version, which argparse has printed.
            status, text = 0, ""
        return _write(status, text)
    except InputError as error:
        complain(str(error))
        return _WRONG_INPUT
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED


def _write(status: int, text: str) -> int:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has seen enough. Python flushes once more at exit: let it go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NO_READER
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise InputError(f"standard output: {error.strerror}") from None
    return status
