"""The vision transformer: patches and positions against other ways to write them, and what tokens can tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.facts import EncoderFacts
from jepa_core.observations import Observations
from jepa_plugins.images.encoders.vit import VisionTransformer, VitConfig, patches_of, sincos_positions
from jepa_plugins.images.space import ImageSpace
from tests.images.random_images import random_images


def encoder(config: VitConfig, *, channels: int = 1, height: int = 6, width: int = 5) -> VisionTransformer:
    torch.manual_seed(0)
    return config.build(EncoderFacts(space=ImageSpace(channels=channels, height=height, width=width))).eval()


def test_patches_are_those_that_unfold_cuts() -> None:
    pixels = random_images(4, channels=3, height=6, width=8)["pixels"]
    assert patches_of(pixels, 2).equal(F.unfold(pixels, 2, stride=2).transpose(1, 2))


def reference_positions(num_rows: int, num_columns: int, dim: int) -> Any:
    """As MAE's `get_2d_sincos_pos_embed` computes them, in NumPy: half of the dimensions for columns, half for rows."""

    def of_axis(places: Any) -> Any:
        omega = 1.0 / 10000 ** (np.arange(dim // 4, dtype=np.float64) / (dim / 4.0))
        out = np.einsum("m,d->md", places.reshape(-1), omega)
        return np.concatenate([np.sin(out), np.cos(out)], axis=1)

    across, down = np.meshgrid(np.arange(num_columns), np.arange(num_rows))
    return np.concatenate([of_axis(across), of_axis(down)], axis=1)


@pytest.mark.parametrize(("num_rows", "num_columns", "dim"), [(1, 1, 4), (3, 5, 16), (7, 2, 128)])
def test_positions_are_those_of_the_masked_autoencoder(num_rows: int, num_columns: int, dim: int) -> None:
    expected = torch.from_numpy(reference_positions(num_rows, num_columns, dim)).float()
    torch.testing.assert_close(sincos_positions(num_rows, num_columns, dim), expected)


def test_without_layers_tokens_are_normalised_convolutions_plus_positions() -> None:
    vit = encoder(VitConfig(dim=8, heads=1, layers=0, patch=4), channels=2, height=6, width=5)
    pixels = random_images(3, channels=2)["pixels"]
    kernel = vit.embed.weight.view(8, 2, 4, 4)
    convolved = F.conv2d(F.pad(pixels, (0, 3, 0, 2)), kernel, vit.embed.bias, stride=4)
    expected = F.layer_norm(convolved.flatten(2).transpose(1, 2) + sincos_positions(2, 2, 8), (8,))
    tokens = vit(Observations({"pixels": pixels}))
    torch.testing.assert_close(tokens.values, expected)
    assert vit.num_tokens == 4


def test_every_patch_is_a_token() -> None:
    tokens = encoder(VitConfig(dim=8, heads=2, patch=2))(random_images(3))
    assert tokens.values.shape == (3, 9, 8)
    assert tokens.mask.shape == (3, 9)
    assert tokens.mask.all()
    assert tokens.neighbours is None


def test_a_pixel_beyond_the_last_whole_patch_is_seen() -> None:
    vit = encoder(VitConfig(dim=8, heads=2, patch=4))
    images = random_images(1)
    changed = images.map(torch.clone)
    changed["pixels"][0, 0, 5, 4] += 0.5
    assert not torch.allclose(vit(images).values, vit(changed).values)


@pytest.mark.parametrize("positions", ["sincos", "learned"])
def test_the_mean_of_the_tokens_says_where_a_thing_is(positions: Any) -> None:
    vit = encoder(VitConfig(dim=32, positions=positions, patch=2), height=8, width=8)
    with torch.no_grad():
        vit.positions.mul_(1.0 if positions == "sincos" else 50.0)
    pixels = torch.zeros(2, 1, 8, 8)
    pixels[0, 0, :2, :2] = 1.0
    pixels[1, 0, 6:, 6:] = 1.0
    means: Tensor = vit(Observations({"pixels": pixels})).values.mean(1)
    assert (means[0] - means[1]).norm() > 1e-3 * means[0].norm()


def test_learned_positions_are_trained_and_fixed_ones_are_not_in_the_state() -> None:
    learned, fixed = encoder(VitConfig(dim=8, heads=1, positions="learned")), encoder(VitConfig(dim=8, heads=1))
    assert isinstance(learned.positions, torch.nn.Parameter)
    assert "positions" in learned.state_dict()
    assert "positions" not in fixed.state_dict()
    assert not fixed.positions.requires_grad


def test_what_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="heads must divide dim 10"):
        VitConfig(dim=10, heads=4)
    with pytest.raises(ValueError, match="dim must be a multiple of 4"):
        VitConfig(dim=10, heads=2)
    assert VitConfig(dim=10, heads=2, positions="learned").dim == 10
