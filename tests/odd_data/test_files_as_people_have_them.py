"""Files as people have them: each is read rightly, or refused in a line that names the file and its fault."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jepa_core.errors import DataError
from jepa_core.facts import DatasetFacts
from jepa_plugins.arrays.dataset import ArraysConfig
from jepa_plugins.grids.datasets.arc import ArcConfig
from jepa_plugins.grids.datasets.manifest import ManifestConfig
from jepa_plugins.images.datasets.images import ImageFolderConfig

FACTS = DatasetFacts(seed=0)
RECORDING = np.random.default_rng(0).normal(size=(60, 2)).cumsum(0).astype(np.float32)
NOT_UTF8 = os.fsdecode(b"a b\n\xff")

Written = Callable[[Path], Any]
"""Writes the data at a path that it is given."""


def saved(array: Any, name: str = "x.npy", **options: Any) -> Written:
    def write(folder: Path) -> Path:
        with (folder / name).open("wb") as file:
            np.save(file, array, **options)
        return folder / name

    return write


def holding(content: bytes, name: str) -> Written:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def linked(to: str, name: str) -> Written:
    def write(folder: Path) -> Path:
        (folder / name).symlink_to(to)
        return folder / name

    return write


def made(make: Callable[[Path], Any], name: str) -> Written:
    def write(folder: Path) -> Path:
        make(folder / name)
        return folder / name

    return write


def bytes_of(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def zipped(**members: bytes) -> Written:
    def write(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "x.npz", "w") as archive:
            for name, content in members.items():
                archive.writestr(name.replace("__", "/"), content)
        return folder / "x.npz"

    return write


def spoilt(value: float) -> Any:
    array = RECORDING.copy()
    array[5, 1] = value
    return array


def table(separator: str) -> bytes:
    """The recording with names in its first line, and lines that end as on Windows."""
    lines = [separator.join(map(repr, row)) for row in RECORDING.tolist()]
    return "\r\n".join([separator.join(f"x{i}" for i in range(RECORDING.shape[1])), *lines, ""]).encode()


ARRAYS_READ: dict[str, Written] = {
    "columns first": saved(np.asfortranarray(RECORDING)),
    "big-endian": saved(RECORDING.astype(">f4")),
    "big-endian doubles": saved(RECORDING.astype(">f8")),
    "longdouble": saved(RECORDING.astype(np.longdouble)),
    "spaces and a line end": saved(RECORDING, "a b\nc.npy"),
    "a name that is not UTF-8": saved(RECORDING, f"{NOT_UTF8}.npy"),
    "capitals": saved(RECORDING, "X.NPY"),
    "a link": lambda folder: linked(saved(RECORDING, "there.npy")(folder).name, "x.npy")(folder),
    **{
        f"a table, {name}": holding(pack(table(separator)), name)
        for name, separator, pack in (
            ("a.csv", ",", bytes),
            ("b.tsv", "\t", bytes),
            ("c.TXT", " ", bytes),
            ("d.csv.gz", ";", gzip.compress),
            ("e.csv", ",", b"\xef\xbb\xbf".__add__),
        )
    },
    "zipped on a Mac": zipped(
        **{"observations.npy": bytes_of(RECORDING), "__MACOSX__._observations.npy": b"\0\5\x16\7"}
    ),
}
ARRAYS_REFUSED: dict[str, tuple[Written, str]] = {
    "objects": (saved(RECORDING.astype(object), allow_pickle=True), "are Python objects (dtype object): reading them"),
    "complex": (saved(RECORDING.astype(np.complex64)), "observations are of type complex64. Save real and imaginary"),
    "times": (saved(np.arange(120).astype("M8[s]").reshape(60, 2)), "are of type datetime64[s]. Save what was"),
    "texts": (saved(RECORDING.astype("U8")), "are of type str256. Save numbers"),
    "fields": (saved(np.zeros(60, [("a", "f4"), ("b", "f4")])), "are of type void64. Save its fields as channels"),
    "not a number": (saved(spoilt(np.nan)), "1 of 120 values is not finite, the first, nan at [5, 1]"),
    "infinite": (saved(spoilt(-np.inf)), "the first, -inf at [5, 1] of (time, C)"),
    "empty": (holding(b"", "x.npy"), "this is no .npy file (it is empty), or it is damaged"),
    "an empty archive": (holding(b"", "x.npz"), "this is no .npz file (it is empty), or it is damaged"),
    "empty tensors": (holding(b"", "x.safetensors"), "this is no .safetensors file (it is empty), or it is damaged"),
    "gzip": (holding(gzip.compress(bytes_of(RECORDING)), "x.npy"), "(it is compressed by gzip: unpack it first"),
    "an array as archive": (holding(bytes_of(RECORDING), "x.npz"), "(it begins as a .npy file does: name it so)"),
    "an archive as array": (holding(b"PK\3\4 and more", "x.npy"), "(it begins as a .npz file does: name it so)"),
    "a byte-order mark": (holding(b"\xef\xbb\xbf" + bytes_of(RECORDING), "x.npy"), "this is no .npy file, or it is"),
    "a dangling link": (linked("gone.npy", "x.npy"), "this is a link to gone.npy, which leads nowhere"),
    "a link to itself": (linked("x.npy", "x.npy"), "this is a link to x.npy, which leads nowhere"),
    "a folder": (made(Path.mkdir, "x.npy"), "is a folder"),
    "a pipe": (made(os.mkfifo, "x.npy"), "it is no plain file)"),
    "an empty member": (zipped(**{"observations.npy": b""}), "this is no .npz file"),
    "another name": (zipped(a=bytes_of(RECORDING), b=bytes_of(RECORDING)), "the file has a (60, 2), b (60, 2)"),
    "a table with decimal commas": (holding(b"x;y\n1,5;2\n\n", "b.csv"), "b.csv, line 2: column 'x' holds '1,5', with"),
    "a ragged table": (holding(b"1\t2\n1\n", "c.tsv"), "c.tsv, line 2: it has 1 value ('1'), and the lines before"),
    "a table of text": (holding(b"\xff 2\n", "d.txt"), "d.txt, line 1: column 1 holds text"),
    "a table of one line": (holding(b"x,y\r\n1,2\r\n", "a.csv"), "a.csv: observations (1, 2) float32 are read"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Stored array in format 3.0:UserWarning")
@pytest.mark.parametrize("write", ARRAYS_READ.values(), ids=ARRAYS_READ)
def test_arrays_that_are_read(tmp_path: Path, write: Written) -> None:
    plain = arrays(saved(RECORDING, "plain.npy")(tmp_path)).build(FACTS)
    read = arrays(write(tmp_path)).build(FACTS)
    assert read.train.observations["values"].equal(plain.train.observations["values"])


def arrays(path: Path) -> ArraysConfig:
    return ArraysConfig(path=str(path), observed_as="series", holds="recording", length=4, stride=2, context_length=2)


@pytest.mark.parametrize(("write", "told"), ARRAYS_REFUSED.values(), ids=ARRAYS_REFUSED)
def test_arrays_that_are_refused(tmp_path: Path, write: Written, told: str) -> None:
    refused(arrays(write(tmp_path)).build, tmp_path, told)


def refused(build: Callable[[Any], Any], folder: Path, told: str) -> None:
    """That it is refused, in a first line that names a file of the folder and says what is told."""
    with pytest.raises(DataError) as error:
        build(FACTS)
    first = str(error.value).split("\n")[0]
    assert told in first
    assert first.startswith(str(folder))
    assert len(re.findall(re.escape(str(folder)), first)) <= 2, "named once, and once in what to type"


BODY = "".join(json.dumps({"input": [[i % 10]], "output": [[1]]}) + "\n" for i in range(20)).encode()
MANIFESTS_READ: dict[str, Written] = {
    "a byte-order mark": holding(b"\xef\xbb\xbf" + BODY, "g.jsonl"),
    "gzip under another name": holding(gzip.compress(BODY), "g.jsonl"),
    "no gzip": holding(BODY, "g.jsonl.gz"),
    "carriage returns": holding(BODY.replace(b"\n", b"\r\n"), "g.jsonl"),
    "blank lines": holding(BODY + b"\n\n  \n", "g.jsonl"),
    "no last line end": holding(BODY.rstrip(), "g.jsonl"),
    "a name that is not UTF-8": holding(BODY, NOT_UTF8),
}
MANIFESTS_REFUSED: dict[str, tuple[Written, str]] = {
    "empty": (holding(b"", "g.jsonl"), "g.jsonl holds no records"),
    "cut off": (holding(gzip.compress(BODY)[:-10], "g.jsonl"), "g.jsonl: this file is damaged: it was"),
    "UTF-16": (holding(BODY.decode().encode("utf-16"), "g.jsonl"), "g.jsonl:1: str is not valid UTF-8"),
    "Latin-1": (holding(BODY + b'{"id":"\xe9"}\n', "g.jsonl"), "g.jsonl:21: str is not valid UTF-8"),
    "one list": (holding(b"[" + BODY.strip().replace(b"\n", b",") + b"]", "g.jsonl"), "g.jsonl:1: is not a JSON"),
    "not a number": (holding(BODY + b'{"input":[[NaN]]}\n', "g.jsonl"), "g.jsonl:21: unexpected character"),
    "a decimal": (holding(BODY + b'{"input":[[1.0]],"output":[[1]]}\n', "g.jsonl"), "g.jsonl:21: input has a cell 1.0"),
    "ragged": (holding(BODY + b'{"input":[[1],[1,2]],"output":[[1]]}\n', "g.jsonl"), "g.jsonl:21: input has rows"),
    "a table": (holding(b"a,b\n1,2\n", "g.jsonl"), "g.jsonl:1: unexpected character"),
    "a folder": (made(Path.mkdir, "g.jsonl"), "g.jsonl cannot be read: it is a folder."),
    "a pipe": (made(os.mkfifo, "g.jsonl"), "g.jsonl cannot be read: it is no plain file."),
    "a dangling link": (linked("gone", "g.jsonl"), "g.jsonl: this is a link to gone, which leads nowhere"),
}  # fmt: skip


def manifest(path: Path) -> ManifestConfig:
    return ManifestConfig(path=str(path), context_length=1, validation_share=0.4)


@pytest.mark.parametrize("write", MANIFESTS_READ.values(), ids=MANIFESTS_READ)
def test_manifests_that_are_read(tmp_path: Path, write: Written) -> None:
    plain = manifest(holding(BODY, "plain.jsonl")(tmp_path)).build(FACTS)
    assert manifest(write(tmp_path)).build(FACTS).fingerprint == plain.fingerprint


@pytest.mark.parametrize(("write", "told"), MANIFESTS_REFUSED.values(), ids=MANIFESTS_REFUSED)
def test_manifests_that_are_refused(tmp_path: Path, write: Written, told: str) -> None:
    refused(manifest(write(tmp_path)).build, tmp_path, told)


IMAGES_READ: dict[str, Written] = {
    "hidden files": holding(b"\0\5\x16\7", "r0/._0.png"),
    "other files": holding(b"hello", "r0/readme.txt"),
    "capitals": lambda folder: (folder / "r0/0.png").rename(folder / "r0/0.PNG"),
    "a JPEG as PNG": lambda folder: Image.new("RGB", (6, 5)).save(folder / "r0/0.png", "JPEG"),
    "a name that is not UTF-8": lambda folder: (folder / "r0/0.png").rename(folder / "r0" / f"0{NOT_UTF8}.png"),
}
IMAGES_REFUSED: dict[str, tuple[Written, str]] = {
    "empty": (holding(b"", "r0/0.png"), "r0/0.png cannot be read as an image: it is none that Pillow knows."),
    "gzip": (holding(gzip.compress(b"x"), "r0/0.png"), "r0/0.png cannot be read as an image: it is none that"),
    "a dangling link": (linked("gone", "r0/9.png"), "r0/9.png cannot be read as an image: it is a link to gone, which"),
    "a pipe": (made(os.mkfifo, "r0/9.png"), "r0/9.png cannot be read as an image: it is no plain file."),
}  # fmt: skip


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Three recordings of four frames."""
    for recording in range(3):
        (tmp_path / f"r{recording}").mkdir()
        for time in range(4):
            Image.new("RGB", (6, 5), (20 * time,) * 3).save(tmp_path / f"r{recording}" / f"{time}.png")
    return tmp_path


