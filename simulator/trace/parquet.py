# SPDX-License-Identifier: MIT
"""
IPI traces as Parquet
---------------------

:class:`IpiWriter` writes the ``ipis`` frame to a file, batch by batch, so that a
trace of any length needs no more memory than one batch.  Needs the extra
``parquet`` (pyarrow).
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from simulator.errors import InputError
from simulator.trace.contract import IPI_COLUMNS
from simulator.trace.tables import Int64s
from simulator.trace.words import STATES

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ("IpiWriter",)


class IpiWriter:
    """
    A Parquet file under construction; a context manager.

    The file appears under its name when all went well.  Raises InputError where
    pyarrow is missing or the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError:
            raise InputError("ipis: needs pyarrow; pip install 'tlbsim[parquet]'") from None
        self._pa = pa
        self._path = path
        names = {"flush": pa.uint32(), "cpu": pa.uint16(), "sent": pa.bool_()}
        names["state"] = pa.dictionary(pa.int8(), pa.string())
        self._schema = pa.schema([(name, names.get(name, pa.int64())) for name in IPI_COLUMNS])
        if path.is_dir():
            raise InputError(f"ipis: cannot write {path}: Is a directory")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                prefix=f".{path.name}-", dir=path.parent, delete=False
            ) as file:
                self._temporary = Path(file.name)
        except OSError as error:
            raise InputError(f"ipis: cannot write {path}: {error.strerror}") from None
        self._writer: Any = parquet.ParquetWriter(
            self._temporary, self._schema, compression="zstd", compression_level=1
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.close()
        if error is None:
            self._temporary.chmod(0o644)
            self._temporary.replace(self._path)
        else:
            self._temporary.unlink(missing_ok=True)

    def write(self, rows: Int64s) -> None:
        """Append rows of IPIs."""
        columns = [self._column(name, rows[:, i]) for i, name in enumerate(IPI_COLUMNS)]
        self._writer.write_table(self._pa.Table.from_arrays(columns, schema=self._schema))

    def _column(self, name: str, values: Int64s) -> pa.Array[Any]:
        if name == "state":
            codes = self._pa.array(values.astype(np.int8))
            return self._pa.DictionaryArray.from_arrays(codes, self._pa.array(list(STATES)))
        return self._pa.array(values).cast(self._schema.field(name).type)
