"""Rows at equal steps, and the few of them that a table has room for."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from jepa_core.comparison.alignment import align, evenly_chosen
from tests.comparison.recorded import recorded

SERIES = st.dictionaries(st.integers(0, 30), st.floats(-5, 5), max_size=12).map(
    lambda series: dict(sorted(series.items()))
)


@given(st.lists(SERIES, min_size=2, max_size=4))
def test_every_aligned_value_is_what_its_run_recorded_at_that_step(series: list[dict[int, float]]) -> None:
    found = align("a", [recorded(f"r{index}", {"a": one}) for index, one in enumerate(series)])
    assert list(found.steps) == sorted(step for step in range(31) if all(step in one for one in series))
    for one, values in zip(series, found.values, strict=True):
        assert [one[step] for step in found.steps] == list(values)


def test_a_metric_that_one_run_never_recorded_has_no_step() -> None:
    found = align("a", [recorded("x", {"a": {1: 1.0}}), recorded("y", {"b": {1: 1.0}})])
    assert (found.steps.shape, found.values.shape) == ((0,), (2, 0))


@given(st.integers(0, 3000), st.integers(2, 12))
def test_chosen_positions_rise_from_first_to_last_by_nearly_equal_strides(count: int, most: int) -> None:
    chosen = evenly_chosen(count, most)
    assert len(chosen) == min(count, most)
    strides = [right - left for left, right in pairwise(chosen)]
    assert all(stride > 0 for stride in strides)
    assert not strides or max(strides) - min(strides) <= 1
    assert not chosen or (chosen[0], chosen[-1]) == (0, count - 1)
