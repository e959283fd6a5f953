"""Augmentation of a batch on its device: one draw per sequence, the same for all its grids unless drawn apart.

Shapes: B sequences, G grids in each (context and target).

Knows the recipe's switches and the transforms of `jepa_core.grids`; not what is trained on the result.
"""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_core.grids import (
    apply_dihedral,
    permute_colours,
    random_colour_permutation,
    random_dihedral,
    random_palette_permutation,
    random_translation,
    random_wrap,
)
from jepa_core.recipe.tables import Augmentation


def augment(grids: Tensor, sizes: Tensor, config: Augmentation) -> tuple[Tensor, Tensor]:
    """Grids (B, G, H, W) and sizes (B, G, 2) to the same shapes, transformed as the recipe's table says.

    Draws come from torch's global generator of the grids' device.
    """
    num_sequences = grids.shape[0]
    if config.colours:
        grids = permute_colours(grids, random_colour_permutation(num_sequences, grids.device))
    if config.palette:
        grids = permute_colours(grids, random_palette_permutation(grids))
    if config.dihedral:
        grids, sizes = apply_dihedral(grids, sizes, random_dihedral(num_sequences, grids.device))
    if config.translation:
        grids, sizes = random_translation(grids, sizes)
    if config.wrap:
        grids = random_wrap(grids, sizes)
    return _apart(grids, sizes, config) if config.apart else (grids, sizes)


def _apart(grids: Tensor, sizes: Tensor, config: Augmentation) -> tuple[Tensor, Tensor]:
    """Draw once more for each grid of the chosen share of sequences; the others stay as they are."""
    num_sequences, num_grids = grids.shape[:2]
    chosen_B = torch.rand(num_sequences, device=grids.device) < config.apart
    apart_BG, apart_sizes_BG = grids, sizes
    if config.palette:
        permutation = random_palette_permutation(grids.repeat_interleave(num_grids, 0))
        apart_BG = permute_colours(apart_BG.flatten(0, 1)[:, None], permutation).view_as(grids)
    if config.dihedral:
        element = random_dihedral(num_sequences * num_grids, grids.device)
        turned, turned_sizes = apply_dihedral(apart_BG.flatten(0, 1)[:, None], sizes.flatten(0, 1)[:, None], element)
        apart_BG, apart_sizes_BG = turned.view_as(grids), turned_sizes.view_as(sizes)
    return (
        torch.where(chosen_B[:, None, None, None], apart_BG, grids),
        torch.where(chosen_B[:, None, None], apart_sizes_BG, sizes),
    )
