"""Small edits of series, batched, on their device: a piece reversed, two exchanged, a roll by a step, a piece turned.

The first, the second and the last are undone by the same draw, a roll by the one the other way, which is as likely: no
direction along a chain of edits is marked. Draws come from torch's global generator.
Shapes: S series of L steps and C channels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_plugins.vectors.edits import drawn_below, with_a_change


def edited(values_SLC: Tensor, pool_SPC: Tensor) -> Tensor:
    """Each series with one random edit; never the same series.

    Where the edit leaves a series as it was, one value becomes another of the pool, which is the steps of its sequence.
    """
    kind = torch.randint(len(_KINDS), (len(values_SLC),), device=values_SLC.device)
    changed = values_SLC.clone()
    for number, edit in enumerate(_KINDS):
        rows = (kind == number).nonzero().squeeze(1)
        changed[rows] = edit(values_SLC[rows])
    return with_a_change(values_SLC.flatten(1), changed.flatten(1), pool_SPC).view_as(values_SLC)


def reversed_piece(values_SLC: Tensor) -> Tensor:
    """The steps of a piece of up to half the length in the opposite order."""
    steps = _steps(values_SLC)
    start, length = _drawn_piece(values_SLC)
    mirrored = 2 * start + length - 1 - steps
    return _taken(values_SLC, torch.where(_within(steps, start, length), mirrored, steps))


def exchanged_pieces(values_SLC: Tensor) -> Tensor:
    """Two pieces of one length, which do not overlap, change places."""
    num, total = values_SLC.shape[:2]
    if total < 2:
        return values_SLC
    steps = _steps(values_SLC)
    limit = torch.full((num,), total, device=values_SLC.device)
    length = 1 + drawn_below(limit // 2)
    first = drawn_below(limit - 2 * length + 1)
    second = first + length + drawn_below(limit - 2 * length - first + 1)
    length, first, second = length[:, None], first[:, None], second[:, None]
    source = torch.where(_within(steps, first, length), steps + second - first, steps)
    return _taken(values_SLC, torch.where(_within(steps, second, length), steps + first - second, source))


def rolled(values_SLC: Tensor) -> Tensor:
    """All steps one later or one earlier; what leaves at one end comes in at the other."""
    num, total = values_SLC.shape[:2]
    step = torch.where(torch.rand(num, 1, device=values_SLC.device) < 0.5, -1, 1)
    return _taken(values_SLC, (_steps(values_SLC) + step) % total)


def turned_piece(values_SLC: Tensor) -> Tensor:
    """The steps of a piece mirrored at its mean: what was above it is as far below."""
    steps = _steps(values_SLC)
    start, length = _drawn_piece(values_SLC)
    inside = _within(steps, start, length)[..., None]
    mean = (values_SLC * inside).sum(1, keepdim=True) / length[..., None]
    return torch.where(inside, 2 * mean - values_SLC, values_SLC)


def _drawn_piece(values_SLC: Tensor) -> tuple[Tensor, Tensor]:
    """(S, 1) and (S, 1): first step and length, from two steps to half of all."""
    num, total = values_SLC.shape[:2]
    limit = torch.full((num,), total, device=values_SLC.device)
    longest = min(total, max(2, total // 2))
    length = longest - drawn_below(torch.full_like(limit, max(1, longest - 1)))
    return drawn_below(limit - length + 1)[:, None], length[:, None]


def _steps(values_SLC: Tensor) -> Tensor:
    """(S, L): the number of each step."""
    num, total = values_SLC.shape[:2]
    return torch.arange(total, device=values_SLC.device).expand(num, total)


def _within(steps: Tensor, start: Tensor, length: Tensor) -> Tensor:
    return (steps >= start) & (steps < start + length)


def _taken(values_SLC: Tensor, source_SL: Tensor) -> Tensor:
    """Step l of each series becomes its step source[l]."""
    return values_SLC.gather(1, source_SL[..., None].expand_as(values_SLC))


_KINDS = (reversed_piece, exchanged_pieces, rolled, turned_piece)
