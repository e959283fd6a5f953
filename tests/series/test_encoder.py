"""The encoder of series: patches, positions, and what the transformer is given."""

from __future__ import annotations

import math

import numpy as np
import torch

from jepa_core.facts import EncoderFacts
from jepa_core.observations import Observations
from jepa_plugins.series.encoder import SeriesEncoder, SeriesEncoderConfig, sin_cos_positions
from jepa_plugins.series.space import SeriesSpace


def built(config: SeriesEncoderConfig, length: int = 10, channels: int = 2) -> SeriesEncoder:
    torch.manual_seed(0)
    return config.build(EncoderFacts(space=SeriesSpace(length=length, channels=channels))).eval()


def test_patches_are_steps_in_order_and_the_last_is_filled_up_with_zeros() -> None:
    values = torch.arange(1.0, 11).view(1, 5, 2)
    patches = built(SeriesEncoderConfig(dim=4, heads=1, patch=3), 5).patches(values)
    assert patches.tolist() == [[[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 0, 0]]]


def test_without_layers_a_token_is_its_patch_and_its_position() -> None:
    encoder = built(SeriesEncoderConfig(dim=4, heads=1, patch=4, layers=0))
    values = torch.randn(3, 10, 2)
    padded = np.concatenate([values.numpy(), np.zeros((3, 2, 2), np.float32)], axis=1).reshape(3, 3, 8)
    stream = padded @ encoder.embed.weight.detach().numpy().T + encoder.embed.bias.detach().numpy()
    stream = stream + sin_cos_positions(3, 4).numpy()
    expected = (stream - stream.mean(-1, keepdims=True)) / np.sqrt(stream.var(-1, keepdims=True) + 1e-5)
    tokens = encoder(Observations({"values": values}))
    np.testing.assert_allclose(tokens.values.detach().numpy(), expected, atol=1e-5)
    assert tokens.mask.all()
    assert encoder.num_tokens == 3


def test_positions_are_sines_and_cosines_in_turn() -> None:
    positions = sin_cos_positions(6, 5)
    assert positions.shape == (6, 5)
    for place in range(6):
        for index in range(5):
            angle = place / 10_000 ** (2 * (index // 2) / 5)
            expected = math.sin(angle) if index % 2 == 0 else math.cos(angle)
            assert math.isclose(float(positions[place, index]), expected, abs_tol=1e-6)


def test_the_mean_of_the_tokens_says_which_patch_was_first() -> None:
    values = torch.randn(1, 8, 2)
    exchanged = torch.cat([values[:, 4:], values[:, :4]], 1)
    encoder = built(SeriesEncoderConfig(dim=32, patch=4), 8)
    means = encoder(Observations({"values": torch.cat([values, exchanged])})).values.mean(1)
    assert (means[0] - means[1]).norm() > 0.01 * means[0].norm()


def test_positions_are_no_part_of_the_weights() -> None:
    assert "positions" not in built(SeriesEncoderConfig(dim=8, heads=2)).state_dict()
