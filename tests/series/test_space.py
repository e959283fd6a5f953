"""The space of series: what it takes, what it says of itself, and other data in it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_core.errors import DataError
from jepa_core.observations import Observations
from jepa_core.spaces import Fill, Space, space_of, space_state
from jepa_plugins.series.space import SeriesSpace

SPACE = SeriesSpace(length=8, channels=3)


def sequences(num: int = 6, places: int = 4, *, length: int = 8, channels: int = 3, seed: int = 0) -> Observations:
    generator = torch.Generator().manual_seed(seed)
    return Observations({"values": torch.randn(num, places, length, channels, generator=generator)})


def test_it_is_a_space_and_its_examples_end_with_the_smallest() -> None:
    assert isinstance(SPACE, Space)
    assert [(example.length, example.channels) for example in SeriesSpace.examples()] == [(12, 2), (1, 1)]


@pytest.mark.parametrize("fill", ["some", "none", "all"])
@pytest.mark.parametrize("space", SeriesSpace.examples())
def test_a_sample_is_of_the_space(space: SeriesSpace, fill: Fill) -> None:
    drawn = space.sample(40, fill)
    space.check(drawn.map(lambda tensor: tensor.unflatten(0, (10, 4))))
    held = float((drawn["values"] != 0).float().mean())
    assert {"some": 0.3 < held < 0.95, "none": held == 0, "all": held == 1}[fill]


def test_series_of_another_form_are_refused() -> None:
    with pytest.raises(ValueError, match=r"series are 3 × 8, not 8 × 3 \(steps × channels\)"):
        SPACE.check(sequences().map(lambda tensor: tensor.transpose(2, 3)))
    with pytest.raises(ValueError, match=r"torch.float64, not torch.float32: convert them with .float\(\)"):
        SPACE.check(sequences().map(torch.Tensor.double))


@pytest.mark.parametrize(("length", "channels"), [(7, 3), (8, 2)])
def test_other_lengths_and_channels_do_not_fit(length: int, channels: int) -> None:
    assert SPACE.fitted(sequences())["values"].equal(sequences()["values"])
    with pytest.raises(DataError, match=f"series of 8 steps with 3 channels, and this data has series of {length} st"):
        SPACE.fitted(sequences(length=length, channels=channels))


def test_it_describes_itself_and_survives_a_checkpoint() -> None:
    assert SPACE.describe() == "series of 8 steps with 3 channels"
    assert SeriesSpace(length=1, channels=1).describe() == "series of 1 step with 1 channel"
    assert space_of(space_state(SPACE), SeriesSpace) == SPACE


def test_keys_and_likeness_are_of_whole_series() -> None:
    lists = sequences(3, 5)
    values = lists["values"]
    values[0, 1] = values[0, 0]
    values[1, 1] = values[1, 0].flip(0)
    keys = SPACE.keys(lists)
    assert keys.shape == (3, 5)
    assert keys[0, 0] == keys[0, 1]
    assert len(keys.unique()) == 14
    alike = SPACE.alike(lists)
    assert alike.shape == (3, 5, 5)
    assert alike[0, 0, 1] == 1 > alike[1, 0, 1]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.integers(1, 3), st.integers(0, 9999))
def test_an_edit_is_another_series_and_its_sequences_stay(length: int, channels: int, seed: int) -> None:
    space = SeriesSpace(length=length, channels=channels)
    given_sequences = sequences(length=length, channels=channels, seed=seed)
    before = given_sequences["values"].clone()
    torch.manual_seed(seed)
    edit = space.editor(given_sequences)
    once = edit(given_sequences[:, -1])
    twice = edit(once)
    assert (space.keys(once) != space.keys(given_sequences[:, -1])).all()
    assert (space.keys(twice) != space.keys(once)).all()
    assert given_sequences["values"].equal(before)


def test_the_audit_names_length_and_channels() -> None:
    audit = SPACE.audit(sequences(), None)
    assert audit.lines[0] == ("series", "8 steps · 3 channels")
    assert audit.lines[3][0] == "std per channel"