def images(path: Path) -> ImageFolderConfig:
    return ImageFolderConfig(path=str(path), height=4, width=4, context_length=1, validation_share=0.4)


@pytest.mark.parametrize("spoil", IMAGES_READ.values(), ids=IMAGES_READ)
def test_images_that_are_read(frames: Path, spoil: Written) -> None:
    plain = images(frames).build(FACTS)
    spoil(frames)
    assert images(frames).build(FACTS).fingerprint == plain.fingerprint


@pytest.mark.parametrize(("spoil", "told"), IMAGES_REFUSED.values(), ids=IMAGES_REFUSED)
def test_images_that_are_refused(frames: Path, spoil: Written, told: str) -> None:
    spoil(frames)
    refused(images(frames).build, frames, told)


def in_task(change: Callable[[bytes], bytes]) -> Written:
    def write(folder: Path) -> None:
        file = folder / "training" / "t0.json"
        file.write_bytes(change(file.read_bytes()))

    return write


TASKS_READ: dict[str, Written] = {
    "a byte-order mark": in_task(partial(bytes.__add__, b"\xef\xbb\xbf")),
    "gzip": in_task(gzip.compress),
    "hidden files": holding(b"\0\5\x16\7", "training/._t0.json"),
}
TASKS_REFUSED: dict[str, tuple[Written, str]] = {
    "empty": (in_task(lambda _: b""), "t0.json is not an ARC task: Input is a zero-length, empty document"),
    "UTF-16": (in_task(lambda text: text.decode().encode("utf-16")), "t0.json is not an ARC task: str is not valid"),
    "cut off": (in_task(lambda text: gzip.compress(text)[:-9]), "t0.json: this file is damaged: it was packed by gzip"),
    "a dangling link": (linked("gone", "training/x.json"), "x.json is not an ARC task: No such file or directory."),
    "a folder": (made(Path.mkdir, "training/x.json"), "x.json is not an ARC task: it is a folder."),
    "a pipe": (made(os.mkfifo, "training/x.json"), "x.json is not an ARC task: it is no plain file."),
}  # fmt: skip


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    for side in ("training", "evaluation"):
        (tmp_path / side).mkdir()
        for number in range(3):
            pairs = [{"input": [[number]], "output": [[1]]}] * 3
            task = {"train": pairs, "test": [{"input": [[1]], "output": [[2]]}]}
            (tmp_path / side / f"{side[0]}{number}.json").write_text(json.dumps(task))
    return tmp_path


@pytest.mark.parametrize("spoil", TASKS_READ.values(), ids=TASKS_READ)
def test_tasks_that_are_read(tasks: Path, spoil: Written) -> None:
    plain = ArcConfig(path=str(tasks)).build(FACTS)
    spoil(tasks)
    assert ArcConfig(path=str(tasks)).build(FACTS).fingerprint == plain.fingerprint


@pytest.mark.parametrize(("spoil", "told"), TASKS_REFUSED.values(), ids=TASKS_REFUSED)
def test_tasks_that_are_refused(tasks: Path, spoil: Written, told: str) -> None:
    spoil(tasks)
    refused(ArcConfig(path=str(tasks)).build, tasks, told)
