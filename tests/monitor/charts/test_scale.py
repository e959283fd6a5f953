from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_monitor.charts.scale import NEAREST, Scale, near_ones, x_scale, y_scale

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def axis(values: list[float], limits: tuple[float, ...] = (), *, log: bool = False) -> Scale:
    return y_scale(np.array(values), np.array(values), limits, log=log)


@given(values=st.lists(FINITE, min_size=1, max_size=20), log=st.booleans())
@settings(max_examples=200, deadline=None)
def test_an_axis_is_always_a_range_of_finite_numbers(values: list[float], log: bool) -> None:
    usable = [abs(value) + NEAREST for value in values] if log else values
    scale = axis(usable, log=log)
    assert -math.inf < scale.low < scale.high < math.inf
    assert scale.low > 0 or not log


@given(
    low=st.floats(-1e6, 1e6),
    span=st.floats(0.1, 1e6),
    share=st.floats(0, 0.999),
    num=st.integers(1, 300),
    log=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_dots_follow_the_share_of_the_way(low: float, span: float, share: float, num: int, log: bool) -> None:
    start = abs(low) + 0.1 if log else low
    scale = Scale(start, start + span, log)
    value = scale.value_at(share)
    if log:
        expected = math.log(value / scale.low) / math.log(scale.high / scale.low) * num
    else:
        expected = (value - scale.low) / (scale.high - scale.low) * num
    assert int(scale.dots(value, num)) == pytest.approx(expected, abs=1.001)
    assert 0 <= int(scale.dots(value, num)) < num


def test_what_lies_beyond_has_the_first_or_the_last_dot() -> None:
    dots = Scale(0, 10).dots(np.array([-math.inf, -1, 0, 4.9, 10, 1e308, math.inf]), 10)
    assert dots.tolist() == [0, 0, 0, 4, 9, 9, 9]
    assert Scale(1, 100, log=True).dots(np.array([-5.0, 0.0, 11.0]), 2).tolist() == [0, 0, 1]


def test_a_constant_lies_in_the_middle() -> None:
    for value in (0.0, 3.0, -1e-4, 1e300):
        scale = axis([value, value])
        assert int(scale.dots(value, 101)) == 50
    assert int(axis([0.01], log=True).dots(0.01, 101)) == 50


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("size", [1e-6, 0.02, 0.94, 2e5])
def test_a_curve_that_hardly_moves_does_not_fill_the_chart(size: float, log: bool) -> None:
    scale = axis([size, size * 1.01], log=log)
    height = scale.dots(size * 1.01, 100) - scale.dots(size, 100)
    assert 16 <= int(height) <= 20
    assert int(scale.dots(size, 100)) + int(scale.dots(size * 1.01, 100)) == pytest.approx(100, abs=1)


def test_a_curve_that_moves_fills_the_chart() -> None:
    scale = axis([0.8, 0.9])
    assert int(scale.dots(0.9, 100)) - int(scale.dots(0.8, 100)) > 90


def test_a_rare_spike_does_not_flatten_the_rest() -> None:
    values = [1 + 0.1 * math.sin(index) for index in range(100)]
    assert axis([*values, 1e6]).high < 2
    assert axis([*values, -1e6]).low > 0
    assert axis([*values, 3.0]).high > 3


def test_a_start_far_above_stays_in_view() -> None:
    values = [5 + 95 * math.exp(-index / 20) for index in range(100)]
    assert axis(values).high > 100


def test_values_that_are_never_negative_have_no_negative_axis() -> None:
    assert axis([0.0, 1.0]).low == 0
    assert axis([0.01, 1.0]).low == 0
    assert axis([-0.5, 1.0]).low < -0.5


def test_near_limits_are_brought_into_view_and_far_ones_are_not() -> None:
    scale = axis([0.4, 0.6], (0.3, 5.0))
    assert scale.holds(0.3)
    assert not scale.holds(5.0)
    assert axis([1.0, 10.0], (0.5, -1.0), log=True).holds(0.5)
    assert axis([], (0.1, 0.2)).holds(0.2)


def test_x_runs_exactly_from_end_to_end() -> None:
    assert x_scale(3.0, 8.0) == Scale(3.0, 8.0)
    assert x_scale(5.0, 5.0) == Scale(4.0, 6.0)
    assert x_scale(2.0, 1.0) == x_scale(math.nan, 1.0) == x_scale(0.0, math.inf) == Scale(0.0, 1.0)
    huge = x_scale(1e308, 1e308)
    assert huge.low < huge.high


def test_of_several_runs_one_that_lies_far_away_does_not_flatten_the_others() -> None:
    assert near_ones([(0.0, 1.0), (0.2, 1.1), (0.0, 400.0)]) == [True, True, False]
    assert near_ones([(0.0, 1.0), (0.2, 3.0), (0.0, 4.0)]) == [True, True, True]
    assert near_ones([(5.0, 5.0), (0.0, 100.0)]) == [True, True]
    assert near_ones([(0.0, 1.0), (0.0, 1e6)]) == [True, False]
    assert near_ones([(0.0, 0.0), (0.0, 1.0)]) == [True, True]
    assert near_ones([]) == []
