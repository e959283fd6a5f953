"""Cells with a bag of local patterns: what of a token stays the same under which change of the grid."""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_core.facts import EncoderFacts
from jepa_plugins.grids.colours import OUTSIDE
from jepa_plugins.grids.encoders.cells import CellsConfig
from jepa_plugins.grids.encoders.patterns import PatternEncoder, PatternsConfig
from jepa_plugins.grids.space import GridSpace
from jepa_plugins.grids.transforms import apply_dihedral
from tests.grids.observed import observed

FACTS = EncoderFacts(space=GridSpace(side=6))
CONFIG = PatternsConfig(dim=8, layers=0, heads=1, stem=0, pattern_dim=16, summary_dim=12)
CELLS, COLOURS, LEVELS, MASKS, SUMMARY = slice(0, 8), slice(8, 24), slice(24, 56), slice(56, 88), slice(88, 100)


def built() -> PatternEncoder:
    torch.manual_seed(1)
    return CONFIG.build(FACTS).eval()


def random_grids(num: int = 6) -> Tensor:
    return torch.randint(0, 5, (num, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def mean_token(encoder: PatternEncoder, grids: Tensor, sizes: Tensor | None = None) -> Tensor:
    sizes = torch.full((len(grids), 2), 6) if sizes is None else sizes
    embeddings = encoder(observed(grids, sizes))
    mean: Tensor = embeddings.values.sum(1) / embeddings.mask.sum(1, keepdim=True)
    return mean.detach()


def test_the_first_dimensions_are_the_tokens_of_cells() -> None:
    encoder = built()
    cells = CellsConfig(dim=8, layers=0, heads=1).build(FACTS)
    cells.load_state_dict(encoder.cells.state_dict())
    grids, sizes = random_grids(), torch.full((6, 2), 6)

    assert encoder(observed(grids, sizes)).values[..., CELLS].equal(cells(observed(grids, sizes)).values)


def test_turning_a_grid_changes_no_mean_but_that_of_the_cells() -> None:
    encoder, grids = built(), random_grids(8)
    grids[:, 5] = OUTSIDE
    sizes = torch.tensor([5, 6]).expand(8, 2)
    turned, turned_sizes = apply_dihedral(grids[:, None], sizes[:, None], torch.arange(8))

    before, after = mean_token(encoder, grids, sizes), mean_token(encoder, turned[:, 0], turned_sizes[:, 0])

    torch.testing.assert_close(after[:, 8:], before[:, 8:])
    assert not torch.allclose(after[1:, CELLS], before[1:, CELLS])


def test_masks_do_not_know_the_colours_names() -> None:
    encoder, grids = built(), random_grids()
    renamed = torch.tensor([4, 3, 0, 1, 2], dtype=torch.uint8)[grids.long()]

    before, after = mean_token(encoder, grids), mean_token(encoder, renamed)

    torch.testing.assert_close(after[:, MASKS], before[:, MASKS])
    assert not torch.allclose(after[:, COLOURS], before[:, COLOURS])


def test_levels_stay_when_the_order_of_colours_is_turned_around() -> None:
    encoder, grids = built(), random_grids()

    torch.testing.assert_close(mean_token(encoder, 4 - grids)[:, LEVELS], mean_token(encoder, grids)[:, LEVELS])


def test_the_levels_of_a_grid_are_those_of_its_thresholds_together() -> None:
    encoder, grids = built(), random_grids()
    cut = [mean_token(encoder, (grids > level).to(torch.uint8))[:, LEVELS] for level in range(4)]

    torch.testing.assert_close(mean_token(encoder, grids)[:, LEVELS], torch.stack(cut).sum(0))


def test_a_grid_of_one_colour_has_no_levels_and_no_masks_but_a_size_and_a_palette() -> None:
    encoder = built()
    grids = torch.full((2, 6, 6), 3, dtype=torch.uint8)
    grids[1, :, 4:] = OUTSIDE

    means = mean_token(encoder, grids, torch.tensor([[6, 6], [6, 4]]))

    assert (means[:, LEVELS] == 0).all()
    assert (means[:, MASKS] == 0).all()
    palette, shares, size = means[:, SUMMARY].chunk(3, dim=1)
    torch.testing.assert_close(palette[0], palette[1])
    torch.testing.assert_close(shares[0], shares[1])
    assert not torch.allclose(size[0], size[1])


def test_patterns_are_left_out_in_training_alone() -> None:
    config = PatternsConfig(dim=8, layers=0, heads=1, stem=0, pattern_dim=16, summary_dim=12, pattern_dropout=0.5)
    encoder = config.build(FACTS)
    grids, sizes = random_grids(), torch.full((6, 2), 6)

    assert not encoder(observed(grids, sizes)).values.equal(encoder(observed(grids, sizes)).values)
    assert encoder.eval()(observed(grids, sizes)).values.equal(encoder(observed(grids, sizes)).values)
