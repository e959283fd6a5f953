from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from jepa_monitor.charts.columns import Columns, summarise
from jepa_monitor.charts.scale import Scale
from jepa_monitor.charts.spec import Curve

VALUES = st.one_of(
    st.floats(-100, 100, width=32), st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -1.0, 1e-9, 1e9])
)
POINTS = st.lists(st.tuples(st.integers(0, 40), VALUES), max_size=60).map(
    lambda points: sorted(points, key=lambda p: p[0])
)


def curve_of(points: list[tuple[int, float]]) -> Curve:
    xs, ys = ([point[side] for point in points] for side in (0, 1))
    return Curve(label="", xs=np.array(xs, dtype=float), ys=np.array(ys, dtype=float))


def is_drawable(y: float, log: bool) -> bool:
    return math.isfinite(y) and (y > 0 or not log)


def naive_column(
    points: list[tuple[int, float]], start: float, end: float, last: bool, log: bool
) -> tuple[float, float]:
    """Least and greatest of the points in [start, end), or the height of the line at its middle."""
    inside = [y for x, y in points if start <= x < end or (last and x == end)]
    if inside:
        drawable = [y for y in inside if is_drawable(y, log)]
        return (min(drawable), max(drawable)) if drawable else (math.nan, math.nan)
    before, after = [p for p in points if p[0] < start], [p for p in points if p[0] >= end]
    if not before or not after or not is_drawable(before[-1][1], log) or not is_drawable(after[0][1], log):
        return math.nan, math.nan
    (x0, y0), (x1, y1) = before[-1], after[0]
    share = ((start + end) / 2 - x0) / (x1 - x0)
    height = math.exp(math.log(y0) + share * math.log(y1 / y0)) if log else y0 + share * (y1 - y0)
    return height, height


def naive_join(points: list[tuple[int, float]], edge: float, log: bool) -> bool:
    before, after = [y for x, y in points if x < edge], [y for x, y in points if x >= edge]
    return bool(before and after) and is_drawable(before[-1], log) and is_drawable(after[0], log)


@given(points=POINTS, low=st.integers(-5, 30), span=st.integers(1, 45), num=st.integers(1, 30), log=st.booleans())
@settings(max_examples=300, deadline=None)
def test_columns_are_those_of_a_loop_over_all_points(
    points: list[tuple[int, float]], low: int, span: int, num: int, log: bool
) -> None:
    columns = summarise(curve_of(points), Scale(low, low + span), num, log=log)
    edges = np.linspace(low, low + span, num + 1).tolist()
    pairs = list(pairwise(edges))
    expected = [naive_column(points, *pair, last=pair == pairs[-1], log=log) for pair in pairs]
    np.testing.assert_allclose(columns.low, [least for least, _ in expected], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(columns.high, [greatest for _, greatest in expected], rtol=1e-9, atol=1e-9)
    assert columns.joined.tolist() == [naive_join(points, edge, log) for edge in edges[1:-1]]
    for sign, found in ((math.inf, columns.above), (-math.inf, columns.below)):
        inside = [[y for x, y in points if a <= x < b or (b == edges[-1] and x == b)] for a, b in pairs]
        assert found.tolist() == [sign in ys for ys in inside]


def summary(ys: list[float], num_columns: int, *, log: bool = False) -> Columns:
    curve = Curve(label="", xs=np.arange(len(ys), dtype=float), ys=np.array(ys))
    return summarise(curve, Scale(0, len(ys) - 1), num_columns, log=log)


def test_one_step_spike_among_a_million_is_kept() -> None:
    ys: NDArray[np.float64] = np.zeros(1_000_000)
    ys[654_321] = 7.0
    curve = Curve(label="", xs=np.arange(1_000_000.0), ys=ys)
    columns = summarise(curve, Scale(0, 999_999), 100, log=False)
    assert columns.high.max() == 7.0
    assert int(columns.high.argmax()) == 65


def test_nan_is_a_gap_and_infinity_a_sign() -> None:
    columns = summary([1.0, math.nan, 3.0, math.inf, 5.0, -math.inf], 6)
    assert columns.drawn.tolist() == [True, False, True, False, True, False]
    assert not columns.joined.any()
    assert columns.above.tolist() == [False, False, False, True, False, False]
    assert columns.below.tolist() == [False, False, False, False, False, True]


def test_a_log_axis_counts_what_it_leaves_out() -> None:
    columns = summary([1.0, 0.0, -3.0, math.nan, math.inf, 10.0], 2, log=True)
    assert columns.num_left_out == 2
    assert columns.low.tolist() == [1.0, 10.0]


def test_single_precision_values_are_read_too() -> None:
    curve = Curve(label="", xs=np.arange(4, dtype=np.float32), ys=np.array([1, 2, np.inf, 4], dtype=np.float32))
    assert summarise(curve, Scale(0, 3), 2, log=False).high.tolist() == [2.0, 4.0]
