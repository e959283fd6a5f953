from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_monitor.board.axis import Axis, axis_of, steady_end
from jepa_monitor.display import AxisKind
from tests.monitor.views import view_of


@pytest.mark.parametrize(
    ("kind", "of_step_250", "of_epoch_2", "newest"),
    [("step", 250, 200, 400), ("epoch", 2.5, 2, 4), ("time", 25, 20, 40)],
)
def test_steps_epochs_and_seconds_lead_to_each_other(
    tmp_path: Path, kind: AxisKind, of_step_250: float, of_epoch_2: float, newest: float
) -> None:
    axis = axis_of(view_of(tmp_path / "mine"), kind)
    assert axis.of_step(250) == pytest.approx(of_step_250)
    assert axis.of_epoch(2) == pytest.approx(of_epoch_2)
    assert axis.newest == pytest.approx(newest)


def test_an_epoch_to_come_is_reached_at_the_pace_so_far(tmp_path: Path) -> None:
    assert axis_of(view_of(tmp_path / "mine"), "step").of_epoch(10) == pytest.approx(1000)
    assert axis_of(view_of(tmp_path / "other"), "time").of_epoch(10) == pytest.approx(100)


def test_before_the_first_row_only_the_announced_length_is_known(tmp_path: Path) -> None:
    axis = axis_of(view_of(tmp_path / "mine", recorded=[]), "step")
    assert axis.of_epoch(2) == 200
    assert axis.newest == 0
    assert axis_of(view_of(tmp_path / "other", recorded=[]), "time").of_step(10) is None


def test_an_axis_without_anything_knows_nothing() -> None:
    assert Axis(kind="time", moments=None, steps_per_epoch=None).of_epoch(1) is None


@settings(deadline=None, max_examples=60)
@given(st.floats(1e-6, 1e12))
def test_the_right_end_lies_at_most_a_fraction_above_the_newest_and_is_its_own_end(end: float) -> None:
    steady = steady_end(end)
    assert end * (1 - 1e-6) <= steady <= end * 1.07
    assert steady_end(steady) == pytest.approx(steady)


@pytest.mark.parametrize("end", [0.0, -1.0, float("nan"), float("inf")])
def test_without_an_end_the_range_is_one(end: float) -> None:
    assert steady_end(end) == 1
