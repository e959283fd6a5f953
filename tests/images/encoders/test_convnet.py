"""The convolutional network: its block against the formula, its sizes, and what it knows of places."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.facts import EncoderFacts
from jepa_core.observations import Observations
from jepa_plugins.images.encoders.convnet import ConvnetConfig, ConvolutionalNetwork, ResidualBlock
from jepa_plugins.images.space import ImageSpace
from tests.images.random_images import random_images


def encoder(config: ConvnetConfig, *, channels: int = 1, height: int = 6, width: int = 5) -> ConvolutionalNetwork:
    torch.manual_seed(0)
    return config.build(EncoderFacts(space=ImageSpace(channels=channels, height=height, width=width))).eval()


def normalised(features: Tensor) -> Tensor:
    """Over all that an image has, without weights."""
    mean = features.mean((1, 2, 3), keepdim=True)
    variance = features.var((1, 2, 3), keepdim=True, unbiased=False)
    return (features - mean) / (variance + 1e-5).sqrt()


@pytest.mark.parametrize(("input_dim", "dim", "stride"), [(4, 4, 1), (4, 6, 2), (4, 4, 2)])
def test_a_block_adds_two_convolutions_of_what_is_normalised(input_dim: int, dim: int, stride: int) -> None:
    torch.manual_seed(0)
    block = ResidualBlock(input_dim, dim, stride=stride)
    features = torch.randn(3, input_dim, 5, 4)
    hidden = F.conv2d(F.gelu(normalised(features)), block.first.weight, stride=stride, padding=1)
    hidden = F.conv2d(F.gelu(normalised(hidden)), block.second.weight, block.second.bias, padding=1)
    shortcut = features
    if not isinstance(block.shortcut, torch.nn.Identity):
        shortcut = F.conv2d(features, block.shortcut.weight, block.shortcut.bias, stride=stride)
    assert isinstance(block.shortcut, torch.nn.Identity) == (stride == 1 and input_dim == dim)
    torch.testing.assert_close(block(features), shortcut + hidden, atol=1e-5, rtol=1e-5)


def num_parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_blocks_have_as_many_parameters_as_the_formula_says() -> None:
    def expected(before: int, width: int, is_projected: bool) -> int:
        norms = 2 * before + 2 * width
        convolutions = 9 * before * width + 9 * width * width + width
        return norms + convolutions + (before * width + width if is_projected else 0)

    assert num_parameters(ResidualBlock(8, 8)) == expected(8, 8, False)
    assert num_parameters(ResidualBlock(8, 16, stride=2)) == expected(8, 16, True)
    network = encoder(ConvnetConfig(dim=16, stages=2, blocks=2), channels=3)
    stem, norm = 9 * 5 * 8 + 8, 2 * 16
    blocks = expected(8, 8, False) * 2 + expected(8, 16, True) + expected(16, 16, False)
    assert num_parameters(network) == stem + blocks + norm


@pytest.mark.parametrize(
    ("stages", "height", "width", "num_tokens"),
    [(1, 6, 5, 30), (2, 6, 5, 9), (3, 20, 20, 25), (3, 1, 1, 1), (8, 9, 2, 1)],
)
def test_tokens_are_the_cells_of_the_last_map(stages: int, height: int, width: int, num_tokens: int) -> None:
    network = encoder(ConvnetConfig(dim=16, stages=stages), height=height, width=width)
    tokens = network(random_images(2, height=height, width=width))
    assert network.num_tokens == num_tokens
    assert tokens.values.shape == (2, num_tokens, 16)
    assert tokens.mask.shape == (2, num_tokens)
    assert tokens.mask.all()


def mean_tokens_of_a_dot(network: ConvolutionalNetwork) -> Tensor:
    """Of a dot in two places, so far from the edges that no cell sees both."""
    pixels = torch.zeros(2, 1, 32, 32)
    pixels[0, 0, 16, 14] = 1.0
    pixels[1, 0, 16, 18] = 1.0
    means: Tensor = network(Observations({"pixels": pixels})).values.mean(1)
    return means


def test_with_coordinates_the_mean_of_the_tokens_says_where_a_thing_is_and_without_it_does_not() -> None:
    knows = mean_tokens_of_a_dot(encoder(ConvnetConfig(dim=16, stages=2), height=32, width=32))
    does_not = mean_tokens_of_a_dot(encoder(ConvnetConfig(dim=16, stages=2, coordinates=False), height=32, width=32))
    assert (knows[0] - knows[1]).norm() > 1e-3
    torch.testing.assert_close(does_not[0], does_not[1], atol=1e-5, rtol=0)


def test_coordinates_go_from_minus_one_to_one() -> None:
    coordinates = encoder(ConvnetConfig(dim=4), height=3, width=5).coordinates
    assert coordinates is not None
    assert coordinates[0].tolist() == [[-1.0] * 5, [0.0] * 5, [1.0] * 5]
    assert coordinates[1].tolist() == [[-1.0, -0.5, 0.0, 0.5, 1.0]] * 3


def test_an_image_of_one_pixel_and_one_channel_can_be_encoded() -> None:
    network = encoder(ConvnetConfig(dim=1, stages=1, coordinates=False), height=1, width=1).train()
    tokens = network(Observations({"pixels": torch.ones(1, 1, 1, 1)}))
    assert tokens.values.shape == (1, 1, 1)
    assert tokens.values.isfinite().all()
