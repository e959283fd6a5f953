"""The space of images: what is refused, equality, likeness, edits, and other data in it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from jepa_core.errors import DataError
from jepa_core.observations import Observations
from jepa_core.spaces import Fill, Space, space_of, space_state
from jepa_plugins.images import space as space_module
from jepa_plugins.images.space import ImageSpace
from jepa_plugins.vectors import real_values
from tests.images.random_images import random_images

SPACE = ImageSpace(channels=1, height=6, width=5)


def refusal(pixels: Tensor, space: ImageSpace = SPACE) -> str:
    with pytest.raises(ValueError) as refused:
        space.check(Observations({"pixels": pixels}))
    return str(refused.value)


@pytest.mark.parametrize("space", [*ImageSpace.examples(), ImageSpace(channels=3, height=4, width=7)])
@pytest.mark.parametrize("fill", ["some", "none", "all"])
def test_what_it_draws_is_of_it(space: ImageSpace, fill: Fill) -> None:
    drawn = space.sample(6, fill)
    space.check(drawn.map(lambda tensor: tensor.unflatten(0, (2, 3))))
    is_dark = (drawn["pixels"] == 0).flatten(1).float().mean(1)
    assert {"none": is_dark.eq(1).all(), "all": is_dark.eq(0).all(), "some": True}[fill]


def test_some_images_hold_noise_in_a_part_of_them() -> None:
    torch.manual_seed(0)
    is_dark = (ImageSpace(channels=1, height=9, width=8).sample(20)["pixels"] == 0).flatten(1).float().mean(1)
    assert ((is_dark > 0) & (is_dark < 1)).float().mean() > 0.5


def test_whole_pixels_are_refused_with_what_to_do() -> None:
    assert "pixels are torch.uint8, not torch.float32: divide whole pixels by 255" in refusal(
        torch.zeros(2, 3, 1, 6, 5, dtype=torch.uint8)
    )
    assert "convert them with .float()" in refusal(torch.zeros(2, 3, 1, 6, 5, dtype=torch.float64))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (float("nan"), ("nan at [3, 1, 0, 2, 4]", "Leave such images out")),
        (float("inf"), ("inf at [3, 1, 0, 2, 4]", "Leave such images out")),
        (255.0, ("255 at [3, 1, 0, 2, 4]", "divided by 255")),
        (-0.25, ("-0.25 at [3, 1, 0, 2, 4]", "Scale them")),
        (1.001, ("1.001 at [3, 1, 0, 2, 4]", "Scale them")),
    ],
)
def test_values_out_of_range_are_shown_with_their_place(
    value: float, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(real_values, "NUMBERS_AT_ONCE", 2 * 2 * 30)
    pixels = random_images(5, 2)["pixels"]
    pixels[3, 1, 0, 2, 4] = value
    message = refusal(pixels)
    assert all(word in message for word in words), message


def test_images_of_another_form_are_refused() -> None:
    message = refusal(torch.zeros(2, 3, 6, 5, 1))
    assert "6 × 5 × 1 (channels × height × width), not 1 × 6 × 5" in message
    assert "channels come first" in message
    with pytest.raises(ValueError, match="tensors are grid, size: images have pixels alone"):
        SPACE.check(Observations({"grid": torch.zeros(1), "size": torch.zeros(1)}))


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (ImageSpace(channels=1, height=28, width=28), "images of 28 × 28 pixels with 1 channel"),
        (ImageSpace(channels=3, height=9, width=8), "images of 9 × 8 pixels with 3 channels"),
    ],
)
def test_it_says_what_it_is(space: ImageSpace, words: str) -> None:
    assert space.describe() == words


def test_images_have_one_key_if_and_only_if_they_are_equal() -> None:
    generator = torch.Generator().manual_seed(2)
    # Round values, whose bits end in zeros.
    pixels = torch.randint(0, 2, (300, 2, 1, 2, 2), generator=generator) / 2
    keys = ImageSpace(channels=1, height=2, width=2).keys(Observations({"pixels": pixels}))
    assert keys.shape == (300, 2)
    assert keys.dtype == torch.int64
    flat = pixels.flatten(0, 1).flatten(1)
    equal = (flat[:, None] == flat[None]).all(-1)
    assert torch.equal(keys.flatten()[:, None] == keys.flatten()[None], equal)


def test_keys_tell_a_hundred_thousand_images_apart() -> None:
    pixels = torch.cartesian_prod(*[torch.arange(18) / 17] * 4).view(-1, 1, 2, 2)
    keys = ImageSpace(channels=1, height=2, width=2).keys(Observations({"pixels": pixels}))
    assert len(keys.unique()) == len(pixels)


def test_a_negative_zero_is_a_zero_and_the_smallest_difference_counts() -> None:
    pixels = torch.zeros(3, 1, 1, 2)
    pixels[1] = -0.0
    pixels[2, 0, 0, 0] = torch.finfo(torch.float32).smallest_normal
    keys = ImageSpace(channels=1, height=1, width=2).keys(Observations({"pixels": pixels})).tolist()
    assert keys[0] == keys[1] != keys[2]


def test_keys_are_those_of_each_image_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    images = random_images(7)
    expected = [SPACE.keys(images[number]) for number in range(7)]
    monkeypatch.setattr(real_values, "NUMBERS_AT_ONCE", 3 * 30)
    assert SPACE.keys(images).equal(torch.stack(expected))


def test_likeness_is_one_less_the_mean_difference_of_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space_module, "_LISTS_AT_ONCE", 2)
    lists = random_images(3, 4)
    flat = lists["pixels"].flatten(2)
    expected = 1 - (flat[:, :, None] - flat[:, None]).abs().mean(-1)
    torch.testing.assert_close(SPACE.alike(lists), expected)
    assert SPACE.alike(lists).diagonal(dim1=1, dim2=2).eq(1).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 9999), st.sampled_from([(1, 1, 1), (1, 1, 6), (1, 6, 5), (3, 4, 4)]))
def test_an_edit_is_another_image_of_the_space(seed: int, shape: tuple[int, int, int]) -> None:
    channels, height, width = shape
    space = ImageSpace(channels=channels, height=height, width=width)
    torch.manual_seed(seed)
    sequences = space.sample(15).map(lambda tensor: tensor.unflatten(0, (5, 3)))
    before = sequences["pixels"].clone()
    edit = space.editor(sequences)
    images = sequences[:, -1]
    for _ in range(3):
        changed = edit(images)
        assert (space.keys(changed) != space.keys(images)).all()
        space.check(changed.map(lambda tensor: tensor.unsqueeze(1)))
        images = changed
    assert sequences["pixels"].equal(before)


def test_smaller_images_stand_top_left_on_a_dark_ground() -> None:
    small = random_images(4, 2, height=3, width=4)
    fitted = SPACE.fitted(small)["pixels"]
    assert fitted.shape == (4, 2, 1, 6, 5)
    assert fitted[..., :3, :4].equal(small["pixels"])
    assert fitted.sum() == small["pixels"].sum()


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"height": 7}, "images of 7 × 5 pixels with 1 channel"),
        ({"width": 6}, "--set data.height=6 --set data.width=5"),
        ({"channels": 3}, "--set data.channels=1"),
    ],
)
def test_larger_images_and_other_channels_are_refused(form: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match="The weights take images of 6 × 5 pixels with 1 channel") as refused:
        SPACE.fitted(random_images(2, **form))
    assert words in str(refused.value)


def test_it_survives_a_checkpoint() -> None:
    assert isinstance(SPACE, Space)
    assert space_of(space_state(SPACE), ImageSpace) == SPACE
