"""What holds for every installed encoder, on the examples of every space that it names."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from jepa_core.conformance.subject import small_config
from jepa_core.contracts import Space, spaces_of
from jepa_core.facts import EncoderFacts
from jepa_core.registry import installed
from jepa_core.spaces import Fill

CASES = [
    pytest.param(component.config_class, space, id=f"{component.name}-{space.describe()}")
    for component in installed().family("encoder").values()
    for space_class in spaces_of(component.config_class)
    for space in space_class.examples()
]
every_encoder = pytest.mark.parametrize(("config_class", "space"), CASES)


def built(config_class: Any, space: Space) -> nn.Module:
    torch.manual_seed(0)
    module = small_config(config_class).build(EncoderFacts(space=space))
    assert isinstance(module, nn.Module)
    return module


@every_encoder
def test_shapes_are_those_it_announces_and_masked_tokens_are_zeros(config_class: Any, space: Space) -> None:
    encoder = built(config_class, space)
    fills: tuple[Fill, ...] = ("some", "none", "all")
    for fill in fills:
        tokens = encoder(space.sample(4, fill))
        assert tokens.values.shape == (4, encoder.num_tokens, encoder.embedding_dim)
        assert tokens.mask.shape == (4, encoder.num_tokens)
        assert tokens.mask.dtype == torch.bool
        assert (tokens.values[~tokens.mask] == 0).all()


@every_encoder
def test_an_observation_is_encoded_as_in_any_other_batch(config_class: Any, space: Space) -> None:
    encoder, drawn = built(config_class, space).eval(), space.sample(5)
    torch.testing.assert_close(encoder(drawn[1:2]).values, encoder(drawn).values[1:2])


@every_encoder
def test_what_differs_in_little_has_another_embedding(config_class: Any, space: Space) -> None:
    encoder = built(config_class, space).eval()
    torch.manual_seed(3)
    drawn = space.sample(64, "all")
    values = encoder(drawn).values.flatten(1)
    keys = space.keys(drawn)
    differ = keys[1:] != keys[:-1]
    assert ((values[1:] - values[:-1]).abs().amax(1) > 0)[differ].float().mean() > 0.9


@every_encoder
def test_it_runs_in_bfloat16_as_in_full_precision_nearly(config_class: Any, space: Space) -> None:
    encoder, drawn = built(config_class, space).eval(), space.sample(4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        values = encoder(drawn).values
    torch.testing.assert_close(values.float(), encoder(drawn).values, atol=0.1, rtol=0.1)


def test_heads_that_do_not_divide_the_dimension_are_refused() -> None:
    with_heads: list[Any] = [
        component.config_class
        for component in installed().family("encoder").values()
        if {"dim", "heads"} <= set(component.config_class.__annotations__)
    ]
    assert len(with_heads) > 2
    for config_class in with_heads:
        with pytest.raises(ValueError, match=r"heads must divide|multiple"):
            config_class(dim=10, heads=4)
