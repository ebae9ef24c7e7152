# SPDX-License-Identifier: MIT
"""
What a user gives: files, paths and numbers as text
---------------------------------------------------

Every file that a user names is read here.  Only regular files of a bearable
size are: a pipe would wait for a writer, ``/dev/zero`` never ends.  Whatever is
wrong becomes an :class:`simulator.errors.InputError` of one line.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb
from typing import IO

from simulator.errors import InputError, first_line

__all__ = (
    "LIMIT_BYTES",
    "number",
    "opened",
    "read_bytes",
    "read_text",
    "user_path",
    "what_was_raised",
)

#: More than any profile, table of timings or kernel has; a result's frames may need more.
LIMIT_BYTES = 16 << 20
_INTEGER = re.compile(r"[+-]?[0-9]{1,4000}")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|nan)")
_MINUS_ZERO = re.compile(r"-[0.]*0[0.]*([eE].*)?")


def user_path(text: str | Path, what: str) -> Path:
    """
    Return a path as the user meant it, ``~`` and ``~user`` replaced.

    :param what: what to call it in an error, such as ``machine``.
    :raises InputError: if there is no such user, or no path can be so.
    """
    path = Path(text)
    if "\0" in str(path):
        raise InputError(f"{what}: {path}: cannot be a path: it has a NUL byte")
    try:
        return path.expanduser()
    except RuntimeError:
        raise InputError(f"{what}: {path}: there is no such user as {path.parts[0]}") from None


@contextmanager
def opened(path: Path, what: str) -> Iterator[IO[bytes]]:
    """
    Yield a regular file, open for reading, of any size.

    :param what: what to call the file in an error: its path, mostly after the field.
    :raises InputError: if it is no regular file, or cannot be read, then or later.
    """
    if "\0" in str(path):
        raise InputError(f"{what}: cannot be a path: it has a NUL byte")
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise InputError(f"{what}: is no regular file but {_kind(mode)}")
            yield file
    except FileNotFoundError:
        raise InputError(f"{what}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{what}: is a folder, not a file") from None
    except OSError as error:
        raise InputError(f"{what}: cannot be read: {error.strerror}") from None


def read_bytes(path: Path, what: str, limit: int = LIMIT_BYTES) -> bytes:
    """
    Return what a regular file holds.

    :param what: what to call the file in an error: its path, mostly after the field.
    :param limit: how many bytes it may have.
    :raises InputError: if it is no regular file, cannot be read or has more.
    """
    with opened(path, what) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise InputError(f"{what}: has more than {limit >> 20} MiB, which no such file needs")
    return data


def read_text(path: Path, what: str, limit: int = LIMIT_BYTES) -> str:
    """
    Return the text of a regular file, UTF-8 with or without a mark; line ends stay as they are.

    Parameters and errors are those of :func:`read_bytes`.
    """
    data = read_bytes(path, what, limit)
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise InputError(f"{what}: not text: byte {error.start} is not UTF-8") from None


def number(text: str) -> int | float | str:
    """
    Return the number that a text stands for, or the text itself.

    What may stand where is for the one that uses the value to say.  A number has
    ASCII digits without separators; minus zero is none.

    >>> number("256"), number("2.5"), number("many"), number("-0")
    (256, 2.5, 'many', '-0')
    """
    if _MINUS_ZERO.fullmatch(text):
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text.lower()) else text


def what_was_raised(error: BaseException, path: Path) -> str:
    """
    Return ``, line N: TypeError: ...`` for what the code in a user's file raised.

    The line is the innermost of that file: what it calls is not the user's to correct.
    """
    frames = [f for f in extract_tb(error.__traceback__) if f.filename == str(path)]
    line = frames[-1].lineno if frames else None
    text = first_line(error)
    if isinstance(error, SyntaxError) and error.filename == str(path):
        line, text = error.lineno, error.msg
    where = "" if line is None else f", line {line}"
    return f"{where}: {type(error).__name__}" + (f": {text}" if text else "")


# Opening a pipe waits for its other end unless told not to.
def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device"
