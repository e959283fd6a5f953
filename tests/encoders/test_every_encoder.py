"""What holds for both built-in encoders."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from jepa_core.facts import OUTSIDE, EncoderFacts
from jepa_core.grid_space import GridSpace
from jepa_plugins.encoders.cells import CellsConfig
from jepa_plugins.encoders.objects import ObjectsConfig

FACTS = EncoderFacts(space=GridSpace(side=7))
CONFIGS = [
    ObjectsConfig(dim=16, layers=2, heads=2, max_objects=6),
    ObjectsConfig(dim=16, layers=1, heads=2, max_objects=60, canvas_size=True),
    CellsConfig(dim=16, layers=2, heads=2),
    CellsConfig(dim=16, layers=1, heads=2, patch=3, dropout=0.2),
]
every_encoder = pytest.mark.parametrize("config", CONFIGS, ids=str)


def built(config: Any) -> nn.Module:
    torch.manual_seed(0)
    module = config.build(FACTS)
    assert isinstance(module, nn.Module)
    return module


def random_grids() -> tuple[Tensor, Tensor]:
    """Grids of four sizes, one without any object."""
    torch.manual_seed(1)
    sizes = torch.tensor([[7, 7], [3, 5], [1, 1], [6, 2]])
    grids = torch.randint(0, 10, (4, 7, 7), dtype=torch.uint8)
    grids[2] = 0
    inside = (torch.arange(7)[:, None] < sizes[:, 0, None, None]) & (torch.arange(7) < sizes[:, 1, None, None])
    return torch.where(inside, grids, OUTSIDE).to(torch.uint8), sizes


@every_encoder
def test_shapes_are_those_it_announces_and_masked_tokens_are_zeros(config: Any) -> None:
    encoder = built(config)
    tokens = encoder(*random_grids())

    assert tokens.values.shape == (4, encoder.num_tokens, encoder.embedding_dim)
    assert tokens.mask.shape == (4, encoder.num_tokens)
    assert tokens.mask.dtype == torch.bool
    assert (tokens.values[~tokens.mask] == 0).all()
    assert (tokens.values[tokens.mask].abs().sum(-1) > 0).all()


@every_encoder
def test_a_grid_is_encoded_as_in_any_other_batch(config: Any) -> None:
    grids, sizes = random_grids()
    encoder = built(config).eval()

    torch.testing.assert_close(encoder(grids[1:2], sizes[1:2]).values, encoder(grids, sizes).values[1:2])


@every_encoder
def test_the_gradient_reaches_every_parameter(config: Any) -> None:
    encoder = built(config)
    values = encoder(*random_grids()).values
    (values * torch.randn_like(values)).sum().backward()

    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


@every_encoder
def test_a_batch_without_any_token_is_finite(config: Any) -> None:
    encoder = built(config)
    tokens = encoder(torch.full((2, 7, 7), OUTSIDE, dtype=torch.uint8), torch.zeros(2, 2, dtype=torch.int64))
    tokens.values.sum().backward()

    assert not tokens.mask.any()
    assert (tokens.values == 0).all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in encoder.parameters())


@every_encoder
def test_forward_changes_no_state_and_evaluation_is_deterministic(config: Any) -> None:
    encoder = built(config).eval()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    first, second = encoder(*random_grids()), encoder(*random_grids())

    assert torch.equal(first.values, second.values)
    assert all(torch.equal(before[name], tensor) for name, tensor in encoder.state_dict().items())


@every_encoder
def test_it_runs_in_bfloat16(config: Any) -> None:
    encoder = built(config).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        values = encoder(*random_grids()).values

    torch.testing.assert_close(values.float(), encoder(*random_grids()).values, atol=0.1, rtol=0.1)


@every_encoder
def test_it_compiles_without_a_graph_break(config: Any) -> None:
    encoder = built(config).eval()
    compiled = torch.compile(encoder, fullgraph=True, backend="aot_eager")

    torch.testing.assert_close(compiled(*random_grids()).values, encoder(*random_grids()).values)


@pytest.mark.parametrize("config", [ObjectsConfig, CellsConfig])
def test_heads_that_do_not_divide_the_dimension_are_refused(config: Any) -> None:
    with pytest.raises(ValueError, match=r"heads must divide dim 10 \(got 4\)"):
        config(dim=10, heads=4)
