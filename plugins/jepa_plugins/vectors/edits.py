"""Small edits of vectors, batched, on their device; and the change of a single value, which series fall back on.

An edit is undone by the same draw, or by one that is as likely. Draws come from torch's global generator.
Shapes: S sequences, T moments of each, D numbers, F numbers of one observation of C channels, the channel last.
"""

from __future__ import annotations

import torch
from torch import Tensor

_SMALL_SHARE = 4
"""An edit is of at most one in so many numbers, and of one at least."""

_RANGE_TOLERANCE, _SIZE_TOLERANCE = 1e-4, 1e-6
"""Of a channel's range and largest size in a sequence: within that two values are the same, but for rounding."""


def edited(values_SD: Tensor, moments_STD: Tensor) -> Tensor:
    """Each vector with one random edit, by the moments of its sequence; never the same vector."""
    first, second = (_drawn_moment(moments_STD) for _ in range(2))
    turned = first + second - values_SD
    moved = values_SD + first - second
    is_turned = torch.rand(len(values_SD), 1, device=values_SD.device) < 0.5
    chosen = _few(values_SD)
    changed = torch.where(chosen, torch.where(is_turned, turned, moved), values_SD)
    return with_a_change(values_SD, changed, moments_STD)


def with_a_change(values_SF: Tensor, changed_SF: Tensor, pool_SPC: Tensor) -> Tensor:
    """(S, F): the changed values, with one value redrawn from the pool where rounding is all that changed."""
    num_channels = pool_SPC.shape[-1]
    differences_SFC = (changed_SF - values_SF).abs().unflatten(-1, (-1, num_channels))
    is_same = (differences_SFC <= _tolerance(pool_SPC)[:, None]).flatten(1).all(1)
    return torch.where(is_same[:, None], with_one_value_redrawn(values_SF, pool_SPC), changed_SF)


def with_one_value_redrawn(values_SF: Tensor, pool_SPC: Tensor) -> Tensor:
    """(S, F): one value of each becomes another of its channel in the pool (S, P, C).

    Where the channel has no other it moves up or down a little.
    """
    rows = torch.arange(len(values_SF), device=values_SF.device)
    place = drawn_below(torch.full_like(rows, values_SF.shape[1]))
    channel = place % pool_SPC.shape[-1]
    column_SP = pool_SPC[rows, :, channel]
    tolerance = _tolerance(pool_SPC)[rows, channel]
    now = values_SF[rows, place]
    new = column_SP[rows, drawn_below(torch.full_like(rows, column_SP.shape[1]))]
    least, most = column_SP.amin(1), column_SP.amax(1)
    farthest = torch.where(most - now >= now - least, most, least)
    new = torch.where((new - now).abs() > tolerance, new, farthest)
    sign = torch.where(torch.rand(len(rows), device=now.device) < 0.5, -1.0, 1.0)
    new = torch.where((new - now).abs() > tolerance, new, now + sign * _unit(column_SP))
    changed = values_SF.clone()
    changed[rows, place] = new
    return changed


def drawn_below(limit: Tensor) -> Tensor:
    """(S,) int64 limits above 0 to as many numbers 0 … limit − 1."""
    # In float32 a draw near 1, multiplied, may round up to the limit.
    return torch.minimum((torch.rand(limit.shape, device=limit.device) * limit).long(), limit - 1)


def _drawn_moment(moments_STD: Tensor) -> Tensor:
    rows = torch.arange(len(moments_STD), device=moments_STD.device)
    return moments_STD[rows, drawn_below(torch.full_like(rows, moments_STD.shape[1]))]


def _few(values_SD: Tensor) -> Tensor:
    """(S, D) bool: which numbers are edited, one at least and a quarter of them at most."""
    num, dim = values_SD.shape
    most = torch.full((num,), max(1, dim // _SMALL_SHARE), device=values_SD.device)
    place = torch.rand(num, dim, device=values_SD.device).argsort(1).argsort(1)
    return place <= drawn_below(most)[:, None]


def _tolerance(pool_SPC: Tensor) -> Tensor:
    """(S, C): within which two values are the same, but for rounding."""
    scope = pool_SPC.amax(1) - pool_SPC.amin(1)
    return _RANGE_TOLERANCE * scope + _SIZE_TOLERANCE * pool_SPC.abs().amax(1)


def _unit(column_SP: Tensor) -> Tensor:
    """(S,): a step that shows, whatever the channel's scale."""
    unit = torch.maximum(0.1 * (column_SP.amax(1) - column_SP.amin(1)), 1e-3 * column_SP.abs().amax(1))
    return torch.where(unit > 0, unit, 1.0)
