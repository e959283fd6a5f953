"""Embeddings as files, written a chunk at a time: .npz (numpy), .safetensors and .parquet.

Columns wait in files without a name, which vanish with the process, until the whole is written beside its place and
renamed. Memory holds a chunk. Knows arrays, not models.

Shapes: S sequences.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Any

import attrs
import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from jepa_core.engine.output_files import appearing_whole, check_output, place_of
from jepa_core.errors import DataError

Array = NDArray[Any]

_ROWS_AT_A_TIME = 4096
_SAFE_DTYPES = {"float32": "F32", "float64": "F64", "int64": "I64", "bool": "BOOL"}


@attrs.frozen(kw_only=True)
class _Column:
    """Rows (S, *shape) of one dtype, as bytes one behind the other."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    file: IO[bytes]

    def rows(self, total: int) -> Iterator[Array]:
        """All rows, some at a time."""
        self.file.seek(0)
        size = self.dtype.itemsize * int(np.prod(self.shape))
        for start in range(0, total, _ROWS_AT_A_TIME):
            count = min(_ROWS_AT_A_TIME, total - start)
            yield np.frombuffer(self.file.read(count * size), self.dtype).reshape(count, *self.shape)


def check_embeddings(path: Path, *, replace: bool) -> None:
    """Refuse early what cannot be written at the end.

    Raises:
        DataError: the path has another ending, its folder is not there, a file is there already and may not be
            replaced, or what the format needs is not installed.
    """
    check_output(path, ENDINGS, "embeddings", replace=replace)
    if path.suffix == ".parquet":
        _parquet()


class EmbeddingFile:
    """A file of embeddings in the making; `with` it, it is there when all went well, and else nothing is."""

    def __init__(
        self, path: Path, *, texts: Mapping[str, Sequence[str]], about: Mapping[str, Any], replace: bool = False
    ) -> None:
        """
        Args:
            path: ends in .npz, .safetensors or .parquet.
            texts: for columns that hold positions in a list of texts, such as `task`, that list.
            about: what the file says of itself, as JSON.
            replace: an existing file may be replaced.

        Raises:
            DataError: see `check_embeddings`.
        """
        check_embeddings(path, replace=replace)
        self.path, self.texts, self.about = path, texts, about
        self.num_rows = 0
        self.columns: dict[str, _Column] = {}

    def append(self, columns: Mapping[str, Array]) -> None:
        """More rows, (rows, …) for each name; names, dtypes and shapes are those of the first call.

        Raises:
            DataError: the disk refuses.
            ValueError: they are not of one length.
        """
        lengths = {len(values) for values in columns.values()}
        if len(lengths) > 1:
            raise ValueError(f"columns of one length are needed, not of {sorted(lengths)} rows")
        try:
            for name, values in columns.items():
                if name not in self.columns:
                    file = TemporaryFile(dir=place_of(self.path).parent)  # noqa: SIM115  # closed in __exit__
                    self.columns[name] = _Column(shape=values.shape[1:], dtype=values.dtype, file=file)
                self.columns[name].file.write(np.ascontiguousarray(values).data)
        except OSError as error:
            raise DataError(f"{self.path} cannot be written: {error.strerror or error}.") from error
        self.num_rows += lengths.pop()

    def __enter__(self) -> EmbeddingFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        try:
            if kind is None:
                with appearing_whole(self.path) as draft:
                    _WRITERS[self.path.suffix](self, draft)
        finally:
            for column in self.columns.values():
                column.file.close()


def _write_npz(file: EmbeddingFile, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, column in file.columns.items():
            texts = np.array(file.texts[name]) if name in file.texts else None
            dtype = column.dtype if texts is None else texts.dtype
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": _shape(file, column)}
                npy.write_array_header_2_0(member, header)
                for rows in column.rows(file.num_rows):
                    member.write(np.ascontiguousarray(rows if texts is None else texts[rows]).tobytes())
        with archive.open("about.npy", "w") as member:
            npy.write_array(member, np.array(json.dumps(file.about)), allow_pickle=False)


def _write_safetensors(file: EmbeddingFile, path: Path) -> None:
    """The format's header, then the columns as they lie; the library would hold all of them in memory."""
    header: dict[str, Any] = {"__metadata__": {"about": json.dumps(file.about)}}
    header["__metadata__"] |= {name: json.dumps(list(texts)) for name, texts in file.texts.items()}
    start = 0
    for name, column in file.columns.items():
        shape = _shape(file, column)
        end = start + column.dtype.itemsize * int(np.prod(shape))
        header[name] = {"dtype": _SAFE_DTYPES[column.dtype.name], "shape": shape, "data_offsets": [start, end]}
        start = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for column in file.columns.values():
            column.file.seek(0)
            shutil.copyfileobj(column.file, out, 1 << 20)


def _write_parquet(file: EmbeddingFile, path: Path) -> None:
    """Rows of sequences; an array of more than one number is a list of fixed length, nested as its shape is."""
    pa, pq = _parquet()
    columns = {name: column.rows(file.num_rows) for name, column in file.columns.items()}
    writer = None
    about = {"jepa": json.dumps(file.about)}
    try:
        for _ in range(0, file.num_rows, _ROWS_AT_A_TIME):
            arrays = {name: _arrow(pa, next(rows), file.texts.get(name)) for name, rows in columns.items()}
            table = pa.table(arrays).replace_schema_metadata(about)
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _arrow(pa: Any, rows: Array, texts: Sequence[str] | None) -> Any:
    if texts is not None:
        return pa.DictionaryArray.from_arrays(pa.array(rows), pa.array(texts, pa.string())).cast(pa.string())
    values = pa.array(np.ascontiguousarray(rows).reshape(-1))
    for size in reversed(rows.shape[1:]):
        values = pa.FixedSizeListArray.from_arrays(values, size)
    return values


def _parquet() -> tuple[Any, Any]:
    """
    Raises:
        DataError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        message = ".parquet needs pyarrow: pip install 'jepa-core[parquet]', or write .npz or .safetensors."
        raise DataError(message) from error
    return pyarrow, pyarrow.parquet


def _shape(file: EmbeddingFile, column: _Column) -> tuple[int, ...]:
    return file.num_rows, *column.shape


_WRITERS: Mapping[str, Callable[[EmbeddingFile, Path], None]] = {
    ".npz": _write_npz,
    ".safetensors": _write_safetensors,
    ".parquet": _write_parquet,
}
ENDINGS = tuple(_WRITERS)
