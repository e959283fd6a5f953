"""Edits of images: pixels are moved, every edit can be undone, and none leaves an image as it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from jepa_plugins.images.edits import (
    Palette,
    edited,
    exchanged_channels,
    exchanged_parts,
    mirrored_part,
    recoloured_pixel,
    shifted_by_one,
)
from tests.images.random_images import random_images

Edit = Callable[[Tensor], Tensor]

EDITS = [shifted_by_one, mirrored_part, exchanged_parts, exchanged_channels]


def pixels_of(seed: int = 0, num: int = 40) -> Tensor:
    return random_images(num, channels=3, seed=seed)["pixels"]


@pytest.mark.parametrize("edit", EDITS)
def test_moves_keep_the_values_of_an_image(edit: Edit) -> None:
    images = pixels_of()
    assert edit(images).flatten(1).sort(1).values.equal(images.flatten(1).sort(1).values)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 9999), st.sampled_from([mirrored_part, exchanged_parts, exchanged_channels]))
def test_mirrors_and_exchanges_undo_themselves(seed: int, edit: Edit) -> None:
    images = pixels_of(seed)
    torch.manual_seed(seed)
    once = edit(images)
    torch.manual_seed(seed)
    assert edit(once).equal(images)
    assert not once.equal(images)


def test_a_shift_is_one_of_four_rolls_and_all_four_occur() -> None:
    images = pixels_of(num=60)
    torch.manual_seed(0)
    seen = set()
    for before, after in zip(images, shifted_by_one(images), strict=True):
        rolls = {(step, axis): before.roll(step, dims=axis) for step in (-1, 1) for axis in (1, 2)}
        [way] = [way for way, roll in rolls.items() if after.equal(roll)]
        seen.add(way)
    assert len(seen) == 4


@pytest.mark.parametrize("edit", [mirrored_part, exchanged_parts])
def test_parts_are_small(edit: Edit) -> None:
    images = random_images(200, height=12, width=12)["pixels"]
    torch.manual_seed(0)
    num_changed = (edit(images) != images).flatten(1).sum(1)
    assert num_changed.max() <= 2 * 4 * 4
    assert num_changed.float().mean() > 2


def test_a_mirrored_part_is_a_rectangle_seen_in_a_mirror() -> None:
    images = random_images(50)["pixels"]
    torch.manual_seed(1)
    for before, after in zip(images[:, 0], mirrored_part(images)[:, 0], strict=True):
        rows, columns = (after != before).nonzero().unbind(1)
        if len(rows):
            window = slice(int(rows.min()), int(rows.max()) + 1), slice(int(columns.min()), int(columns.max()) + 1)
            mirrored = [before[window].flip(axis) for axis in (0, 1)]
            assert any(after[window].equal(image) for image in mirrored)


def test_exchanged_parts_are_two_squares() -> None:
    images = random_images(50, height=9, width=10)["pixels"]
    torch.manual_seed(1)
    for before, after in zip(images[:, 0], exchanged_parts(images)[:, 0], strict=True):
        changed = before != after
        num_changed = int(changed.sum())
        side = round((num_changed / 2) ** 0.5)
        assert 2 * side * side == num_changed
        squares = [
            (row, column)
            for row in range(10 - side)
            for column in range(11 - side)
            if changed[row : row + side, column : column + side].all()
        ]
        pairs = [
            (one, other)
            for one in squares
            for other in squares
            if after[one[0] : one[0] + side, one[1] : one[1] + side].equal(
                before[other[0] : other[0] + side, other[1] : other[1] + side]
            )
        ]
        assert len(pairs) == 2


def test_one_pixel_becomes_another_of_the_sequence() -> None:
    sequences = (random_images(30, 3, channels=3)["pixels"] * 3).round() / 3
    images = sequences[:, -1]
    changed = recoloured_pixel(images, Palette.of(sequences))
    is_changed = (changed != images).any(1)
    assert is_changed.flatten(1).sum(1).eq(1).all()
    for sequence, image, where in zip(sequences, changed, is_changed, strict=True):
        new = image[:, where].squeeze(1)
        assert (sequence.movedim(1, -1).flatten(0, 2) == new).all(1).any()


def test_other_pixels_are_as_likely_however_often_they_occur() -> None:
    sequence = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 1.0]).view(1, 2, 1, 2, 2).expand(3000, -1, -1, -1, -1)
    torch.manual_seed(0)
    drawn = Palette.of(sequence).other_than(torch.zeros(3000, 1)).flatten()
    assert set(drawn.tolist()) == {0.5, 1.0}
    assert abs(float((drawn == 1).float().mean()) - 0.5) < 0.05


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_an_image_of_one_value_changes_too(value: float) -> None:
    images = torch.full((20, 1, 4, 4), value)
    changed = edited(images, Palette.of(images[:, None]))
    assert (changed != images).flatten(1).sum(1).eq(1).all()
    assert ((changed >= 0) & (changed <= 1)).all()


def test_a_small_thing_on_a_dark_ground_is_seldom_recoloured() -> None:
    images = torch.zeros(300, 1, 16, 16)
    images[:, :, 4:8, 5:9] = torch.rand(300, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    changed = edited(images, Palette.of(images[:, None]))
    assert (changed != images).flatten(1).any(1).all()
    is_moved = changed.flatten(1).sort(1).values.eq(images.flatten(1).sort(1).values).all(1)
    assert is_moved.float().mean() > 0.9
