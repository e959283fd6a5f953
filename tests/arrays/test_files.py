"""Headers and arrays of the three kinds of file, and what is wrong with a file."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from jepa_core.errors import DataError
from jepa_plugins.arrays.files import ArrayFile, Header


def saved(folder: Path, suffix: str, array: np.ndarray) -> ArrayFile:
    path = folder / f"file{suffix}"
    match suffix:
        case ".npy":
            np.save(path, array)
        case ".npz":
            np.savez(path, observations=array)
        case _:
            save_file({"observations": torch.from_numpy(array)}, path)
    return ArrayFile(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int64", "bool"])
def test_headers_and_values_are_what_was_saved(tmp_path: Path, suffix: str, dtype: str) -> None:
    array = np.arange(12).reshape(3, 4).astype(dtype)
    file = saved(tmp_path, suffix, array)
    assert file.headers() == {"observations": Header((3, 4), dtype)}
    read = file.read(("observations",))["observations"]
    assert str(read.dtype) == f"torch.{dtype}"
    np.testing.assert_array_equal(read.numpy(), array)


@pytest.mark.parametrize("dtype", [">f4", ">i4", "uint16", "uint32", np.longdouble])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_types_that_torch_lacks_are_converted(tmp_path: Path, suffix: str, dtype: str) -> None:
    array = np.array([[1, 2], [3, 40_000]]).astype(dtype)
    read = saved(tmp_path, suffix, array).read(("observations",))["observations"]
    assert read.tolist() == [[1, 2], [3, 40_000]]


def test_an_array_in_columns_is_read_as_it_was(tmp_path: Path) -> None:
    array = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    np.testing.assert_array_equal(saved(tmp_path, ".npy", array).read(("observations",))["observations"], array)


def test_an_npy_file_stays_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "file.npy"
    np.save(path, np.zeros((4, 3), np.float32))
    read = ArrayFile(path).read(("observations",))["observations"]
    with path.open("r+b") as stream:
        stream.seek(-4, 2)
        stream.write(np.float32(7).tobytes())
    assert read[3, 2] == 7


def test_pickled_arrays_are_seen_by_their_header(tmp_path: Path) -> None:
    ragged = np.empty(2, dtype=object)
    ragged[:] = [np.zeros(3), np.zeros(4)]
    for suffix in (".npy", ".npz"):
        assert saved(tmp_path, suffix, ragged).headers()["observations"].dtype == "object"


def test_what_is_no_file_of_arrays_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.npy: there is no such file"):
        ArrayFile(tmp_path / "gone.npy").headers()
    (tmp_path / "file.xyz").write_text("1,2")
    with pytest.raises(
        DataError,
        match=r"takes one file of arrays: \.npz, .*, \.txt\. This one ends in '\.xyz'\. A table of text is read",
    ):
        ArrayFile(tmp_path / "file.xyz").headers()
    for suffix in (".npy", ".npz", ".safetensors"):
        (tmp_path / f"broken{suffix}").write_bytes(b"no arrays here")
        with pytest.raises(DataError, match=rf"broken{suffix}: this is no {suffix} file, or it is damaged"):
            ArrayFile(tmp_path / f"broken{suffix}").headers()
    for suffix in (".npy", ".npz"):
        path = saved(tmp_path, suffix, np.zeros(500)).path
        path.write_bytes(path.read_bytes()[:300])
        with pytest.raises(DataError, match=rf"this is no {suffix} file, or it is damaged \(\w+: .*Save it anew"):
            ArrayFile(path).headers()
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(DataError, match=r'folder\.npy is a folder\. .* of images there is data\.kind = "images"'):
        ArrayFile(tmp_path / "folder.npy").headers()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("film.MP4", "ffmpeg -i"),
        ("a.png", 'data.kind = "images"'),
        ("t.pt", "save_file"),
        ("a.jsonl", "manifest"),
        ("it's.xlsx", r"pandas\.read_excel\(\".*it's\.xlsx\"\)\.to_csv\('FILE\.csv', index=False\)\."),
        ("a.parquet", r"observations=pandas\.read_parquet\('.*a\.parquet'\)\.to_numpy\(\)\)\."),
        ("a.h5", r"observations=h5py\.File\('.*a\.h5'\)\['NAME'\]\[:\]\)\."),
        ("a.mat", r"observations=scipy\.io\.loadmat\('.*a\.mat'\)\['NAME'\]\)\."),
        ("a.WAV", r"observations=scipy\.io\.wavfile\.read\('.*a\.WAV'\)\[1\]\)\."),
        ("a.csv.zip", r"This one ends in '\.zip'\. Unpack it first\."),
        ("a.xyz", r"Save the arrays with numpy\.savez"),
    ],
)
def test_files_of_other_kinds_are_refused_with_what_reads_or_converts_them(
    tmp_path: Path, name: str, told: str
) -> None:
    (tmp_path / name).write_bytes(b"some")
    with pytest.raises(DataError, match=told):
        ArrayFile(tmp_path / name).headers()


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    file = saved(tmp_path, ".npy", np.zeros((100, 3), np.float32))
    file.path.write_bytes(file.path.read_bytes()[:-40])
    with pytest.raises(DataError, match="it cannot be read"):
        file.read(("observations",))
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(DataError, match=r"this is no \.npz file"):
        ArrayFile(tmp_path / "other.npz").headers()


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((-1, 12, 8), "shape (-1, 12, 8), and no length is negative"),
        ((4, -3), "shape (4, -3), and no length is negative"),
        ((2**62, 12), f"shape ({2**62}, 12) of float32, {2**64 * 12} bytes, and 48 follow"),
        ((5, 3), "shape (5, 3) of float32, 60 bytes, and 48 follow"),
    ],
)
def test_a_header_that_promises_what_is_not_there_is_refused(
    tmp_path: Path, suffix: str, shape: tuple[int, ...], said: str
) -> None:
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "<f4", "fortran_order": False, "shape": shape})
    content.write(np.zeros(12, np.float32).tobytes())
    path = tmp_path / f"file{suffix}"
    if suffix == ".npy":
        path.write_bytes(content.getvalue())
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("observations.npy", content.getvalue())
    with pytest.raises(DataError, match=rf"{path}: .*{re.escape(said)}"):
        ArrayFile(path).headers()
