"""Drawing scenes: from attributes of objects to grids.

Shapes are all 4-connected patterns of 3 × 3 cells that look different in each of their eight orientations, so that
turning or mirroring an object always shows. A shape grows within 5 × 5 cells around its centre. The grid is a torus.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_plugins.grids.datasets.trace_programs import NUM_GROWTHS, NUM_MIRRORINGS, NUM_TURNS, Scenes

_REACH = 2
"""Cells from the centre of an object to its border, when grown."""
_STAMP_CELLS = (2 * _REACH + 1) ** 2


@cache
def stamps() -> Tensor:
    """(shapes + 1, growths, turns, mirrorings, 5, 5) bool: the cells of each shape; the last shape has none."""
    patterns = _all_patterns()
    patterns = torch.cat([patterns[_is_usable(patterns)], patterns.new_zeros(1, 3, 3)])
    oriented = torch.stack(
        [torch.stack(orientations, dim=1) for orientations in _orientations(F.pad(patterns, (1, 1, 1, 1)))], dim=1
    )
    return torch.stack(_grown(oriented), dim=1)


def num_shapes() -> int:
    """Shapes, without the empty one."""
    return int(stamps().shape[0]) - 1


def draw(scenes: Scenes, side: int) -> Tensor:
    """Attributes (..., K) to grids (..., side, side) uint8 on background 0; later objects cover earlier ones."""
    batch, num_objects = scenes.rows.shape[:-1], scenes.rows.shape[-1]
    beyond = side * side
    canvas = torch.zeros(*batch, beyond + 1, dtype=torch.uint8)
    around = torch.arange(-_REACH, _REACH + 1)
    for k in range(num_objects):
        rows = (scenes.rows[..., k, None] + around) % side
        columns = (scenes.columns[..., k, None] + around) % side
        shape = scenes.patterns[..., k], scenes.growths[..., k], scenes.turns[..., k], scenes.mirrorings[..., k]
        cells = torch.where(stamps()[shape], rows[..., :, None] * side + columns[..., None, :], beyond)
        colours = (scenes.shades[..., k, None] + 1).to(torch.uint8).expand(*batch, _STAMP_CELLS)
        canvas.scatter_(-1, cells.flatten(-2), colours)
    return canvas[..., :beyond].reshape(*batch, side, side)


def _all_patterns() -> Tensor:
    """(512, 3, 3) bool."""
    bits = torch.arange(2**9)[:, None] >> torch.arange(9) & 1
    return bits.bool().view(-1, 3, 3)


def _is_usable(patterns: Tensor) -> Tensor:
    """(P, 3, 3) to (P,) bool: of one piece, and different in each turn and mirroring."""
    images = torch.stack([image for pair in _orientations(patterns) for image in pair], dim=1)
    numbers = (images.flatten(2) << torch.arange(9)).sum(-1).sort(-1).values
    differs = (numbers[:, 1:] != numbers[:, :-1]).all(1)
    return patterns.flatten(1).any(1) & _is_connected(patterns) & differs


def _is_connected(patterns: Tensor) -> Tensor:
    """(P, 3, 3) to (P,) bool."""
    first = patterns.flatten(1).int().argmax(1)
    reached = F.one_hot(first, patterns[0].numel()).bool().view_as(patterns)
    for _ in range(patterns[0].numel()):
        reached = _with_neighbours(reached) & patterns
    return (reached == patterns).flatten(1).all(1)


def _orientations(patterns: Tensor) -> list[list[Tensor]]:
    """(P, n, n) to lists over turns and mirrorings of the same."""
    return [
        [torch.rot90(image, turn, (-2, -1)) for image in (patterns, patterns.flip(-1))[:NUM_MIRRORINGS]]
        for turn in range(NUM_TURNS)
    ]


def _with_neighbours(cells: Tensor) -> Tensor:
    """Cells (..., n, n) bool and those above, below, left and right of them."""
    padded = F.pad(cells, (1, 1, 1, 1))
    inner, before, after = slice(1, -1), slice(None, -2), slice(2, None)
    shifts = [(inner, inner), (before, inner), (after, inner), (inner, before), (inner, after)]
    return torch.stack([padded[..., rows, columns] for rows, columns in shifts]).any(0)


def _grown(cells: Tensor) -> list[Tensor]:
    """The cells as they are, with their 4 neighbours, and with all 8."""
    square = F.max_pool2d(cells.flatten(0, -3).float(), 3, stride=1, padding=1).bool().view_as(cells)
    return [cells, _with_neighbours(cells), square][:NUM_GROWTHS]
