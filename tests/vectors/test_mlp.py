"""The encoder of vectors: one token each, by its formula."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from jepa_core.facts import EncoderFacts
from jepa_core.observations import Observations
from jepa_plugins.vectors.mlp import MlpEncoder, MlpEncoderConfig
from jepa_plugins.vectors.space import VectorSpace


def built(config: MlpEncoderConfig, dim: int = 3) -> MlpEncoder:
    torch.manual_seed(0)
    return config.build(EncoderFacts(space=VectorSpace(dim=dim))).eval()


@pytest.mark.parametrize("layers", [0, 2])
def test_a_token_is_the_normalised_stream_of_linear_and_residual_layers(layers: int) -> None:
    encoder = built(MlpEncoderConfig(dim=8, layers=layers))
    vectors = torch.randn(5, 3)
    stream = vectors @ encoder.embed.weight.T + encoder.embed.bias
    for layer in encoder.layers:
        assert isinstance(layer, torch.nn.Sequential)
        norm, first, _, second, _ = layer
        stream = stream + second(F.gelu(first(norm(stream))))
    expected = (stream - stream.mean(1, keepdim=True)) / (stream.var(1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    tokens = encoder(Observations({"values": vectors}))
    assert tokens.values.shape == (5, 1, 8)
    assert tokens.mask.all()
    torch.testing.assert_close(tokens.values[:, 0], expected)


def test_vectors_of_one_direction_and_different_length_are_told_apart() -> None:
    vectors = torch.ones(2, 3) * torch.tensor([[1.0], [3.0]])
    tokens = built(MlpEncoderConfig(dim=16))(Observations({"values": vectors})).values
    assert (tokens[0] - tokens[1]).norm() > 0.1
