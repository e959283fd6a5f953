"""Arrays by name in a file of the user's: `.npz`, `.npy`, `.safetensors` or a table of text, first their headers, then
what they hold.

Nothing is unpickled. Knows nothing of what the arrays mean.
"""

from __future__ import annotations

import math
import os
import shlex
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any

import attrs
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from jepa_core.errors import DataError
from jepa_core.plain_files import open_plain
from jepa_plugins.arrays.names import OBSERVATIONS
from jepa_plugins.arrays.text_tables import is_text_table, looks_like_numbers, read_text_table
from jepa_plugins.data_path import GZIP, reason, require_there

SUFFIXES = (".npz", ".npy", ".safetensors")

_SAFETENSORS_TYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
}

_TAKES = (
    f'data.kind = "arrays" takes one file of arrays: {", ".join(SUFFIXES)}, or a table of numbers: .csv, .tsv, .txt.'
)

_FOLDER = (
    'For a folder of images there is data.kind = "images". Arrays of several files and of one length are put into one '
    "by numpy.savez(FILE, observations=numpy.stack([numpy.load(file) for file in files]))."
)

_PICTURE = 'For images in files there is data.kind = "images", with data.path their folder.'
_FILM = f"Save the frames of each film as files of a folder (ffmpeg -i {{path}} FILMS/FILM/%05d.png). {_PICTURE}"
_IN_PYTHON = 'Save its numbers as an array: numpy.savez("FILE.npz", observations={read}).'
_SHEET = "Save the sheet as .csv, or in Python: pandas.read_excel({path!r}).to_csv('FILE.csv', index=False)."
_TENSORS = 'Save its tensors with safetensors.torch.save_file({{"observations": tensor}}, "FILE.safetensors").'

_REMEDIES = {
    **dict.fromkeys((".png", ".jpg", ".jpeg"), _PICTURE),
    **dict.fromkeys((".mp4", ".avi", ".mov", ".mkv", ".webm", ".gif"), _FILM),
    **dict.fromkeys((".pt", ".pth"), _TENSORS),
    **dict.fromkeys((".xlsx", ".xls", ".ods"), _SHEET),
    **dict.fromkeys((".parquet", ".pq"), _IN_PYTHON.format(read="pandas.read_parquet({path!r}).to_numpy()")),
    **dict.fromkeys((".zip", ".bz2", ".xz", ".7z", ".tar", ".rar"), "Unpack it first."),
    ".feather": _IN_PYTHON.format(read="pandas.read_feather({path!r}).to_numpy()"),
    **dict.fromkeys((".h5", ".hdf5"), _IN_PYTHON.format(read="h5py.File({path!r})['NAME'][:]")),
    ".mat": _IN_PYTHON.format(read="scipy.io.loadmat({path!r})['NAME']"),
    ".wav": _IN_PYTHON.format(read="scipy.io.wavfile.read({path!r})[1]"),
    **dict.fromkeys((".tif", ".tiff"), _IN_PYTHON.format(read="tifffile.imread({path!r})")),
    **dict.fromkeys((".jsonl", ".json"), 'For grids in JSON lines there is data.kind = "manifest".'),
}
"""What to do with files of other kinds, by their ending: templates with the file's `path`."""

_BEGINNINGS = {
    b"\x93NUMPY": (".npy", "it begins as a .npy file does: name it so"),
    b"PK": (".npz", "it begins as a .npz file does: name it so"),
    GZIP: (".gz", "it is compressed by gzip: unpack it first, gunzip"),
}
"""The first bytes of files → how their names end, and what is said of one that has another name."""

_LARGEST = 2**63 - 1

_UNREADABLE = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, SafetensorError)


@attrs.frozen
class Header:
    """What a file says of an array before it is read."""

    shape: tuple[int, ...]
    dtype: str
    """Such as "float32"; "object" for pickled Python objects."""


