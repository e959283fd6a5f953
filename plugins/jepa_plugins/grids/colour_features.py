"""What is said of each colour of a grid before anything is learned: where it is, in which patterns, and how much of it.

The five groups, each scaled so that it has a length near one over all colours of a grid:

======== ====== ===============================================================================================
place    H · W  the colour's cells
pattern  512    how often each 3 × 3 neighbourhood of "this colour or not" occurs, wherever it is; square roots
layout   144    the colour's cells after the grid is resized to 12 × 12 cells
amount   6      whether it is there, its share of cells, whether it is the most frequent, its rank
size     2 · 51 height and width, each as one-hot and on a logarithmic scale; the same for all colours
======== ====== ===============================================================================================

Shapes: M grids of H × W cells (H = W), C = 10 colours. Knows nothing of embeddings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_plugins.grids.colours import OUTSIDE

NUM_COLOURS = OUTSIDE
NUM_PATTERNS = 2**9
LAYOUT_SIDE = 12
NUM_AMOUNTS = 6
_NUM_SCALES = 21
_LARGEST_POWER = 5.0
_SCALE_WIDTH = 0.25


def num_size_features(side: int) -> int:
    """Features of the group `size` for a canvas of `side` cells."""
    return 2 * (_NUM_SCALES + side + 1)


@dataclass(frozen=True)
class ColourFeatures:
    """Of M grids and C colours, float32."""

    place: Tensor
    """(M, C, H·W)"""
    pattern: Tensor
    """(M, C, 512)"""
    layout: Tensor
    """(M, C, 144)"""
    amount: Tensor
    """(M, C, 6)"""
    size: Tensor
    """(M, C, 2 · (21 + H + 1))"""


@torch.no_grad()
def colour_features(grids: Tensor, sizes: Tensor) -> ColourFeatures:
    """Grids (M, H, W) uint8 and sizes (M, 2) int64, described colour by colour."""
    colours = torch.arange(NUM_COLOURS, device=grids.device, dtype=grids.dtype)
    is_colour_MCHW = grids.unsqueeze(1) == colours[:, None, None]
    # Sums of float32 are vectorised, where those of integers are not; small whole numbers are exact in it.
    counts_MC = is_colour_MCHW.flatten(2).float().sum(-1)
    return ColourFeatures(
        place=_place(is_colour_MCHW, counts_MC),
        pattern=_patterns(is_colour_MCHW, grids < OUTSIDE),
        layout=_layout(is_colour_MCHW, sizes),
        amount=_amounts(counts_MC),
        size=_sizes(sizes, grids.shape[-1]),
    )


def _place(is_colour_MCHW: Tensor, counts_MC: Tensor) -> Tensor:
    """Half of the weight is spread evenly over cells, half evenly over colours: a rare colour's cells matter more."""
    num_cells_M1 = counts_MC.sum(1, keepdim=True).clamp(min=1)
    num_present_M1 = (counts_MC > 0).sum(1, keepdim=True).clamp(min=1)
    weight_MC = 0.5 * num_cells_M1.rsqrt() + 0.5 * (counts_MC.clamp(min=1) * num_present_M1).rsqrt()
    return is_colour_MCHW.flatten(2) * weight_MC.unsqueeze(-1)


def _patterns(is_colour_MCHW: Tensor, is_inside_MHW: Tensor) -> Tensor:
    """Square roots of the counts of neighbourhoods that hold the colour, of unit length over all colours."""
    padded = F.pad(is_colour_MCHW.to(torch.int16), (1, 1, 1, 1))
    # Bits 0 to 2 are the row above, 3 to 5 the row itself, 6 to 8 the row below; each from left to right.
    row_number = padded[..., :-2].add(padded[..., 1:-1], alpha=2).add_(padded[..., 2:], alpha=4)
    number_MCHW = row_number[..., :-2, :].add(row_number[..., 1:-1, :], alpha=8).add_(row_number[..., 2:, :], alpha=64)
    counts = _counts(number_MCHW.mul_(is_inside_MHW.unsqueeze(1)).flatten(2))
    return F.normalize(counts.sqrt_().flatten(1), dim=1).view_as(counts)


def _counts(number_MCP: Tensor) -> Tensor:
    """(M, C, 512): how often each number occurs but 0, which is for neighbourhoods without the colour, and outside."""
    shape = (*number_MCP.shape[:2], NUM_PATTERNS)
    if number_MCP.device.type == "cpu" and not torch.compiler.is_compiling():
        # Nearly all are 0, and are passed over. A GPU would be waited for, and a graph cannot know, how many are not.
        flat = number_MCP.flatten()
        at = flat.nonzero()[:, 0]
        place = at.div(number_MCP.shape[2], rounding_mode="floor").mul_(NUM_PATTERNS).add_(flat[at])
        return place.bincount(minlength=math.prod(shape)).view(shape).float()
    counts = torch.zeros(shape, device=number_MCP.device)
    counts.scatter_add_(2, number_MCP.long(), counts.new_ones(1, 1, 1).expand_as(number_MCP))
    counts[..., 0].zero_()
    return counts


def _layout(is_colour_MCHW: Tensor, sizes: Tensor) -> Tensor:
    """The nearest cell at the middle of each of 12 × 12 equal parts of the grid."""
    side = is_colour_MCHW.shape[-1]
    middle = (torch.arange(LAYOUT_SIDE, device=sizes.device) + 0.5) / LAYOUT_SIDE
    rows, columns = ((middle * sizes[:, axis, None]).long() for axis in (0, 1))
    index_ML = (rows.unsqueeze(2) * side + columns.unsqueeze(1)).flatten(1)
    index_MCL = index_ML.unsqueeze(1).expand(-1, NUM_COLOURS, -1)
    return is_colour_MCHW.flatten(2).gather(2, index_MCL).float() / LAYOUT_SIDE


def _amounts(counts_MC: Tensor) -> Tensor:
    is_there = (counts_MC > 0).float()
    share = counts_MC / counts_MC.sum(1, keepdim=True).clamp(min=1)
    rank = (share.unsqueeze(2) < share.unsqueeze(1)).float().mean(2)
    is_most = is_there * (share == share.amax(1, keepdim=True))
    evenly = is_there / is_there.sum(1, keepdim=True).clamp(min=1).sqrt()
    return torch.stack([evenly, is_there / 2, share.sqrt(), share, is_most, rank * is_there / 2], 2)


def _sizes(sizes: Tensor, side: int) -> Tensor:
    """Equal sizes are alike in both halves, near ones in the second; each colour has its part of the whole."""
    powers = torch.linspace(0, _LARGEST_POWER, _NUM_SCALES, device=sizes.device)
    distance_M2S = (sizes.clamp(min=1).float().log2().unsqueeze(-1) - powers) / _SCALE_WIDTH
    near_M2S = F.normalize((-0.5 * distance_M2S.square()).exp(), dim=-1)
    equal_M2S = (sizes.unsqueeze(-1) == torch.arange(side + 1, device=sizes.device)).float()
    described: Tensor = torch.cat([near_M2S, equal_M2S], -1).flatten(1) / (2 * NUM_COLOURS**0.5)
    return described.unsqueeze(1).expand(-1, NUM_COLOURS, -1)
