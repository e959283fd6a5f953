from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_monitor.charts.smoothing import smoothed

VALUES = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf]))


def naive(ys: list[float], strength: float) -> list[float]:
    """Every value weighs `strength` to the power of its distance, values that are not finite not at all."""
    finite = np.array([y for y in ys if math.isfinite(y)])
    averages = iter(two_sided(finite, strength))
    return [float(next(averages)) if math.isfinite(y) else y for y in ys]


def two_sided(values: np.ndarray, strength: float) -> list[float]:
    places = np.arange(len(values))
    weights = [np.power(strength, np.abs(places - place).astype(float)) for place in places]
    return [float(weight @ values / weight.sum()) for weight in weights]


@given(ys=st.lists(VALUES, max_size=200), strength=st.floats(0, 0.9999))
@settings(max_examples=150, deadline=None)
def test_smoothing_is_the_two_sided_average_of_a_loop(ys: list[float], strength: float) -> None:
    np.testing.assert_allclose(smoothed(np.array(ys), strength), naive(ys, strength), rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("strength", [1e-5, 0.05, 0.6, 0.97, 0.9999])
def test_long_curves_are_smoothed_as_short_ones_are(strength: float) -> None:
    ys = np.random.default_rng(0).standard_normal(2_000).cumsum()
    np.testing.assert_allclose(smoothed(ys, strength), naive(ys.tolist(), strength), rtol=1e-8, atol=1e-8)


def test_a_smoothed_ramp_and_a_smoothed_bump_lie_where_they_lay() -> None:
    xs = np.arange(400.0)
    np.testing.assert_allclose(smoothed(xs, 0.9)[100:300], xs[100:300], atol=0.01)
    assert int(np.argmax(smoothed(np.exp(-(((xs - 200) / 30) ** 2)), 0.97))) == 200


def test_a_constant_stays_as_it_is_from_the_first_value_on() -> None:
    np.testing.assert_allclose(smoothed(np.full(50, 3.0), 0.99), 3.0)


def test_huge_values_do_not_overflow_and_the_input_is_not_changed() -> None:
    ys = np.full(1000, 1.5e308)
    np.testing.assert_allclose(smoothed(ys, 0.9), 1.5e308)
    assert (ys == 1.5e308).all()


def test_a_million_values_take_less_than_a_second() -> None:
    start = time.process_time()
    smoothed(np.ones(1_000_000), 0.6)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("strength", [-0.1, 1.0, math.nan])
def test_a_strength_outside_of_its_range_is_refused(strength: float) -> None:
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        smoothed(np.ones(3), strength)