@attrs.frozen
class ArrayFile:
    """A file of arrays."""

    path: Path

    def headers(self) -> dict[str, Header]:
        """Name → header of each array; of all but tables of text nothing else is read.

        Raises:
            DataError: there is no such file, or it is not one of arrays.
        """
        require_there(self.path, "file")
        if self.path.is_dir():
            raise DataError(f"{self.path} is a folder. {_TAKES} {_FOLDER}")
        if is_text_table(self.path):
            table = read_text_table(self.path)
            return {name: Header(array.shape, array.dtype.name) for name, array in table.arrays.items()}
        if self._suffix not in SUFFIXES:
            ending = f"ends in {self.path.suffix!r}" if self.path.suffix else "has no ending"
            raise DataError(f"{self.path}: {_TAKES} This one {ending}. {self._remedy()}")
        try:
            return self._headers()
        except _UNREADABLE as error:
            raise DataError(
                f"{self.path}: this is no {self._suffix} file{self._what_it_is()}, or it is damaged "
                f"({_first_line(error)}). Save it anew."
            ) from error

    def renaming(self, name: str) -> str:
        """Python that saves a file in which an array has the name of the observations."""
        if self._suffix == ".safetensors":
            read = f"safetensors.numpy.load_file({str(self.path)!r})"
        else:
            read = f"numpy.load({str(self.path)!r})"
        return f'numpy.savez("FILE.npz", {OBSERVATIONS}={read}[{name!r}])'

    def _remedy(self) -> str:
        """What makes an array of a file of another kind."""
        remedy = _REMEDIES.get(self._suffix, "")
        if not remedy and looks_like_numbers(self.path):
            remedy = "A table of text is read under such a name: cp {quoted} {copy}."
            table = shlex.quote(f"{self.path.name}.csv")
            return remedy.format(quoted=shlex.quote(str(self.path)), copy=table)
        remedy = remedy or "Save the arrays with numpy.savez(FILE, observations=…)."
        return remedy.format(path=str(self.path))

    @property
    def _suffix(self) -> str:
        return self.path.suffix.lower()

    def _what_it_is(self) -> str:
        """What its first bytes say, where they are those of another kind of file."""
        try:
            with open_plain(self.path, follow_links=True) as file:
                start = file.read(8)
        except OSError:
            return ""
        kinds = (
            kind for mark, (suffix, kind) in _BEGINNINGS.items() if start.startswith(mark) and suffix != self._suffix
        )
        kind = next(kinds, "" if start else "it is empty")
        return f" ({kind})" if kind else ""

    def _headers(self) -> dict[str, Header]:
        open_plain(self.path, follow_links=True).close()  # else a pipe is waited for
        match self._suffix:
            case ".npy":
                with self.path.open("rb") as stream:
                    return {OBSERVATIONS: _numpy_header(stream, os.fstat(stream.fileno()).st_size)}
            case ".npz":
                with zipfile.ZipFile(self.path) as archive:
                    # What begins with a dot is hidden: macOS puts a ._NAME.npy beside each array.
                    arrays = [name for name in archive.namelist() if not name.rpartition("/")[2].startswith(".")]
                    return {name.removesuffix(".npy"): _member_header(archive, name) for name in arrays}
            case _:
                with safe_open(self.path, framework="pt") as tensors:
                    slices = {name: tensors.get_slice(name) for name in tensors.keys()}  # noqa: SIM118  # no mapping
                    return {
                        name: Header(tuple(part.get_shape()), _SAFETENSORS_TYPES.get(part.get_dtype(), "unknown"))
                        for name, part in slices.items()
                    }

    def notes(self) -> tuple[str, ...]:
        """What the user should know of how the file is read.

        Raises:
            DataError: as of `headers`.
        """
        return read_text_table(self.path).notes if is_text_table(self.path) else ()

    def read(self, names: tuple[str, ...]) -> dict[str, Tensor]:
        """Name → tensor of the file's own type, where torch has it, else of float32 or int64.

        `.npy` and `.safetensors` stay on disk until their values are looked at; `.npz` and tables are read whole.

        Raises:
            DataError: the file is damaged, or has whole numbers that int64 does not hold.
        """
        where = f"{self.path}: {OBSERVATIONS}"
        if is_text_table(self.path):
            table = read_text_table(self.path)
            return {name: _tensor(table.arrays[name], where) for name in names}
        try:
            if self._suffix == ".safetensors":
                with safe_open(self.path, framework="pt") as tensors:
                    return {name: tensors.get_tensor(name) for name in names}
            if self._suffix == ".npy":
                return {OBSERVATIONS: _tensor(np.load(self.path, mmap_mode="r", allow_pickle=False), where)}
            with np.load(self.path, allow_pickle=False) as archive:
                return {name: _tensor(archive[name], f"{self.path}: {name}") for name in names}
        except _UNREADABLE as error:
            raise DataError(f"{self.path}: it cannot be read ({_first_line(error)}). Save it anew.") from error


def _numpy_header(stream: IO[bytes], size: int) -> Header:
    """`size`: bytes of the whole file.

    Raises:
        ValueError: it is no `.npy` file, or its values are not those that its header promises.
    """
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    if any(length < 0 for length in shape):
        raise ValueError(f"its header says shape {tuple(shape)}, and no length is negative")
    num_bytes = math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and num_bytes > size - stream.tell():
        raise ValueError(
            f"its header says shape {tuple(shape)} of {dtype}, {num_bytes} bytes, and {size - stream.tell()} follow"
        )
    return Header(tuple(shape), "object" if dtype.hasobject else dtype.name)


def _member_header(archive: zipfile.ZipFile, name: str) -> Header:
    with archive.open(name) as stream:
        return _numpy_header(stream, archive.getinfo(name).file_size)


def _tensor(array: Any, where: str) -> Tensor:
    """Without a copy, where torch has the type and byte order.

    Raises:
        DataError: there is a whole number that int64 does not hold.
    """
    if array.dtype.kind == "u" and array.dtype.itemsize == 8 and array.size and array.max() > _LARGEST:
        place = int(np.flatnonzero(array > _LARGEST)[0])
        raise DataError(
            f"{where} hold {int(array.flat[place])}, at {place}, and the largest whole number that is read is "
            f"{_LARGEST}. Save numbers as float32, or count classes from 0: "
            "numpy.unique(labels, return_inverse=True)[1]."
        )
    if array.dtype.kind in "ui" and array.dtype not in (np.uint8, np.int8, np.int16, np.int32, np.int64):
        array = array.astype(np.int64)
    elif not array.dtype.isnative or array.dtype == np.longdouble:
        array = array.astype(np.float32 if array.dtype.kind == "f" else array.dtype.newbyteorder("="))
    if any(stride < 0 for stride in array.strides):
        array = array.copy()
    with warnings.catch_warnings():
        # What is mapped from disk cannot be written to, and nobody writes to a dataset.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.from_numpy(array)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {reason(error)}"
