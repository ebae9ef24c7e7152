# SPDX-License-Identifier: MIT
"""
IPI traces as Parquet
---------------------

:func:`ipi_writer` writes the ``ipis`` frame to a file, batch by batch, so that a
trace of any length needs no more memory than one batch.  Needs the extra
``parquet`` (pyarrow).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from simulator.errors import InputError
from simulator.outputs import Kind, check, writing
from simulator.trace.contract import IPI_COLUMNS
from simulator.trace.tables import Int64s
from simulator.trace.words import STATES

__all__ = ("PARQUET", "check_ipis", "ipi_writer")

PARQUET = Kind("a Parquet file", lambda head: head.startswith(b"PAR1"))


def check_ipis(path: Path, inputs: Mapping[str, str | Path | None]) -> None:
    """
    Raise InputError unless the file can be written, before anything is simulated.

    ``inputs`` are those of :func:`simulator.outputs.check`.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise InputError("ipis: needs pyarrow; pip install 'tlbsim[parquet]'")
    check("ipis", path, PARQUET, inputs)


@contextmanager
def ipi_writer(path: Path) -> Iterator[Callable[[Int64s], None]]:
    """
    Yield a function that appends rows of IPIs to a Parquet file.

    The file appears under its name when all went well.  Raises InputError where
    pyarrow is missing or the file cannot be written.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise InputError("ipis: needs pyarrow; pip install 'tlbsim[parquet]'") from None
    types = {"flush": pa.uint32(), "cpu": pa.uint16(), "sent": pa.bool_()}
    types["state"] = pa.dictionary(pa.int8(), pa.string())
    schema = pa.schema([(name, types.get(name, pa.int64())) for name in IPI_COLUMNS])

    def column(name: str, values: Int64s) -> pa.Array:
        if name == "state":
            codes = pa.array(values.astype(np.int8))
            return pa.DictionaryArray.from_arrays(codes, pa.array(list(STATES)))
        return pa.array(values).cast(schema.field(name).type)

    with writing("ipis", path, PARQUET) as file:
        writer = parquet.ParquetWriter(file, schema, compression="zstd", compression_level=1)

        def write(rows: Int64s) -> None:
            columns = [column(name, rows[:, i]) for i, name in enumerate(IPI_COLUMNS)]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))

        try:
            yield write
        except BaseException:
            # A full disk is full for the end of the file, too.
            with suppress(OSError):
                writer.close()
            raise
        writer.close()
