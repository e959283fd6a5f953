"""Settings of the user's arrays that decide what a shape is taken for, and those that nothing is done with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jepa_core.contracts import SequenceDataset
from jepa_core.dataset_checks import check_dataset
from jepa_core.facts import DatasetFacts
from jepa_plugins.arrays.dataset import ArraysConfig
from jepa_plugins.arrays.files import Header
from jepa_plugins.arrays.understood import understand

RANDOM = np.random.default_rng(0)


def built(folder: Path, observations: np.ndarray, *, split: bool = False, **settings: Any) -> SequenceDataset:
    path = folder / "own.npz"
    beside = {"split": np.arange(len(observations)) % 2} if split else {}
    np.savez(path, observations=observations, **beside)  # type: ignore[arg-type]  # no key is allow_pickle
    config = ArraysConfig(path=str(path), **settings)
    dataset = config.build(DatasetFacts(seed=0))
    check_dataset(dataset, config.space)
    return dataset


FILMS = RANDOM.random((30, 12, 16, 16, 3)).astype(np.float32)
SERIES = RANDOM.normal(size=(30, 12, 20, 2)).astype(np.float32)


def test_who_says_how_recordings_are_cut_has_recordings(tmp_path: Path) -> None:
    unsaid = built(tmp_path, FILMS)
    assert len(unsaid.train) + len(unsaid.validation) == 30
    cut = built(tmp_path, FILMS, stride=4)
    assert len(cut.train) + len(cut.validation) == 30 * 3
    assert cut.notes == (
        "observations (30, 12, 16, 16, 3) float32 are read as images, several recordings (R, time, H, W, C)",
        "that is 30 recordings of 12 frames of 16 × 16 pixels with 3 channels",
        'for images, ready sequences (S, T+1, H, W, C), say data.holds = "sequences"',
    )


@pytest.mark.parametrize("observations", [FILMS[:, :4], SERIES[:, :4], RANDOM.normal(size=(90, 4, 6))])
def test_where_there_is_nothing_to_cut_a_stride_has_no_effect_and_that_is_said(
    tmp_path: Path, observations: np.ndarray
) -> None:
    dataset = built(tmp_path, observations, stride=2)
    assert len(dataset.train) + len(dataset.validation) == len(observations)
    assert "data.stride = 2 has no effect: it is for recordings, and these are ready sequences" in dataset.notes


@pytest.mark.parametrize(
    ("observations", "settings", "note"),
    [
        (FILMS, {"length": 8}, "data.length = 8 has no effect: it is for recordings as series"),
        (SERIES, {"length": 8}, "data.length = 8 has no effect: it is for recordings as series"),
        (FILMS, {"holds": "sequences", "stride": 3}, "data.stride = 3 has no effect: it is for recordings, and these"),
        (
            FILMS,
            {"split": True, "validation_share": 0.3},
            "data.validation_share = 0.3 has no effect: the file has its own split",
        ),
        (FILMS, {"split": True, "split_seed": 5}, "data.split_seed = 5 has no effect: the file has its own split"),
        (
            RANDOM.normal(size=(600, 3)),
            {"split_seed": 5},
            "data.split_seed = 5 has no effect: a single recording without tasks is split in time",
        ),
    ],
)
def test_a_setting_without_effect_is_said(
    tmp_path: Path, observations: np.ndarray, settings: dict[str, Any], note: str
) -> None:
    found = [said for said in built(tmp_path, observations, **settings).notes if "has no effect" in said]
    assert len(found) == 1
    assert found[0].startswith(note)


def test_of_settings_that_count_nothing_is_said(tmp_path: Path) -> None:
    recordings = RANDOM.normal(size=(30, 100, 2))
    dataset = built(tmp_path, recordings, length=8, stride=4, validation_share=0.2, split_seed=5)
    assert not [said for said in dataset.notes if "has no effect" in said]


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((1000, 3), "float32", "1,000 steps of 3 channels"),
        ((1000, 384), "float32", "1,000 vectors of 384 numbers"),
        ((500, 64, 48), "uint8", "500 frames of 64 × 48 pixels"),
        ((900, 4, 6), "float32", "900 sequences of 4 observations: 6 numbers each"),
        ((20, 1000, 1), "float64", "20 recordings of 1,000 steps of 1 channel"),
        ((900, 4, 32, 2), "float32", "900 sequences of 4 observations: each 32 steps of 2 channels"),
        ((500, 3, 64, 48), "uint8", "500 frames of 64 × 48 pixels with 3 channels"),
        ((20, 100, 28, 24), "uint8", "20 recordings of 100 frames of 28 × 24 pixels"),
        ((900, 4, 3, 64, 48), "float32", "900 sequences of 4 observations: 64 × 48 pixels with 3 channels each"),
    ],
)
def test_what_the_numbers_of_a_shape_count_is_said(shape: tuple[int, ...], dtype: str, expected: str) -> None:
    assert understand("x", Header(shape, dtype), None, None).notes()[1] == f"that is {expected}"


def test_a_recording_of_several_tasks_is_said_to_be_parted(tmp_path: Path) -> None:
    told, series = "of 3 tasks, by tasks: no sequence goes from one into the next", RANDOM.normal(size=(600, 2))
    np.savez(tmp_path / "parted.npz", observations=series, tasks=np.arange(600) // 200)
    assert told in ArraysConfig(path=str(tmp_path / "parted.npz")).build(DatasetFacts(seed=0)).notes
    assert told not in built(tmp_path, series).notes
