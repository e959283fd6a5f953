"""Arrays under other names, of other dimensions and with numbers that lose something: read, and said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jepa_plugins.series.space import SeriesSpace
from tests.arrays.test_dataset import both, built, noise, saved


def test_the_only_array_of_a_file_is_observed_and_that_is_said(tmp_path: Path) -> None:
    path, values = tmp_path / "own.npz", noise(300, 2)
    labels = {"labels.kind": np.arange(300) % 2}
    np.savez(path, values, **labels)  # type: ignore[arg-type]  # no key is allow_pickle
    dataset = built(str(path), length=8)
    assert "the array 'arr_0' is taken for the observations, since there is no other" in dataset.notes
    assert dataset.train.labels.keys() == {"kind"}
    assert dataset.fingerprint == built(saved(tmp_path, values, **labels), length=8).fingerprint


def test_a_row_of_numbers_is_a_series_of_one_channel(tmp_path: Path) -> None:
    values = noise(300)
    row, column = (built(saved(tmp_path, array), length=8) for array in (values, values[:, None]))
    assert row.space == column.space == SeriesSpace(length=8, channels=1)
    assert both(row).equal(both(column))


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_values_that_float32_does_not_tell_apart_are_said(tmp_path: Path, dtype: type) -> None:
    times = 1_700_000_000_000 + 60 * np.arange(400)
    values: np.ndarray = np.stack([np.arange(400) % 7, times], axis=1).astype(dtype)
    told = [note for note in built(saved(tmp_path, values), length=8).notes if "as float32" in note]
    assert told == [
        "channel 1: as float32 its values are rounded by up to 1.01e+05, and they range over 2.39e+04 in all; subtract "
        "what they have in common"
    ]
    fewer = values - [0, 1_700_000_000_000]
    assert not [note for note in built(saved(tmp_path, fewer.astype(dtype)), length=8).notes if "as float32" in note]
