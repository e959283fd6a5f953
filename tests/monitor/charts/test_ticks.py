from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_monitor.charts.ticks import linear_ticks, log_ticks, tick_labels

MOST = st.integers(1, 12)


def naive_ticks(low: int, high: int, most: int, whole: bool) -> list[float]:
    """In exact arithmetic, every step from far below to far above."""
    for exponent in range(0 if whole else -4, 9):
        for mantissa in (1, 2, 5):
            step = mantissa * Fraction(10) ** exponent
            numbers = range(math.ceil(low / step), math.floor(high / step) + 1)
            if len(numbers) <= most:
                return [float(number * step) for number in numbers]
    raise AssertionError


@given(low=st.integers(-3000, 3000), span=st.integers(1, 5000), most=MOST, whole=st.booleans())
@settings(max_examples=200, deadline=None)
def test_linear_ticks_are_those_of_the_smallest_step_that_fits(low: int, span: int, most: int, whole: bool) -> None:
    assert linear_ticks(low, low + span, most, whole=whole) == naive_ticks(low, low + span, most, whole)


@given(exponent=st.integers(-290, 290), low=st.floats(-5, 5), span=st.floats(0.01, 5), most=MOST)
@settings(max_examples=100, deadline=None)
def test_linear_ticks_lie_within_at_any_scale(exponent: int, low: float, span: float, most: int) -> None:
    scale = 10.0**exponent
    ticks = linear_ticks(low * scale, (low + span) * scale, most)
    assert len(ticks) <= most
    assert all(low * scale - span * scale * 1e-6 <= tick <= (low + span * (1 + 1e-6)) * scale for tick in ticks)


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0.03, 30, 20, [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20]),
        (0.03, 30, 5, [0.1, 1, 10]),
        (1e-8, 1e4, 5, [1e-6, 1e-3, 1, 1e3]),
        (1e-12, 1e12, 3, [1e-9, 1, 1e9]),
        (0.41, 0.44, 4, [0.41, 0.42, 0.43, 0.44]),
        (1.5, 6.0, 4, [2, 5]),
        (3, 9, 1, [5]),
    ],
)
def test_log_ticks_are_decades_with_2_and_5_where_there_is_room(
    low: float, high: float, most: int, expected: list[float]
) -> None:
    assert log_ticks(low, high, most) == pytest.approx(expected)


@given(low=st.floats(1e-30, 1e30), factor=st.floats(1.001, 1e40), most=MOST)
@settings(max_examples=200, deadline=None)
def test_log_ticks_lie_within_rise_and_fit(low: float, factor: float, most: int) -> None:
    ticks = log_ticks(low, low * factor, most)
    assert len(ticks) <= most
    assert ticks == sorted(set(ticks))
    assert all(low * (1 - 1e-6) <= tick <= low * factor * (1 + 1e-6) for tick in ticks)


def test_without_a_range_or_room_there_are_no_ticks() -> None:
    assert linear_ticks(1, 1, 5) == linear_ticks(0, 1, 0) == []
    assert log_ticks(0, 1, 5) == log_ticks(2, 1, 5) == log_ticks(1, 2, 0) == []


@pytest.mark.parametrize(
    ("ticks", "labels"),
    [
        ([0, 0.05, 0.1], ["0", "0.05", "0.10"]),
        ([-0.1, 0, 0.1], ["−0.1", "0", "0.1"]),
        ([0, 500, 1000, 1500], ["0", "500", "1000", "1500"]),
        ([10_000, 12_000], ["10k", "12k"]),
        ([10_000, 10_500], ["10.0k", "10.5k"]),
        ([2e6, 4e6], ["2M", "4M"]),
        ([2e-5, 4e-5], ["2e−5", "4e−5"]),
        ([8e-4, 9e-4, 1e-3], ["8e−4", "9e−4", "1e−3"]),
        ([1.5e13], ["1.5e13"]),
    ],
)
def test_labels_have_the_decimals_of_their_step(ticks: list[float], labels: list[str]) -> None:
    assert tick_labels(ticks) == labels


def test_labels_of_shares_are_percent() -> None:
    assert tick_labels([0, 0.05, 0.1], percent=True) == ["0 %", "5 %", "10 %"]
    assert tick_labels([0.1, 0.105], percent=True) == ["10.0 %", "10.5 %"]


def test_labels_of_a_logarithmic_axis_have_the_decimals_that_each_needs() -> None:
    assert tick_labels([0.001, 0.01, 1, 100, 1e6], log=True) == ["0.001", "0.01", "1", "100", "1M"]
