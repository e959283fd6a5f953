"""The cell encoder: patches, positions, and what survives the mean over tokens."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from jepa_core.facts import EncoderFacts
from jepa_plugins.grids.colours import OUTSIDE
from jepa_plugins.grids.encoders.cells import CellEncoder, CellsConfig
from jepa_plugins.grids.space import GridSpace
from tests.grids.observed import observed

FACTS = EncoderFacts(space=GridSpace(side=6))


def encoder(config: CellsConfig, facts: EncoderFacts = FACTS) -> CellEncoder:
    torch.manual_seed(0)
    return config.build(facts).eval()


def test_patches_are_squares_in_scan_order_and_padded_with_the_outside() -> None:
    patches = encoder(CellsConfig(dim=4, patch=2), EncoderFacts(space=GridSpace(side=3))).embed.patches(
        torch.tensor([[[1, 2, 3], [4, 5, 6], [7, 8, 9]]], dtype=torch.uint8)
    )

    assert patches.tolist() == [[[1, 2, 4, 5], [3, 10, 6, 10], [7, 8, 10, 10], [9, 10, 10, 10]]]


def test_content_is_the_sum_of_each_cells_own_vector() -> None:
    bound = encoder(CellsConfig(dim=5, heads=1, patch=2), EncoderFacts(space=GridSpace(side=2))).embed
    cells = torch.tensor([[[3, 1, 10, 3]]], dtype=torch.uint8)
    sizes = torch.tensor([[1, 2]])
    table = bound.content.weight.view(5, 4, 11)
    content = sum((table[:, place, colour] for place, colour in enumerate([3, 1, 10, 3])), bound.content.bias)
    expected = content * bound.row[0] * bound.column[0] + bound.height.weight[1] + bound.width.weight[2]

    torch.testing.assert_close(bound(cells, sizes)[0, 0], expected)


def test_a_patch_wholly_outside_is_no_token_and_a_patch_partly_inside_is() -> None:
    grid = torch.full((1, 6, 6), OUTSIDE, dtype=torch.uint8)
    grid[0, :3, :2] = 0
    tokens = encoder(CellsConfig(dim=8, heads=2, patch=2))(observed(grid, torch.tensor([[3, 2]])))

    assert tokens.mask[0].view(3, 3).tolist() == [[True, False, False], [True, False, False], [False] * 3]


def test_a_grid_is_encoded_alike_on_a_larger_canvas() -> None:
    config = CellsConfig(dim=8, heads=2)
    small, large = encoder(config), encoder(config, EncoderFacts(space=GridSpace(side=9)))
    shared = {name: p for name, p in large.named_parameters() if p.shape == small.get_parameter(name).shape}
    with torch.no_grad():
        for name, parameter in small.named_parameters():
            source = shared.get(name, large.get_parameter(name)[: len(parameter)])
            parameter.copy_(source)
    grids, sizes = torch.randint(0, 10, (2, 6, 6), dtype=torch.uint8), torch.full((2, 2), 6)
    on_large = large(observed(F.pad(grids, (0, 3, 0, 3), value=OUTSIDE), sizes))

    torch.testing.assert_close(on_large.values[on_large.mask], small(observed(grids, sizes)).values.flatten(0, 1))


def test_the_mean_of_the_tokens_says_which_colour_is_where() -> None:
    grids = torch.zeros(2, 6, 6, dtype=torch.uint8)
    grids[0, 0, 0], grids[0, 5, 5] = 1, 2
    grids[1, 0, 0], grids[1, 5, 5] = 2, 1
    means = encoder(CellsConfig(dim=64))(observed(grids, torch.full((2, 2), 6))).values.mean(1)

    assert (means[0] - means[1]).norm() > 0.05 * means[0].norm()


def test_before_training_means_are_as_similar_as_grids_have_equal_cells() -> None:
    bound = encoder(CellsConfig(dim=4096, layers=0)).embed
    grid = torch.randint(0, 10, (6, 6), dtype=torch.uint8)
    num_changed = [0, 6, 12, 24]
    changed = grid.flatten().repeat(4, 1)
    for row, count in zip(changed, num_changed, strict=True):
        row[:count] = (row[:count] + 1) % 10
    sizes = torch.full((4, 2), 6)
    tokens = (
        bound(bound.patches(changed.view(4, 6, 6)), sizes) - bound.height(sizes[:1, :1]) - bound.width(sizes[:1, 1:])
    )
    means = F.normalize(tokens.mean(1), dim=-1)

    expected = torch.tensor([1 - count / 36 for count in num_changed])
    torch.testing.assert_close(means @ means[0], expected, atol=0.08, rtol=0)
