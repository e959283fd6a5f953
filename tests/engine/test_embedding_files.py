"""Files of embeddings: read back by the libraries that people read them with, and whole or not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from safetensors import safe_open

from jepa_core.engine import embedding_files
from jepa_core.engine.embedding_files import Array, EmbeddingFile
from jepa_core.errors import DataError

TEXTS = {"task": ("a", "ünïcode ☃", "")}
ABOUT = {"run": "mine", "step": 3}


def read_npz(path: Path) -> tuple[dict[str, Any], Any]:
    with np.load(path, allow_pickle=False) as file:
        columns = {name: file[name] for name in file}
    return columns, json.loads(str(columns.pop("about")))


def read_safetensors(path: Path) -> tuple[dict[str, Any], Any]:
    with safe_open(path, "numpy") as file:
        columns = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
        metadata = file.metadata()
    columns["task"] = np.array(json.loads(metadata["task"]))[columns["task"]]
    return columns, json.loads(metadata["about"])


def read_parquet(path: Path) -> tuple[dict[str, Any], Any]:
    table = pq.read_table(path)
    columns = {name: np.array(table[name].to_pylist()) for name in table.column_names}
    return columns, json.loads(table.schema.metadata[b"jepa"])


READERS = {".npz": read_npz, ".safetensors": read_safetensors, ".parquet": read_parquet}


@st.composite
def batches(draw: st.DrawFn) -> list[Array]:
    """Of rows of one shape and dtype."""
    tail = draw(st.lists(st.integers(1, 3), max_size=3))
    dtype = draw(st.sampled_from([np.float32, np.int64, np.bool_, np.float64]))
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    return [draw(arrays_of.arrays(dtype, (size, *tail))) for size in sizes]


@pytest.mark.parametrize("ending", READERS)
@settings(max_examples=15, deadline=None)
@given(parts=batches())
def test_what_is_appended_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, ending: str, parts: list[Array]
) -> None:
    path = tmp_path_factory.mktemp("out") / f"mine{ending}"
    tasks = [np.arange(len(part)) % 3 for part in parts]
    with EmbeddingFile(path, texts=TEXTS, about=ABOUT) as file:
        for values, task in zip(parts, tasks, strict=True):
            file.append({"state": values, "task": task})
    columns, about = READERS[ending](path)
    assert about == ABOUT
    np.testing.assert_array_equal(columns["state"], np.concatenate(parts))
    assert columns["task"].tolist() == [TEXTS["task"][index] for index in np.concatenate(tasks)]
    assert [found.name for found in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", READERS)
def test_more_rows_than_are_read_at_once(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_files, "_ROWS_AT_A_TIME", 4)
    state: Array = np.random.default_rng(0).random((11, 2, 3))
    with EmbeddingFile(tmp_path / f"mine{ending}", texts=TEXTS, about={}) as file:
        file.append({"state": state, "task": np.zeros(11, np.int64)})
    np.testing.assert_array_equal(READERS[ending](tmp_path / f"mine{ending}")[0]["state"], state)


@pytest.mark.parametrize("ending", READERS)
def test_after_a_failure_nothing_is_there_and_what_was_there_stays(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"mine{ending}"
    path.write_text("before")
    with (
        pytest.raises(ValueError, match="of one length"),
        EmbeddingFile(path, texts={}, about={}, replace=True) as file,
    ):
        file.append({"state": np.zeros((2, 2), np.float32), "task": np.zeros(3)})
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", READERS)
def test_a_disk_that_is_full_leaves_nothing(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: Path, _target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    output = EmbeddingFile(tmp_path / f"mine{ending}", texts={}, about={})
    with pytest.raises(DataError, match="cannot be written: No space left on device"), output as file:
        file.append({"state": np.zeros((2, 2), np.float32)})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("mine.csv", r"has the ending '\.csv': embeddings are written to \.npz, \.safetensors, \.parquet"),
        ("mine", "has no ending: embeddings are written to"),
        ("none/mine.npz", "There is no folder"),
        (".", "has no ending"),
    ],
)
def test_where_nothing_can_be_written_is_told_at_once(tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        EmbeddingFile(tmp_path / name, texts={}, about={})
