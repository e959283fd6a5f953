"""Connected components of many grids at once, on the device: 4-connected cells of one colour.

Minimum labels with full shortcutting (the family of Liu and Tarjan, arXiv 1812.06177) in a number of rounds that
depends on the grids' shape alone, so nothing waits for the host and the function compiles.

Why the rounds are enough, for a component of k > 1 cells:

- At first each cell points to its equal neighbour above, else to the left; a *corner*, which has neither, is a root.
  Each of the m other cells has at most two such neighbours, so there are at most 2m pairs of neighbours; to connect k
  cells takes k − 1 pairs. Hence k − m − 1 ≤ m, and at most (k + 1) / 2 cells are roots.
- In each round every root hooks to the least label next to its tree, if that is less than its own. A root v that hooks
  in neither of two rounds has taken in each of its neighbours in the first: if neighbour u had hooked elsewhere, to
  w < v, then v would have stood beside w's tree in the second. So of n(i) roots at round i, n(i) − n(i+1) hook, and
  n(i+2) ≤ n(i) − n(i+1): the numbers fall at least as fast as Fibonacci's.
- Labels fall along a chain of hooks, so it is shorter than the number of roots, and each jump halves it.

Knows nothing of colours' meaning, sizes or features.
"""

from __future__ import annotations

import torch
from torch import Tensor

_BLOCKED = 1 << 30
"""Or-ed to a neighbour's label where colours differ: greater than any label."""


def connected_components(grids: Tensor) -> Tensor:
    """Grids (M, H, W) of integers to labels (M, H, W) int32: cells of a grid have one label if they are connected.

    The label is the component's first cell in scan order, as a flat index over all M·H·W < 2³⁰ cells. Cells of every
    value are labelled, background and outside too.
    """
    height, width = grids.shape[1:]
    same_left = torch.zeros_like(grids, dtype=torch.bool)
    same_left[:, :, 1:] = grids[:, :, 1:] == grids[:, :, :-1]
    same_above = torch.zeros_like(grids, dtype=torch.bool)
    same_above[:, 1:] = grids[:, 1:] == grids[:, :-1]
    cells = torch.arange(grids.numel(), dtype=torch.int32, device=grids.device)
    step_back = same_above * width + (same_left & ~same_above)
    labels = _shortcut(cells - step_back.flatten().int(), longest=height + width - 2)

    blocked_left = (~same_left).flatten().int() * _BLOCKED
    blocked_above = (~same_above).flatten().int() * _BLOCKED
    for num_roots in _roots_by_round((height * width + 1) // 2):
        least = _least_label_nearby(labels, blocked_left, blocked_above, width)
        hooked = cells.scatter_reduce(0, labels.long(), least, "amin")
        labels = _shortcut(hooked, longest=num_roots - 1).index_select(0, labels)
    return labels.view_as(grids)


def _roots_by_round(num_roots: int) -> list[int]:
    """For each round that may be needed, a bound on a component's roots before it; these halve every two rounds."""
    rounds, fewest, fewest_for_one_more = 0, 2, 3
    while num_roots >= fewest:
        rounds += 1
        fewest, fewest_for_one_more = fewest_for_one_more, fewest + fewest_for_one_more
    return [max(2, num_roots >> (done // 2)) for done in range(rounds)]


def _least_label_nearby(labels: Tensor, blocked_left: Tensor, blocked_above: Tensor, width: int) -> Tensor:
    """The least label among each cell and its equal neighbours, (C,)."""
    least = torch.minimum(labels, labels.roll(1) | blocked_left)
    least = torch.minimum(least, labels.roll(width) | blocked_above)
    least = torch.minimum(least, (labels | blocked_left).roll(-1))
    return torch.minimum(least, (labels | blocked_above).roll(-width))


def _shortcut(parents: Tensor, *, longest: int) -> Tensor:
    """Let every element point to the root of its chain, for chains of at most `longest` steps."""
    for _ in range(max(0, longest - 1).bit_length()):
        parents = parents.index_select(0, parents)
    return parents
