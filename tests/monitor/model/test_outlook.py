from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_core.watch.judge import Judge
from jepa_core.watch.rules import Abort, Criterion, Watch
from jepa_monitor.history.run_history import RunHistory
from jepa_monitor.history.series import Series
from jepa_monitor.model.outlook import Course, Outlooks, compared_metric
from jepa_monitor.model.run_view import Outlook
from jepa_monitor.model.trend import LEAST_VALUES, MOST_VALUES, NEWEST_VALUES, trend_of


def series_of(steps: Any, values: Any) -> Series:
    steps, values = np.asarray(steps, dtype=float), np.asarray(values, dtype=float)
    return Series(name="x", steps=steps, epochs=steps, seconds=steps, values=values)


def outlook_of(rule: Criterion | Abort, values: Iterable[float], total_steps: float = 100.0) -> Outlook:
    """Of a run with one value of x a step from step 1 on, 10 steps an epoch."""
    watch = Watch(must=(rule,)) if isinstance(rule, Criterion) else Watch(abort=(rule,))
    judge, history = Judge(watch), RunHistory()
    for step, value in enumerate(values, start=1):
        row = {"step": float(step), "epoch": step / 10, "x": value}
        judge.observe(row)
        history.extend([row])
    course = Course(step=history.finals["step"], epoch=history.finals["epoch"], total_steps=total_steps)
    (outlook,) = Outlooks(watch).of(judge.judgements(), history.view(), course)
    return outlook


def falling(count: int = 20, by: float = 1.0) -> list[float]:
    return [100.0 - by * step for step in range(1, count + 1)]


def test_a_must_whose_metric_falls_to_its_limit_before_the_end_is_at_risk() -> None:
    outlook = outlook_of(Criterion(id="m", when="x > 50", hold="always"), falling())
    assert (outlook.prospect, outlook.metric) == ("at risk", "x")
    assert outlook.crossing_step == pytest.approx(50)


def test_an_abort_whose_metric_falls_to_its_limit_is_at_risk_too() -> None:
    outlook = outlook_of(Abort(id="a", when="mean(x, 3) < 50"), falling())
    assert outlook.prospect == "at risk"
    assert outlook.crossing_step == pytest.approx(50)


@pytest.mark.parametrize(
    ("rule", "values", "total_steps"),
    [
        (Criterion(id="m", when="x > 50"), falling(), 49.0),
        (Criterion(id="m", when="x > 50"), falling(), 0.0),
        (Criterion(id="m", when="x > 50", until_epoch=4), falling(), 100.0),
        (Criterion(id="m", when="x > 50", hold="once"), falling(), 100.0),
        (Criterion(id="m", when="best(x) > 50"), falling(), 100.0),
        (Criterion(id="m", when="50 < first(x)"), falling(), 100.0),
        (Criterion(id="m", when="x < 150"), falling(), 100.0),
        (Criterion(id="m", when="x > 50 and x < 150"), falling(), 100.0),
        (Criterion(id="m", when="x > 50"), falling(LEAST_VALUES - 1), 100.0),
        (Criterion(id="m", when="x > 50"), [60.0, 70.0] * 10, 100.0),
        (Criterion(id="m", when="x > 50"), [60.0] * 20, 100.0),
        (Criterion(id="m", when="x > 20"), falling(), 1000.0),
    ],
    ids=[
        "after the end", "no end", "after its epochs", "held once", "the best so far", "the first value",
        "leads away", "two comparisons", "too few values", "chance", "level", "further than a trend is believed",
    ],
)  # fmt: skip
def test_nothing_is_at_risk_without_a_clear_trend_to_a_limit_in_time(
    rule: Criterion, values: list[float], total_steps: float
) -> None:
    outlook = outlook_of(rule, values, total_steps)
    assert outlook.prospect in ("passing", "pending")
    assert outlook.crossing_step is None


def test_what_has_failed_or_fired_or_has_no_data_is_told_as_that() -> None:
    assert outlook_of(Criterion(id="m", when="x > 90", hold="always"), falling()).prospect == "failed"
    assert outlook_of(Abort(id="a", when="x < 90"), falling()).prospect == "fired"
    assert outlook_of(Criterion(id="m", when="y > 90"), falling()).prospect == "pending"


def test_a_value_that_is_good_only_for_now_crosses_now() -> None:
    values = [*falling(19, by=3.0), 70.0]
    outlook = outlook_of(Criterion(id="m", when="x > 60"), values)
    assert (outlook.prospect, outlook.crossing_step) == ("at risk", 20)


@pytest.mark.parametrize(
    ("when", "metric"),
    [
        ("vq.usage > 0.1", "vq.usage"),
        ("0.1 < mean(vq.usage, 5)", "vq.usage"),
        ("slope(vq.usage, 5) < 0", ""),
        ("fired('A')", ""),
        ("not a rule", ""),
    ],
)
def test_the_compared_metric_is_the_one_whose_value_stands_on_a_side(when: str, metric: str) -> None:
    assert compared_metric(when) == metric


@settings(max_examples=50, deadline=None)
@given(
    st.floats(-1e6, 1e6),
    st.floats(-1e3, 1e3).filter(lambda slope: abs(slope) > 1e-3),
    st.integers(LEAST_VALUES, 60),
    st.floats(0.1, 100),
)
def test_the_trend_of_a_line_is_the_line(start: float, slope: float, count: int, spacing: float) -> None:
    steps = np.arange(count) * spacing
    trend = trend_of(series_of(steps, start + slope * steps))
    assert trend is not None
    assert trend.slope == pytest.approx(slope, rel=1e-4)
    ahead = steps[-1] + 7 * spacing
    assert trend.meets(start + slope * ahead) == pytest.approx(ahead, rel=1e-3)
    assert trend.meets(start + slope * (steps[0] - spacing)) is None


def test_the_trend_equals_numpys_fit_over_the_newest_values() -> None:
    generator = np.random.default_rng(3)
    for count in (6, 19, 50, 400, 30_000):
        steps = np.cumsum(generator.uniform(0.5, 2, count))
        values = 0.3 * steps + generator.normal(size=count)
        window = min(max(NEWEST_VALUES, count // 10), MOST_VALUES)
        slope, intercept = np.polyfit(steps[-window:], values[-window:], 1)
        trend = trend_of(series_of(steps, values))
        if trend is not None:
            assert trend.slope == pytest.approx(slope)
            assert trend.value == pytest.approx(intercept + slope * steps[-1])


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.floats(0, allow_infinity=False), st.floats()), max_size=30))
def test_any_values_have_a_finite_trend_or_none(points: list[tuple[float, float]]) -> None:
    steps = sorted(step for step, _ in points)
    trend = trend_of(series_of(steps, [value for _, value in points]))
    assert trend is None or math.isfinite(trend.slope)
