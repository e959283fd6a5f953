"""Where an axis has ticks, and what they say: steps of 1, 2 and 5, decades, whole numbers, percent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

_SLACK = 1e-9
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_PLAIN_BELOW = 10_000
_PREFIXED_BELOW = 1e12
_SMALLEST_PLAIN = 1e-3
_MOST_DECIMALS = 9


def linear_ticks(low: float, high: float, most: int, *, whole: bool = False) -> list[float]:
    """The multiples in `low` … `high` of the smallest step 1, 2 or 5 × 10ⁿ that has at most `most` of them.

    Args:
        low: start of the axis, finite.
        high: end of the axis, finite; nothing is ticked unless it is greater.
        most: how many ticks there is room for.
        whole: steps of at least one, for axes that count.
    """
    if not low < high or most < 1:
        return []
    exponent = math.floor(math.log10((high - low) / most)) - 1
    if whole:
        exponent = max(exponent, 0)
    while True:
        for mantissa in (1, 2, 5):
            first, last = _multiples(low, high, mantissa, exponent)
            if last - first < most:
                return [_times_power(mantissa * number, exponent) for number in range(first, last + 1)]
        exponent += 1


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Powers of ten in `low` … `high`, both positive; with their 2 and 5 where there is room, only every nth where not.

    Less than a decade, where not even two of these fall into it, is ticked as a linear axis is.
    """
    if not 0 < low < high or most < 1:
        return []
    first = math.ceil(math.log10(low) - _SLACK)
    last = math.floor(math.log10(high) + _SLACK)
    fine = [_times_power(mantissa, decade) for decade in range(first - 1, last + 1) for mantissa in (1, 2, 5)]
    fine = [tick for tick in fine if low * (1 - _SLACK) <= tick <= high * (1 + _SLACK)]
    if len(fine) < 2:
        return linear_ticks(low, high, most)
    if len(fine) <= most:
        return fine
    if last < first:
        return fine[:: math.ceil(len(fine) / most)]
    every = math.ceil((last - first + 1) / most)
    decades = [decade for decade in range(first, last + 1) if decade % every == 0] or [first]
    return [_times_power(1, decade) for decade in decades[:most]]


def tick_labels(ticks: Sequence[float], *, log: bool = False, percent: bool = False) -> list[str]:
    """Short texts: "0.25", "20 %", "12k", "2e−5".

    As many decimals as the step has; on a logarithmic axis as many as each tick needs.
    """
    shown = [tick * 100 for tick in ticks] if percent else list(ticks)
    gaps = [right - left for left, right in pairwise(shown)]
    step = 0.0 if log else min((gap for gap in gaps if gap > 0), default=0.0)
    suffix = " %" if percent else ""
    sizes = [abs(value) for value in shown if value]
    # Small ones are written alike: 1e-3 beside 9e-4, not 0.0010.
    is_small = bool(sizes) and min(sizes) < _SMALLEST_PLAIN and max(sizes) < 10 * _SMALLEST_PLAIN and not log
    return [_label(value, step, is_small=is_small) + suffix for value in shown]


def _multiples(low: float, high: float, mantissa: int, exponent: int) -> tuple[int, int]:
    """First and last whole number whose product with the step lies within."""
    start, end = (_times_power(bound / mantissa, -exponent) for bound in (low, high))
    slack = _SLACK * (end - start)
    return math.ceil(start - slack), math.floor(end + slack)


def _times_power(value: float, exponent: int) -> float:
    """Multiplied by ten to the power, exactly rounded where the power of ten is exact."""
    return value / 10.0**-exponent if exponent < 0 else value * 10.0**exponent


def _label(value: float, step: float, *, is_small: bool) -> str:
    size = abs(value)
    if size >= _PREFIXED_BELOW or 0 < size < _SMALLEST_PLAIN or (is_small and size):
        mantissa, _, exponent = f"{value:.1e}".partition("e")
        text = f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    elif size >= _PLAIN_BELOW:
        unit, prefix = next((unit, prefix) for unit, prefix in _PREFIXES if size >= unit)
        text = _plain(value / unit, step / unit) + prefix
    else:
        text = _plain(value, step)
    return text.replace("-", "−")


def _plain(value: float, step: float) -> str:
    """`value` to the decimals of `step`; to those it needs where there is none."""
    if not value:
        return "0"
    if not step:
        return f"{value:.6g}"
    decimals = max(0, -math.floor(math.log10(step) + _SLACK))
    return f"{value:.{min(decimals, _MOST_DECIMALS)}f}"
