"""What weights are built for, and other data made to fit it."""

from __future__ import annotations

import pytest
import torch

from jepa_core.contracts import Observations, SequenceDataset, Sequences
from jepa_core.engine.data_shape import DataShape
from jepa_core.errors import CheckpointError, DataError
from jepa_plugins.grids.colours import OUTSIDE
from jepa_plugins.grids.space import GridSpace

SHAPE = DataShape(context_length=2, space=GridSpace(side=5))


def sequences(*, context_length: int = 2, side: int, content: int) -> Sequences:
    """Four sequences of grids of `content` × `content` cells of colour 3, in arrays of side `side`."""
    grids = torch.full((4, context_length + 1, side, side), OUTSIDE, dtype=torch.uint8)
    grids[..., :content, :content] = 3
    sizes = torch.full((4, context_length + 1, 2), content)
    return Sequences(observations=Observations({"grid": grids, "size": sizes}), tasks=torch.arange(4))


@pytest.mark.parametrize("side", [3, 5, 8])
def test_smaller_grids_are_padded_and_empty_margins_cut(side: int) -> None:
    fitted = SHAPE.fitted(sequences(side=side, content=3))
    expected = sequences(side=5, content=3).observations
    assert fitted.observations["grid"].equal(expected["grid"])
    assert fitted.observations["grid"].dtype == torch.uint8
    assert (fitted.observations["size"] == 3).all()


def test_larger_grids_are_refused_with_both_numbers() -> None:
    with pytest.raises(DataError, match="up to 5 × 5 cells, and this data has one of 6"):
        SHAPE.fitted(sequences(side=8, content=6))


def test_another_context_length_is_refused_with_both_numbers() -> None:
    with pytest.raises(
        DataError, match=r"take 2 observations of context, and this data gives 3.*data\.context_length=2"
    ):
        SHAPE.fitted(sequences(context_length=3, side=5, content=3))


def test_a_checkpoint_of_another_shape_is_not_resumed() -> None:
    split = sequences(side=5, content=1)
    dataset = SequenceDataset(
        space=GridSpace(side=5), train=split, validation=split, task_names=(), description="", fingerprint=""
    )
    assert DataShape.from_state(SHAPE.state(), GridSpace) == SHAPE == DataShape.of(dataset)
    SHAPE.restore(SHAPE.state())
    with pytest.raises(CheckpointError, match=r"2 observations of context, .* and the data has 3 observations"):
        DataShape(context_length=3, space=GridSpace(side=5)).restore(SHAPE.state())


def test_roles_are_kept_and_a_checkpoint_without_them_is_of_frames() -> None:
    pairs = DataShape(context_length=1, space=GridSpace(side=5), roles=("input", "output"))
    assert DataShape.from_state(pairs.state(), GridSpace) == pairs
    of_frames = DataShape(context_length=1, space=GridSpace(side=5))
    assert DataShape.from_state({"context_length": 1, "side": 5}, GridSpace) == of_frames
    assert of_frames.roles == ("frame", "frame")
