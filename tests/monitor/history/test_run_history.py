from __future__ import annotations

import math
import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_monitor.history import run_history
from jepa_monitor.history.run_history import RunHistory

Row = dict[str, float]

NAMES = ("loss", "vq.usage", "val.mrr", "grad.norm")
ROWS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "step": st.floats(0, 100) | st.just(math.nan),
            "epoch": st.floats(0, 10),
            "time.step": st.floats(-1, 2),
            **{name: st.floats() for name in NAMES},
        },
    ),
    max_size=30,
)
BATCHES = st.lists(ROWS, max_size=5)


def history_of(*batches: Sequence[Row]) -> RunHistory:
    history = RunHistory()
    for batch in batches:
        history.extend(batch)
    return history


def same(left: float, right: float) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right))


@settings(max_examples=60, deadline=None)
@given(BATCHES)
def test_every_value_stands_in_its_series_in_the_order_of_the_rows(batches: list[list[Row]]) -> None:
    rows = [row for batch in batches for row in batch]
    view = history_of(*batches).view()
    assert view.num_rows == len(rows)
    assert view.names == tuple(sorted({name for row in rows for name in row} - {"step", "epoch"}))
    for name in view.names:
        series = view.series(name)
        assert series is not None
        np.testing.assert_array_equal(series.values, [row[name] for row in rows if name in row])
        assert len(series.steps) == len(series.epochs) == len(series.seconds) == len(series)
        for clock in (series.steps, series.epochs, series.seconds):
            assert np.isfinite(clock).all()
            assert (np.diff(clock) >= 0).all()


@settings(max_examples=50, deadline=None)
@given(BATCHES, ROWS)
def test_a_view_never_changes_whatever_comes_later(batches: list[list[Row]], later: list[Row]) -> None:
    history = history_of(*batches)
    view = history.view()
    before = {name: view.all_series[name].values.copy() for name in view.names}
    for _ in range(20):
        history.extend(later)
    assert set(before) == set(view.all_series)
    for name, values in before.items():
        np.testing.assert_array_equal(view.all_series[name].values, values)
        with pytest.raises(ValueError, match="read-only"):
            view.all_series[name].values[:] = 0.0


@settings(max_examples=50, deadline=None)
@given(BATCHES, st.integers(0, 40), st.integers(0, 40))
def test_rows_come_back_as_they_were_with_the_clocks_carried_on(
    batches: list[list[Row]], start: int, length: int
) -> None:
    expected = []
    clocks: Row = {}
    for batch in batches:
        for row in batch:
            clocks |= {name: row[name] for name in ("step", "epoch") if math.isfinite(row.get(name, math.nan))}
            expected.append(
                {**row, **clocks} if clocks or "step" not in row else {k: row[k] for k in row if k != "step"}
            )
    rows = history_of(*batches).rows(start, start + length)
    assert len(rows) == len(expected[start : start + length])
    for row, recorded in zip(rows, expected[start : start + length], strict=True):
        wanted = {
            name: value for name, value in recorded.items() if name not in ("step", "epoch") or math.isfinite(value)
        }
        assert row.keys() == wanted.keys()
        assert all(same(row[name], wanted[name]) for name in row)


def test_training_time_is_the_sum_of_steps_times_their_time_and_no_clock_is_asked() -> None:
    rows = [
        {"step": 10, "time.step": 0.5, "loss": 1.0},
        {"step": 10, "loss": 2.0},
        {"step": 30, "loss": 3.0},
        {"step": 20, "loss": 4.0},
        {"step": 40, "time.step": math.nan, "loss": 5.0},
    ]
    series = history_of(rows).view().series("loss")
    assert series is not None
    assert series.seconds.tolist() == [5.0, 5.0, 15.0, 15.0, 25.0]
    assert series.steps.tolist() == [10, 10, 30, 30, 40]


def test_metrics_of_the_same_rows_share_what_says_when() -> None:
    rows: list[Row] = [
        {"step": 1, "loss": 1.0, "lr": 0.1},
        {"step": 1, "val.mrr": 0.2},
        {"step": 2, "loss": 0.5, "lr": 0.1},
    ]
    view = history_of(rows).view()
    assert view.all_series["loss"].steps is view.all_series["lr"].steps
    assert view.all_series["val.mrr"].steps.tolist() == [1]


def test_names_without_end_are_passed_over_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_history, "MAX_METRICS", 3)
    history = history_of([{"step": 1.0, "x" * 500: 1.0}])
    assert history.has_passed_over
    for number in range(5):
        history.extend([{"step": 1.0, f"m{number}": 1.0, "loss": 2.0}])
    view = history.view()
    assert view.names == ("loss", "m0", "m1")
    assert len(view.all_series["loss"]) == 5
    assert set(history.finals) == {"step", "loss", "m0", "m1"}


def test_few_rows_of_a_long_run_are_found_without_going_through_all() -> None:
    """They are judged some at a time: else a run of ten times as many rows would take a hundred times as long."""
    history = RunHistory()
    history.extend([{"step": step, "a": step} for step in range(50_000)])
    tracemalloc.start()
    assert history.rows(1000, 1002) == [{"step": 1000, "a": 1000}, {"step": 1001, "a": 1001}]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50_000
