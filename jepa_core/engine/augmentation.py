"""Augmentation of a batch on its device: one draw per sequence, the same for all its grids.

Knows the recipe's switches and the transforms of `jepa_core.grids`; not what is trained on the result.
"""

from __future__ import annotations

from torch import Tensor

from jepa_core.grids import (
    apply_dihedral,
    permute_colours,
    random_colour_permutation,
    random_dihedral,
    random_translation,
)
from jepa_core.recipe.tables import Augmentation


def augment(grids: Tensor, sizes: Tensor, config: Augmentation) -> tuple[Tensor, Tensor]:
    """Grids (B, T+1, H, W) and sizes (B, T+1, 2) to the same shapes, transformed as the recipe's table says.

    Draws come from torch's global generator of the grids' device.
    """
    num_sequences = grids.shape[0]
    if config.colours:
        grids = permute_colours(grids, random_colour_permutation(num_sequences, grids.device))
    if config.dihedral:
        grids, sizes = apply_dihedral(grids, sizes, random_dihedral(num_sequences, grids.device))
    if config.translation:
        grids, sizes = random_translation(grids, sizes)
    return grids, sizes
