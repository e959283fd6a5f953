from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from jepa_core.comparison.student_t import mean_interval, t_quantile


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
