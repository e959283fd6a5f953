from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_core.watch.history import MAX_WINDOW, History

values = st.one_of(st.floats(-100, 100), st.just(math.nan), st.just(math.inf), st.just(-math.inf))


@settings(max_examples=60, deadline=None)
@given(st.lists(values, min_size=1, max_size=30), st.integers(1, 30))
def test_extremes_ends_and_windows_equal_those_of_the_whole_list(recorded: list[float], size: int) -> None:
    history = History(["a"])
    for value in recorded:
        history.observe({"a": value})
    numbers = [value for value in recorded if not math.isnan(value)]
    assert history.first("a") == pytest.approx(recorded[0], nan_ok=True)
    assert history.last("a") == pytest.approx(recorded[-1], nan_ok=True)
    assert history.minimum("a") == pytest.approx(min(numbers, default=math.nan), nan_ok=True)
    assert history.maximum("a") == pytest.approx(max(numbers, default=math.nan), nan_ok=True)
    window = history.window("a", size)
    if size > len(recorded):
        assert window is None
    else:
        assert window is not None
        assert [point.value for point in window] == pytest.approx(recorded[-size:], nan_ok=True)


def test_recorded_texts_of_non_finite_numbers_are_numbers_and_other_values_are_ignored() -> None:
    history = History(["a", "b", "c", "d"])
    history.observe({"a": "inf", "b": "text", "c": True, "d": None, "unasked": 1.0})
    assert history.last("a") == math.inf
    assert [history.last(name) for name in ("b", "c", "d", "unasked")] == [None] * 4


def test_points_carry_the_newest_step_and_epoch_even_of_rows_that_say_none() -> None:
    history = History(["a"])
    history.observe({"step": 3, "epoch": 0.5, "a": 1.0})
    history.observe({"a": 2.0})
    assert [(point.step, point.epoch) for point in history.recent("a", 5)] == [(3, 0.5), (3, 0.5)]


def test_memory_stays_bounded() -> None:
    history = History(["a"])
    for value in range(MAX_WINDOW + 50):
        history.observe({"a": value})
    assert len(history.recent("a", 10 * MAX_WINDOW)) == MAX_WINDOW
    assert history.first("a") == 0
