"""Augmentation of a batch on its device: one draw per sequence, the same for all its grids unless drawn apart.

Shapes: B sequences, G grids in each (context and target).

Knows the recipe's switches and the transforms of `jepa_core.grids`; not what is trained on the result.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from jepa_core.facts import Role
from jepa_core.grids import (
    apply_dihedral,
    permute_colours,
    random_colour_permutation,
    random_dihedral,
    random_enlargement,
    random_palette_permutation,
    random_translation,
    random_wrap,
)
from jepa_core.recipe.tables import Augmentation


def augment(grids: Tensor, sizes: Tensor, config: Augmentation, roles: Sequence[Role] = ()) -> tuple[Tensor, Tensor]:
    """Grids (B, T+1, H, W) and sizes (B, T+1, 2) to the same shapes, transformed as the recipe's table says.

    `roles` says which of the T + 1 places hold outputs. Draws come from torch's global generator of the grids' device.
    """
    num_sequences = grids.shape[0]
    if config.colours:
        grids = permute_colours(grids, random_colour_permutation(num_sequences, grids.device))
    if config.palette:
        grids = permute_colours(grids, random_palette_permutation(grids))
    if config.dihedral:
        grids, sizes = apply_dihedral(grids, sizes, random_dihedral(num_sequences, grids.device))
    if config.outputs:
        grids, sizes = _turn_outputs(grids, sizes, config.outputs, roles)
    if config.enlarge:
        grids, sizes = random_enlargement(grids, sizes, config.enlarge)
    if config.translation:
        grids, sizes = random_translation(grids, sizes)
    if config.wrap:
        grids = random_wrap(grids, sizes)
    return _apart(grids, sizes, config) if config.apart else (grids, sizes)


def _turn_outputs(grids: Tensor, sizes: Tensor, share: float, roles: Sequence[Role]) -> tuple[Tensor, Tensor]:
    """If the rule was f, it becomes g ∘ f, with g of the dihedral group: still one rule for all pairs."""
    is_drawn = torch.rand(len(grids), device=grids.device) < share
    element = torch.where(is_drawn, random_dihedral(len(grids), grids.device), 0)
    turned, turned_sizes = apply_dihedral(grids, sizes, element)
    is_output = [role == "output" for role in roles]
    return _where_output(is_output, turned, grids), _where_output(is_output, turned_sizes, sizes)


def _where_output(is_output: Sequence[bool], outputs: Tensor, others: Tensor) -> Tensor:
    """(B, T+1, …): place by place from the one or the other."""
    places = zip(is_output, outputs.unbind(1), others.unbind(1), strict=True)
    return torch.stack([output if chosen else other for chosen, output, other in places], 1)


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
