"""Where two runs part: never from themselves, and at the one figure that was changed on purpose."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.comparison.parting import find_parting
from tests.comparison.recorded import recorded

VALUES = st.floats(allow_nan=True, allow_infinity=True)
ROWS = st.dictionaries(st.sampled_from(["a", "b", "lr", "time.step"]), st.dictionaries(st.integers(1, 9), VALUES))


@given(ROWS)
def test_a_run_never_parts_from_itself(series: dict[str, dict[int, float]]) -> None:
    found = find_parting(recorded("x", series), recorded("copy", series))
    assert (found.step, found.metrics) == (None, ())
    steps = {step for name, one in series.items() if name != "time.step" for step in one}
    assert (found.shared_steps, found.last_shared_step) == (len(steps), max(steps, default=None))


@given(ROWS, ROWS)
def test_the_other_way_round_they_part_at_the_same_step_with_values_swapped(
    one: dict[str, dict[int, float]], other: dict[str, dict[int, float]]
) -> None:
    left, right = recorded("x", one), recorded("y", other)
    there, back = find_parting(left, right), find_parting(right, left)
    assert (there.step, there.shared_steps, there.last_shared_step) == (
        back.step,
        back.shared_steps,
        back.last_shared_step,
    )
    swapped = {metric.name: (repr(metric.right), repr(metric.left)) for metric in back.metrics}
    assert {metric.name: (repr(metric.left), repr(metric.right)) for metric in there.metrics} == swapped


@pytest.mark.parametrize("changed", [math.nextafter(0.5, 1.0), math.nan, math.inf, -0.5])
@pytest.mark.parametrize("step", [1, 4, 7])
def test_one_figure_that_differs_in_its_last_digit_is_found(step: int, changed: float) -> None:
    series = {name: dict.fromkeys(range(1, 8), 0.5) for name in ("a", "b")}
    other = {**series, "b": {**series["b"], step: changed}}
    found = find_parting(recorded("x", series), recorded("y", other))
    (metric,) = found.metrics
    assert (found.step, metric.name, metric.left) == (step, "b", 0.5)
    assert repr(metric.right) == repr(changed)


@pytest.mark.parametrize("name", ["time.step", "throughput.samples_per_second", "memory.allocated"])
def test_what_a_run_costs_is_no_difference_and_no_shared_step(name: str) -> None:
    found = find_parting(recorded("x", {name: {1: 1.0}}), recorded("y", {name: {1: 2.0}}))
    assert (found.step, found.shared_steps, found.last_shared_step) == (None, 0, None)


def test_runs_whose_rows_all_hold_other_metrics_part_where_one_differs() -> None:
    series = {f"m{step}": {step: 0.5} for step in range(2000)}
    found = find_parting(recorded("x", series), recorded("y", {**series, "m1999": {1999: 0.25}}))
    assert (found.step, found.shared_steps, found.last_shared_step) == (1999, 2000, 1999)
