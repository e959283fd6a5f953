"""Augmentation of a batch on its device: one draw per sequence, the same for all its grids.

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
    random_translation,
    random_wrap,
)
from jepa_core.observations import Observations
from jepa_core.recipe.tables import Augmentation


def augment(batch: Observations, config: Augmentation, roles: Sequence[Role] = ()) -> Observations:
    """Grids (B, T+1, H, W) and sizes (B, T+1, 2) to the same shapes, transformed as the recipe's table says.

    `roles` says which of the T + 1 places hold outputs. Draws come from torch's global generator of the grids' device.
    """
    grids, sizes = batch["grid"], batch["size"]
    num_sequences = grids.shape[0]
    if config.colours:
        grids = permute_colours(grids, random_colour_permutation(num_sequences, grids.device))
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
    return Observations({"grid": grids, "size": sizes})


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
