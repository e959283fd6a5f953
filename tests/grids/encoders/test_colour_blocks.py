"""Blocks of colours: what each group of features counts, exchangeability, and similarity before training."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.facts import EncoderFacts
from jepa_plugins.grids.colour_features import colour_features
from jepa_plugins.grids.colours import OUTSIDE
from jepa_plugins.grids.encoders.colour_blocks import ColourBlocks, ColourBlocksConfig
from jepa_plugins.grids.space import GridSpace
from jepa_plugins.grids.transforms import permute_colours
from tests.grids.observed import observed

SIDE = 7


def drawn(num_grids: int = 5) -> tuple[Tensor, Tensor]:
    torch.manual_seed(3)
    sizes = torch.randint(1, SIDE + 1, (num_grids, 2))
    grids = torch.randint(0, 10, (num_grids, SIDE, SIDE), dtype=torch.uint8)
    cells = torch.arange(SIDE)
    inside = (cells[:, None] < sizes[:, 0, None, None]) & (cells < sizes[:, 1, None, None])
    return torch.where(inside, grids, OUTSIDE).to(torch.uint8), sizes


def encoder(**settings: float) -> ColourBlocks:
    torch.manual_seed(0)
    return ColourBlocksConfig(**settings).build(EncoderFacts(space=GridSpace(side=SIDE))).eval()  # type: ignore[arg-type]


def test_patterns_are_counted_as_one_would_by_hand() -> None:
    grids, sizes = drawn()
    patterns = colour_features(grids, sizes).pattern

    for grid, size, found in zip(grids, sizes, patterns, strict=True):
        height, width = size.tolist()
        counts = torch.zeros(10, 512)
        for colour in range(10):
            is_colour = F.pad((grid == colour).long(), (1, 1, 1, 1))
            for row in range(height):
                for column in range(width):
                    window = is_colour[row : row + 3, column : column + 3].flatten().tolist()
                    counts[colour, sum(bit << place for place, bit in enumerate(window))] += 1
        counts[:, 0] = 0
        torch.testing.assert_close(found, counts.sqrt() / counts.sqrt().norm())


def test_patterns_are_counted_alike_where_a_graph_is_traced_and_on_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    grids, sizes = drawn()
    grids[1] = OUTSIDE
    patterns = colour_features(grids, sizes).pattern
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert torch.equal(colour_features(grids, sizes).pattern, patterns)
    assert patterns[1].count_nonzero() == 0 < patterns[0].count_nonzero()


def test_places_layout_and_amounts_of_a_small_grid() -> None:
    grid = torch.full((1, SIDE, SIDE), OUTSIDE, dtype=torch.uint8)
    grid[0, :2, :2] = torch.tensor([[3, 3], [3, 5]])
    features = colour_features(grid, torch.tensor([[2, 2]]))

    assert features.place[0, 3].nonzero().flatten().tolist() == [0, 1, SIDE]
    weight = 0.5 / math.sqrt(4) + 0.5 / math.sqrt(3 * 2)
    torch.testing.assert_close(features.place[0, 3, 0], torch.tensor(weight))
    assert (features.layout[0, 5].view(12, 12)[6:, 6:] > 0).all()
    assert features.layout[0, 5].count_nonzero() == 36
    # There, there by half, root of the share, share, most frequent, half the rank.
    torch.testing.assert_close(features.amount[0, 5], torch.tensor([0.5**0.5, 0.5, 0.5, 0.25, 0.0, 0.05]))
    assert (features.amount[0, [0, 9]] == 0).all()


def test_exchanging_colours_exchanges_blocks_and_nothing_else() -> None:
    grids, sizes = drawn()
    exchange = torch.randperm(10)
    blocks = encoder()
    values = blocks(observed(grids, sizes)).values.unflatten(-1, (10, -1))
    permuted = blocks(observed(permute_colours(grids.unsqueeze(1), exchange.expand(len(grids), -1)).squeeze(1), sizes))

    torch.testing.assert_close(permuted.values.unflatten(-1, (10, -1))[:, :, exchange], values)


def test_before_training_embeddings_are_about_as_similar_as_what_is_known_of_the_grids() -> None:
    grids, sizes = drawn(40)
    config = ColourBlocksConfig(layers=0, place_dim=49, pattern_dim=256, layout_dim=144, size_dim=58)
    torch.manual_seed(0)
    values = F.normalize(
        config.build(EncoderFacts(space=GridSpace(side=SIDE)))(observed(grids, sizes)).values[:, 0], dim=-1
    )
    known = colour_features(grids, sizes)
    groups = [
        (known.place, config.place),
        (known.pattern, config.pattern),
        (known.layout, config.layout),
        (known.size, config.size),
        (known.amount, config.amount),
    ]
    exact = F.normalize(torch.cat([(group * weight).flatten(1) for group, weight in groups], 1), dim=-1)

    assert ((values @ values.T) - exact @ exact.T).abs().mean() < 0.03


def test_equal_grids_of_other_sizes_differ() -> None:
    blank = torch.full((2, SIDE, SIDE), OUTSIDE, dtype=torch.uint8)
    blank[0, :2, :2] = 0
    blank[1, :4, :4] = 0
    first, second = encoder()(observed(blank, torch.tensor([[2, 2], [4, 4]]))).values

    assert F.cosine_similarity(first, second, dim=-1) < 0.9
