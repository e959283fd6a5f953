from __future__ import annotations

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from jepa_core.comparison.student_t import mean_interval, t_quantile
from jepa_core.metrics import Metric


@given(st.floats(0.5, 0.9999), st.integers(1, 200))
@settings(max_examples=60, deadline=None)
def test_the_quantile_is_that_of_scipy(probability: float, degrees: int) -> None:
    assert t_quantile(probability, degrees) == pytest.approx(stats.t.ppf(probability, degrees), rel=1e-8, abs=1e-6)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12).filter(lambda values: max(values) - min(values) > 1e-3))
@settings(max_examples=60, deadline=None)
def test_the_interval_is_that_of_scipy(values: list[float]) -> None:
    found = mean_interval(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=found.mean, scale=stats.tstd(values) / len(values) ** 0.5)
    assert found.low == pytest.approx(low, abs=1e-6)
    assert found.high == pytest.approx(high, abs=1e-6)


def test_equal_values_have_an_interval_without_width() -> None:
    found = mean_interval([0.5, 0.5, 0.5])
    assert (found.low, found.mean, found.high) == (0.5, 0.5, 0.5)


def test_one_value_or_one_that_is_not_finite_has_no_interval() -> None:
    assert mean_interval([2.0]).low is None
    assert mean_interval([2.0, math.inf]).high is None
    with pytest.raises(ValueError, match="no values"):
        mean_interval([])


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=8), st.integers(-600, 900))
@example([0.0, 1.0], 800)
@settings(deadline=None)
def test_the_interval_of_scaled_values_is_scaled_however_large_they_are(values: list[float], power: int) -> None:
    values = [round(value, 2) for value in values]
    one, scaled = mean_interval(values), mean_interval([math.ldexp(value, power) for value in values])
    assert scaled.mean == pytest.approx(math.ldexp(one.mean, power))
    assert (scaled.low is None) == (one.low is None) == (len(values) == 1)
    if one.high is not None and scaled.high is not None:
        assert scaled.high - scaled.mean == pytest.approx(math.ldexp(one.high - one.mean, power), rel=1e-6)


def test_values_whose_sum_no_float_holds_have_no_interval() -> None:
    found = mean_interval([1e308, 1.5e308])
    assert (found.mean, found.low, found.count) == (math.inf, None, 2)


@pytest.mark.parametrize(("probability", "degrees"), [(0.4, 3), (1.0, 3), (0.9, 0)])
def test_quantiles_that_there_are_not_are_refused(probability: float, degrees: int) -> None:
    with pytest.raises(ValueError, match="no quantile"):
        t_quantile(probability, degrees)


def test_an_interval_is_cut_to_what_the_metric_can_be_but_never_past_its_mean() -> None:
    share = Metric("mine.share", "", minimum=0, maximum=1)
    wide = mean_interval([0.1, 0.9])
    assert (wide.within(share).low, wide.within(share).high) == (0, 1)
    assert wide.within(Metric("mine.any", "")) == wide
    beyond = mean_interval([1.1, 1.3])
    assert beyond.within(share).high == beyond.mean
    assert mean_interval([0.5]).within(share) == mean_interval([0.5])
