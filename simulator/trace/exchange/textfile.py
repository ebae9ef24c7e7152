# SPDX-License-Identifier: MIT
"""
Lines of a file that may be anything
------------------------------------

A file named as a trace may be a folder, a FIFO, binary, endless or cut.  What is
no text is refused in one line; the rest is read in blocks, gzipped or not, in
memory that does not grow with the file.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from simulator.errors import InputError
from simulator.inputs import opened

__all__ = ("TextFile",)

_BLOCK_BYTES = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS
_LONGEST_LINE_BYTES = 1 << 16  # the kernel prints a line from a buffer of a page or two

# Files that are a trace to the tools that wrote them, and how to get at the text.
_MAGIC = {
    b"\x17\x08\x44tracing": "is trace-cmd's own format; give the output of `trace-cmd report`",
    b"PERFILE2": "is perf's own format; give the output of `perf script`",
    b"PAR1": "is a Parquet file, not the text of a trace",
    b"PK\x03\x04": "is a zip archive, not the text of a trace",
    b"\xfd7zXZ": "is compressed by xz; unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed by zstd; unpack it first",
    b"BZh": "is compressed by bzip2; unpack it first",
}


class TextFile:
    """
    The text at a path, see :meth:`blocks`.

    ``ends_whole`` tells, after all was read, whether the last line had an end;
    ``gzip_cut`` whether the compressed file stopped early.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ends_whole = True
        self.gzip_cut = False

    def refuse(self, reason: str) -> InputError:
        """Return the error that says why this file is no trace."""
        return InputError(f"trace: {self.path}: {reason}")

    def blocks(self) -> Iterator[list[str]]:
        """Yield lists of lines, without their ends; raise InputError for what is no text."""
        number = 0
        rest = b""
        for block in self._bytes():
            if b"\0" in block:
                raise self.refuse("is binary, not the text of a trace")
            whole, newline, tail = (rest + block).rpartition(b"\n")
            rest = tail
            if newline:
                lines = _decoded(whole)
                number += len(lines)
                yield lines
            if len(rest) > _LONGEST_LINE_BYTES:
                raise self.refuse(f"line {number + 1} is longer than {_LONGEST_LINE_BYTES} bytes")
        self.ends_whole = not rest
        if rest:
            yield _decoded(rest)

    def _bytes(self) -> Iterator[bytes]:
        with opened(self.path, f"trace: {self.path}") as file:
            head = file.read(8)
            file.seek(0)
            if not head:
                raise self.refuse("is empty")
            for magic, reason in _MAGIC.items():
                if head.startswith(magic[:8]):
                    raise self.refuse(reason)
            if head.startswith(b"\x1f\x8b"):
                yield from self._unpacked(file)
            else:
                yield from iter(lambda: file.read(_BLOCK_BYTES), b"")

    # gzip.open() throws away the last block of a file that stops early.
    def _unpacked(self, file: IO[bytes]) -> Iterator[bytes]:
        unpacker = zlib.decompressobj(_GZIP)
        try:
            for block in iter(lambda: file.read(_BLOCK_BYTES >> 3), b""):
                packed = block
                while packed:
                    self.gzip_cut = True
                    yield unpacker.decompress(packed, _BLOCK_BYTES)
                    packed = unpacker.unconsumed_tail
                    if unpacker.eof:
                        self.gzip_cut = False
                        # Files may be joined, or padded with zeros.
                        packed = unpacker.unused_data.lstrip(b"\0")
                        unpacker = zlib.decompressobj(_GZIP)
        except zlib.error:
            raise self.refuse("is damaged: it does not unpack") from None


def _decoded(lines: bytes) -> list[str]:
    # Names of tasks are bytes. The kernel ends lines with \n, other systems with \r\n.
    return lines.decode("utf-8", "replace").replace("\r\n", "\n").removesuffix("\r").split("\n")
