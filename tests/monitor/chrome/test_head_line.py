"""The head line, and the legend of several runs."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from jepa_core.run_directory.status import Status
from jepa_monitor.chrome.head_line import head_line, legend_line, skeleton_line
from tests.monitor.views import view_of

RUNNING = Status(state="running", total_steps=800, total_epochs=8)


def test_the_head_says_state_progress_pace_and_what_is_left(tmp_path: Path) -> None:
    view = attrs.evolve(view_of(tmp_path / "mine"), state="running", status=RUNNING)
    text = head_line(view, 120, ("x epoch",)).text
    assert text.startswith(" mine   ● running   epoch 5/8   step 400/800   40 s left   5.1 k/s")
    assert text.rstrip().endswith("x epoch  one GPU")


@pytest.mark.parametrize("width", [1, 10, 30, 80, 200])
def test_the_head_is_as_wide_as_the_screen(tmp_path: Path, width: int) -> None:
    assert head_line(view_of(tmp_path / "mine"), width, ("replay ×20, paused", "page 1/8")).width == width
    assert skeleton_line("mine", width).width == width


def test_in_a_narrow_head_progress_stays_and_the_device_goes_first(tmp_path: Path) -> None:
    text = head_line(view_of(tmp_path / "mine"), 66, ("paused", "page 1/8")).text
    assert "step 400/400" in text
    assert "paused" in text
    assert "GPU" not in text


def test_what_is_left_of_a_run_comes_before_remarks(tmp_path: Path) -> None:
    view = attrs.evolve(view_of(tmp_path / "mine"), state="running", status=RUNNING)
    text = head_line(view, 80, ("page 1/6", "o sorts by trouble")).text
    assert "step 400/800   40 s left" in text
    assert text.rstrip().endswith("page 1/6")
    assert "40 s left" in head_line(view, 60, ("page 1/6",)).text


def test_a_stale_run_says_since_when(tmp_path: Path) -> None:
    view = attrs.evolve(view_of(tmp_path / "mine"), state="stale", heartbeat_age=7260.0)
    assert "? stale   last sign of life 2 h 1 min ago" in head_line(view, 120).text


def test_the_legend_numbers_the_runs(tmp_path: Path) -> None:
    text = legend_line([view_of(tmp_path / "a"), view_of(tmp_path / "b")], 120).text
    assert "1 ━━ a MRR 0.380" in text
    assert "2 ━━ b MRR 0.380" in text


@pytest.mark.parametrize("width", [80, 120])
def test_names_of_several_runs_can_be_told_apart_where_there_is_little_room(tmp_path: Path, width: int) -> None:
    views = [view_of(tmp_path / f"optimized-2026112{day}-064153") for day in range(4)]
    text = legend_line(views, width).text
    assert all(f"{day}-064153" in text for day in range(4))
    assert text.count("✔") == 4
