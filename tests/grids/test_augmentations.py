"""Augmentations of grids: which does what, and that all grids of a sequence share a draw."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from jepa_core.facts import AugmentationFacts, Role, frames
from jepa_core.observations import Observations
from jepa_plugins.grids.augmentations import (
    ColoursConfig,
    DihedralConfig,
    EnlargeConfig,
    OutputsConfig,
    TranslationConfig,
    WrapConfig,
)
from jepa_plugins.grids.space import GridSpace

EVERYTHING = (ColoursConfig(), DihedralConfig(), TranslationConfig())


def batch_of_repeated_grids(num: int = 32) -> tuple[Tensor, Tensor]:
    """Sequences of four copies of one random grid, 4 × 6 within 8 × 8."""
    grids = torch.full((num, 4, 8, 8), 10, dtype=torch.uint8)
    grids[:, :, :4, :6] = torch.randint(0, 10, (num, 1, 4, 6), dtype=torch.uint8)
    grids[:, :, 0, :] = grids[:, :, 0, :].where(grids[:, :, 0, :] == 10, 0)
    return grids, torch.tensor([4, 6]).expand(num, 4, 2)


def augmented(
    grids: Tensor, sizes: Tensor, *configs: Any, roles: tuple[Role, ...] = frames(4)
) -> tuple[Tensor, Tensor]:
    batch = Observations({"grid": grids, "size": sizes})
    for config in configs:
        batch = config.build(AugmentationFacts(space=GridSpace(side=8), roles=roles))(batch)
    return batch["grid"], batch["size"]


def test_all_grids_of_a_sequence_share_one_draw() -> None:
    out, out_sizes = augmented(*batch_of_repeated_grids(), *EVERYTHING)
    assert out.equal(out[:, :1].expand_as(out))
    assert out_sizes.equal(out_sizes[:, :1].expand_as(out_sizes))


def test_sequences_draw_independently() -> None:
    grids, sizes = batch_of_repeated_grids(1)
    out, _ = augmented(grids.repeat(32, 1, 1, 1), sizes.repeat(32, 1, 1), *EVERYTHING)
    assert len(out.unique(dim=0)) > 16


def test_one_seed_gives_one_augmentation() -> None:
    grids, sizes = batch_of_repeated_grids()
    torch.manual_seed(5)
    first, _ = augmented(grids, sizes, *EVERYTHING)
    torch.manual_seed(5)
    second, _ = augmented(grids, sizes, *EVERYTHING)
    assert first.equal(second)


def test_colours_change_no_size_and_no_background() -> None:
    grids, sizes = batch_of_repeated_grids()
    out, out_sizes = augmented(grids, sizes, ColoursConfig())
    assert out_sizes.equal(sizes)
    assert (out == 0).equal(grids == 0)
    assert not out.equal(grids)


def test_dihedral_swaps_sizes_of_some_sequences_and_keeps_the_count_of_every_colour() -> None:
    grids, sizes = batch_of_repeated_grids()
    out, out_sizes = augmented(grids, sizes, DihedralConfig())
    assert {tuple(size) for size in out_sizes[:, 0].tolist()} == {(4, 6), (6, 4)}
    assert out.flatten(2).sort().values.equal(grids.flatten(2).sort().values)


def test_translation_moves_content_into_the_empty_row_and_nowhere_else() -> None:
    grids, sizes = batch_of_repeated_grids()
    grids[:, :, 1:4, :6] = grids[:, :, 1:4, :6].clamp(1, 9)
    out, _ = augmented(grids, sizes, TranslationConfig())
    shifted_up = grids.clone()
    shifted_up[:, :, :3, :6], shifted_up[:, :, 3, :6] = grids[:, :, 1:4, :6], 0
    stays = (out == grids).flatten(1).all(1)
    moves = (out == shifted_up).flatten(1).all(1)
    assert (stays | moves).all()
    assert stays.any()
    assert moves.any()


def test_some_sequences_have_their_outputs_turned_all_alike_and_never_an_input() -> None:
    grids, sizes = batch_of_repeated_grids(64)
    out, out_sizes = augmented(grids, sizes, OutputsConfig(share=0.5), roles=("input", "output", "input", "output"))

    assert out[:, ::2].equal(grids[:, ::2])
    assert out[:, 1].equal(out[:, 3])
    assert out_sizes[:, 1].equal(out_sizes[:, 3])
    num_turned = (out[:, 1] != grids[:, 1]).flatten(1).any(1).sum()
    assert 10 < num_turned < 54


def test_targets_alone_are_turned_as_the_outputs_that_they_are() -> None:
    grids, sizes = batch_of_repeated_grids(64)
    pairs: tuple[Role, ...] = ("input", "output", "input", "output")
    out, _ = augmented(grids[:, -1:], sizes[:, -1:], OutputsConfig(share=1.0), roles=pairs)
    assert out.shape == grids[:, -1:].shape
    assert (out != grids[:, -1:]).flatten(1).any(1).sum() > 32


def test_some_sequences_are_enlarged_where_every_grid_fits() -> None:
    grids, sizes = batch_of_repeated_grids(64)
    grids, sizes = grids[..., :3, :3].repeat(1, 1, 4, 4)[..., :8, :8].clone(), torch.full((64, 4, 2), 3)
    grids[..., 3:, :], grids[..., :, 3:] = 10, 10
    sizes[:8, 2] = 5
    out, out_sizes = augmented(grids, sizes, EnlargeConfig(share=0.5))

    enlarged = (out_sizes == 2 * sizes).flatten(1).all(1)
    assert not enlarged[:8].any()
    assert 10 < enlarged.sum() < 46
    assert out[~enlarged].equal(grids[~enlarged])
    assert out[enlarged][..., 0:6:2, 0:6:2].equal(grids[enlarged][..., :3, :3])
    assert out[enlarged][..., 1:6:2, 1:6:2].equal(grids[enlarged][..., :3, :3])
    assert (out[enlarged][..., 6:, :] == 10).all()


def test_wrap_keeps_every_colour_of_every_grid_and_shares_its_draw() -> None:
    grids, sizes = batch_of_repeated_grids()
    out, out_sizes = augmented(grids, sizes, WrapConfig())
    assert out_sizes.equal(sizes)
    assert out.flatten(2).sort().values.equal(grids.flatten(2).sort().values)
    assert out.equal(out[:, :1].expand_as(out))
    assert not out.equal(grids)
