"""Augmentations of images: which does what, and that all images of a sequence share a draw."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from jepa_core.facts import AugmentationFacts, frames
from jepa_core.observations import Observations
from jepa_plugins.images.augmentations import AffineConfig, BrightnessConfig, FlipConfig, ShiftConfig
from jepa_plugins.images.space import ImageSpace
from tests.images.random_images import random_images

SPACE = ImageSpace(channels=2, height=6, width=5)
ALL = (FlipConfig(), ShiftConfig(), BrightnessConfig(), AffineConfig())


def augmented(pixels: Tensor, config: Any, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    change = config.build(AugmentationFacts(space=SPACE, roles=frames(pixels.shape[1])))
    changed: Tensor = change(Observations({"pixels": pixels}))["pixels"]
    return changed


@pytest.mark.parametrize("config", ALL)
def test_all_images_of_a_sequence_share_a_draw_and_sequences_do_not(config: Any) -> None:
    repeated = random_images(channels=2)["pixels"].expand(64, 4, -1, -1, -1)
    changed = augmented(repeated, config)
    assert changed.equal(changed[:, :1].expand_as(changed))
    assert len(changed[:, 0].unique(dim=0)) > 3


@pytest.mark.parametrize(
    ("config", "dims"),
    [
        (FlipConfig(vertical=False), [(), (2,)]),
        (FlipConfig(horizontal=False), [(), (1,)]),
        (FlipConfig(), [(), (1,), (2,), (1, 2)]),
    ],
)
def test_flips_are_mirror_images_about_equally_often(config: FlipConfig, dims: list[tuple[int, ...]]) -> None:
    image = random_images(channels=2)["pixels"]
    changed = augmented(image.expand(400, 2, -1, -1, -1), config)[:, 0]
    for axes in dims:
        share = (changed == image.flip(axes)).flatten(1).all(1).float().mean()
        assert abs(float(share) - 1 / len(dims)) < 0.1


def test_a_flip_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="horizontal or vertical must be true"):
        FlipConfig(horizontal=False, vertical=False)


def test_shifts_are_rolls_of_up_to_so_many_pixels_all_equally_likely() -> None:
    image = random_images(channels=2)["pixels"]
    changed = augmented(image.expand(900, 2, -1, -1, -1), ShiftConfig(pixels=1))[:, 0]
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            share = (changed == image.roll((down, right), (1, 2))).flatten(1).all(1).float().mean()
            assert abs(float(share) - 1 / 9) < 0.05


def test_a_shift_wider_than_the_image_goes_around() -> None:
    image = random_images(channels=2)["pixels"]
    changed = augmented(image.expand(30, 2, -1, -1, -1), ShiftConfig(pixels=40))
    assert changed.flatten(1).sum(1).sub(2 * image.sum()).abs().max() < 1e-3


def test_brightness_is_one_factor_within_range_and_clamped() -> None:
    pixels = random_images(50, 3, channels=2)["pixels"]
    changed = augmented(pixels, BrightnessConfig(strength=0.5))
    SPACE.check(Observations({"pixels": changed}))
    ratio = (changed / pixels).masked_fill(changed == 1, torch.nan).flatten(1)
    factor = ratio.nanmedian(1, keepdim=True).values
    assert ((ratio - factor).nan_to_num().abs() < 1e-3).all()
    assert 0.5 <= float(factor.min()) < 0.7
    assert 1.3 < float(factor.max()) <= 1.5
    is_over = pixels.flatten(1) * factor > 1 + 1e-4
    assert (changed.flatten(1)[is_over] == 1).all()


def centroids(config: AffineConfig, row: int, column: int) -> tuple[Tensor, Tensor]:
    """Where a bright spot of 41 × 61 pixels goes: (200,) rows and columns, from the centre."""
    pixels = torch.zeros(1, 1, 2, 41, 61)
    pixels[..., row - 1 : row + 2, column - 1 : column + 2] = 1
    moved = augmented(pixels.expand(200, 2, -1, -1, -1), config)[:, 0, 0]
    mass = moved.sum((1, 2))
    rows = (moved.sum(2) * (torch.arange(41) - 20)).sum(1) / mass
    return rows, (moved.sum(1) * (torch.arange(61) - 30)).sum(1) / mass


def test_a_rotation_keeps_distances_from_the_centre_and_turns_either_way_up_to_its_limit() -> None:
    rows, columns = centroids(AffineConfig(rotation=30, scale=0, shear=0), row=20, column=45)
    assert torch.allclose((rows.square() + columns.square()).sqrt(), torch.tensor(15.0), atol=0.2)
    degrees = torch.atan2(rows, columns).rad2deg()
    assert degrees.abs().max() < 30.5
    assert degrees.max() > 25
    assert degrees.min() < -25


def test_a_scale_moves_outward_and_inward_by_its_share_alike_on_both_axes() -> None:
    rows, columns = centroids(AffineConfig(rotation=0, scale=0.2, shear=0), row=30, column=40)
    assert torch.allclose(rows, columns, atol=0.15)
    assert 11.5 < rows.max() < 12.2
    assert 7.8 < rows.min() < 8.5


def test_a_shear_moves_along_the_rows_in_proportion_to_the_height() -> None:
    config = AffineConfig(rotation=0, scale=0, shear=0.3)
    rows, columns = centroids(config, row=30, column=30)
    assert torch.allclose(rows, torch.tensor(10.0), atol=0.1)
    assert columns.abs().max() < 3.1
    assert columns.max() > 2.5
    middle = centroids(config, row=20, column=30)
    assert torch.allclose(middle[1], torch.tensor(0.0), atol=0.1)


def test_an_affine_change_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="one of rotation, scale, shear must be > 0"):
        AffineConfig(rotation=0, scale=0, shear=0)
