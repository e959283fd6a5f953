"""Numbers that lose what varies about them as float32, which observations are: such as times in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from jepa_plugins.vectors.real_values import parts_of

Doubles: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

_MUCH = 0.01
"""Of the range of a channel's values: what rounding may take."""

_HALF_OF_LAST_DIGIT = 2.0**-24
"""Of a float32, relative to it."""

_EXACT = (torch.float32, torch.float16, torch.bfloat16, torch.bool, torch.uint8, torch.int8, torch.int16)


def rounding_notes(least: Doubles, most: Doubles, columns: Iterable[int], named: Callable[[int], str]) -> list[str]:
    """A line for each of the first few columns whose values rounding spoils; `least` and `most` are of each column."""
    rounding = np.maximum(np.abs(least), np.abs(most)) * _HALF_OF_LAST_DIGIT
    spans = most - least
    spoilt = [index for index in columns if spans[index] > 0 and rounding[index] > _MUCH * spans[index]]
    return [
        f"{named(index)}: as float32 its values are rounded by up to {rounding[index]:.3g}, and they range over "
        f"{spans[index]:.3g} in all; subtract what they have in common"
        for index in spoilt[:3]
    ]


def notes_of_array(stored: Tensor, noun: str) -> list[str]:
    """The same of an array (…, C) as a file holds it, or (time,); `noun` is what a channel is called."""
    if stored.dtype in _EXACT:
        return []
    values = stored if stored.dim() > 1 else stored[:, None]
    dims = tuple(range(values.dim() - 1))
    least, most = (
        torch.stack([getattr(part, which)(dims).double() for part in parts_of(values)]) for which in ("amin", "amax")
    )
    columns = range(values.shape[-1])
    return rounding_notes(least.amin(0).numpy(), most.amax(0).numpy(), columns, lambda index: f"{noun} {index}")
