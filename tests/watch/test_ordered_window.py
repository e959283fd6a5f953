from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_core.watch.history import History
from jepa_core.watch.ordered_window import OrderedWindow

values = st.one_of(st.floats(-100, 100), st.integers(-3, 3).map(float), st.just(math.nan), st.just(math.inf))


@settings(max_examples=200, deadline=None)
@given(st.lists(values, min_size=1, max_size=40), st.integers(1, 8), st.integers(0, 5), st.integers(0, 39))
def test_a_window_kept_up_to_date_equals_the_sorted_slice(
    recorded: list[float], size: int, skipped: int, asked_from: int
) -> None:
    history = History(["a"])
    medians: list[float] = []
    for row, value in enumerate(recorded):
        history.observe({"a": value})
        end = row + 1 - skipped
        part = [kept for kept in recorded[max(0, end - size) : max(0, end)] if not math.isnan(kept)]
        is_full = end >= size
        middle = statistic(part, 0.5) if is_full else math.nan
        medians += [] if math.isnan(middle) else [middle]
        if row < asked_from:  # a window may be asked for late
            continue
        window = history.ordered("a", size, skipped)
        assert (window is not None) is is_full
        if window is None:
            continue
        assert window.median() == pytest.approx(middle, nan_ok=True)
        assert window.lowest_median == pytest.approx(min(medians, default=math.nan), nan_ok=True)
        assert window.highest_median == pytest.approx(max(medians, default=math.nan), nan_ok=True)


def statistic(part: list[float], share: float) -> float:
    """Of the sorted values, half-way between two in the middle; infinities stay what they are."""
    if not part:
        return math.nan
    ordered = sorted(part)
    place = share * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low if low == high else low + (place - math.floor(place)) * (high - low)


def test_quantiles_are_those_of_numpy() -> None:
    draw = np.random.default_rng(1).standard_normal(31)
    window = OrderedWindow(31)
    for value in draw:
        window.append(float(value))
    for share in (0.0, 0.1, 0.25, 0.5, 0.9, 1.0):
        assert window.quantile(share) == pytest.approx(np.quantile(draw, share))
