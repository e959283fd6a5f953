"""Taking figures out of what a run has recorded, which may be damaged, of another version, or made to harm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from jepa_core.recorded_numbers import decode_number

MOST_NUMBERS = 1 << 16
"""Of one recorded list that are looked at."""


def numbers(recorded: Any) -> tuple[float, ...]:
    """A recorded list of figures; empty when it is none. What is no figure in it is not-a-number."""
    if not isinstance(recorded, list):
        return ()
    figures = (decode_number(entry) for entry in recorded[:MOST_NUMBERS])
    return tuple(math.nan if figure is None else figure for figure in figures)


def counts(recorded: Any) -> tuple[int, ...]:
    """A recorded list of counts; what is none counts as zero."""
    return tuple(int(figure) if 0 < figure < math.inf else 0 for figure in numbers(recorded))


def table(recorded: Any) -> Mapping[str, Any]:
    """A recorded table; empty when it is none."""
    return recorded if isinstance(recorded, Mapping) else {}


def figure(recorded: Mapping[str, Any], name: str) -> float | None:
    """A recorded figure; None when it is none."""
    return decode_number(recorded.get(name))


def perplexity(weights: tuple[float, ...]) -> float:
    """Exponential of the entropy of non-negative weights: how many of them count, evenly; NaN when none does."""
    total = sum(weight for weight in weights if weight > 0)
    if not 0 < total < math.inf or any(math.isnan(weight) for weight in weights):
        return math.nan
    shares = (weight / total for weight in weights if weight > 0)
    return math.exp(-sum(share * math.log(share) for share in shares))
