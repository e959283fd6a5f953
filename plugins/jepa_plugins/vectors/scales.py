"""Channels brought to one scale: each by its mean and standard deviation among what trains, which their space keeps."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import torch
from torch import Tensor

from jepa_plugins.vectors.real_values import ChannelFigures, parts_of

Scales: TypeAlias = tuple[tuple[float, float], ...]
"""Mean and standard deviation of each channel; empty where values stay as they were given."""

_DIGITS = 6
"""Digits of a standard deviation that are kept: the last ones of a sum hang on how many threads added it up, and a
resumed run goes by the same numbers on any machine."""

_SHOWN = 2
"""Channels whose scale a sentence says."""


def scales_of(found: ChannelFigures) -> Scales:
    """A channel that never changes becomes zeros: its deviation counts as 1."""
    columns = (found.mean, found.std, found.least, found.is_constant)
    return tuple(
        (least, 1.0) if is_constant else _rounded(mean, std)
        for mean, std, least, is_constant in zip(*(column.tolist() for column in columns), strict=True)
    )


def _rounded(mean: float, std: float) -> tuple[float, float]:
    return round(mean, _DIGITS - math.floor(math.log10(std))), float(f"{std:.{_DIGITS}g}")


def scaled(values: Tensor, scales: Scales) -> Tensor:
    """Values (…, C) by scales of as many channels, a float32 copy; as they are where there are none."""
    if not scales:
        return values
    means, stds = torch.tensor(scales, dtype=torch.float64, device=values.device).unbind(1)
    rows = values.reshape(-1, len(scales))
    made = torch.empty_like(rows)
    # In double precision, or a small change of a large value is lost.
    for part, its in zip(parts_of(rows), parts_of(made), strict=True):
        its.copy_((part.double() - means) / stds)
    return made.view(values.shape)


def as_scales(given: Any) -> Scales:
    """What a checkpoint or a plugin says, checked; lists are as good as tuples.

    Raises:
        TypeError, ValueError: they are no pairs of finite numbers with a deviation above 0.
    """
    scales = tuple((float(mean), float(std)) for mean, std in given)
    for mean, std in scales:
        if not (math.isfinite(mean) and math.isfinite(std) and std > 0):
            raise ValueError(f"standardised must hold finite means and deviations above 0 (got {mean}, {std})")
    return scales


def check_scales(scales: Scales, num_channels: int, noun: str) -> None:
    """
    Raises:
        ValueError: there are some, and not one for each channel.
    """
    if len(scales) not in (0, num_channels):
        raise ValueError(f"standardised must hold one pair for each {noun}, {num_channels} (got {len(scales)})")


def scales_text(scales: Scales, noun: str) -> str:
    """The first ones, such as "channel 0 by 1013 and 0.112"; `noun` is what a channel is called."""
    told = [f"{noun} {index} by {mean:.4g} and {std:.3g}" for index, (mean, std) in enumerate(scales[:_SHOWN])]
    return ", ".join(told) + (", …" if len(scales) > _SHOWN else "")
