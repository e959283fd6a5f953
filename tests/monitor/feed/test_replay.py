from __future__ import annotations

import math
from pathlib import Path

import pytest

from jepa_core.run_directory.clock import Clock
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.judge import Judge
from jepa_core.watch.outcome import reach_verdict
from jepa_core.watch.rules import Watch
from jepa_monitor.feed.feed import News
from jepa_monitor.feed.recording import ROW_SECONDS
from jepa_monitor.feed.replay import FASTEST, SLOWEST, ReplayFeed
from tests.run_directory.runs import record_run


class Projector:
    """A replay, and the clock by which it runs."""

    def __init__(self, run: Path, speed: float = 1.0) -> None:
        self.ticks = 100.0
        self.feed = ReplayFeed(run, speed=speed, clock=Clock(monotonic=lambda: self.ticks))

    def after(self, seconds: float) -> News:
        self.ticks += seconds
        return self.feed.poll()

    def steps_after(self, seconds: float) -> list[float]:
        return [row["step"] for row in self.after(seconds).rows]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Ten rows a second apart, a diagnosis and an event at steps 4 and 8."""
    rows = [{"step": step, "epoch": step / 10, "time.step": 1.0, "loss": 1 / step} for step in range(1, 11)]
    path = record_run(tmp_path / "mine", rows)
    with RunWriter(path) as writer:
        for step in (4, 8):
            writer.diagnosis({"step": step, "spectrum": [step, math.inf]})
            writer.event("checkpoint", "info", "", step=step)
        writer.event("finished", "info", "", step=10)
        writer.console_log.write("done\n")
        writer.write_verdict(reach_verdict(Judge(Watch()), run=path))
        writer.status.update(state="finished", step=10, exit_code=0)
    return path


def test_rows_come_at_the_training_time_at_which_they_were_made(run: Path) -> None:
    replay = Projector(run)
    assert replay.steps_after(0.0) == []
    assert replay.steps_after(2.5) == [1, 2]
    assert replay.steps_after(1.0) == [3]
    assert replay.steps_after(100.0) == [4, 5, 6, 7, 8, 9, 10]


def test_at_any_speed_all_rows_and_events_come_once_and_in_order(run: Path) -> None:
    for speed in (0.5, 7.0, 1000.0):
        replay = Projector(run, speed)
        news = [replay.after(0.3) for _ in range(80)]
        assert [row for part in news for row in part.rows] == list(RunReader(run).rows())
        assert [event for part in news for event in part.events] == list(RunReader(run).events())
        assert news[-1].more is False


def test_everything_else_is_as_it_was_at_that_step(run: Path) -> None:
    replay = Projector(run)
    begin = replay.after(0.0)
    assert (begin.state, begin.surroundings.diagnosis, [event.name for event in begin.events]) == (
        "running",
        {},
        ["started"],
    )
    middle = replay.after(5.0)
    assert middle.surroundings.status is not None
    assert middle.surroundings.status.step == 5
    assert middle.surroundings.diagnosis == {"step": 4, "spectrum": [4, math.inf]}
    assert (middle.surroundings.verdict, middle.surroundings.console) == (None, ())
    assert [event.step for event in middle.events] == [4]
    assert replay.after(0.0).surroundings is middle.surroundings
    end = replay.after(5.0)
    assert (end.state, end.surroundings.console, end.surroundings.diagnosis["step"]) == ("finished", ("done",), 8)
    assert end.surroundings.verdict is not None
    assert [event.name for event in end.events] == ["checkpoint", "finished"]


def test_it_can_be_paused_sped_up_and_slowed_down(run: Path) -> None:
    replay = Projector(run)
    replay.feed.toggle_pause()
    assert replay.steps_after(50.0) == []
    assert replay.feed.replay_position == "×1, paused"
    replay.feed.toggle_pause()
    replay.feed.faster()
    assert replay.steps_after(1.0) == [1, 2]
    assert replay.feed.replay_position == "×2"
    replay.feed.slower()
    replay.feed.slower()
    assert replay.steps_after(2.0) == [3]
    assert replay.feed.replay_position == "×0.5"
    for _ in range(99):
        replay.feed.slower()
    assert replay.feed.replay_position == f"×{SLOWEST:.3g}"
    for _ in range(99):
        replay.feed.faster()
    assert replay.feed.replay_position == f"×{FASTEST:.0f}"


def test_it_can_be_taken_to_the_end_and_back_to_the_start(run: Path) -> None:
    replay = Projector(run)
    replay.feed.to_end()
    assert len(replay.after(0.0).rows) == 10
    assert replay.feed.replay_position == "×1, at the end"
    replay.feed.to_start()
    news = replay.after(1.0)
    assert (news.rows_restarted, news.events_restarted, news.state) == (True, True, "running")
    assert [row["step"] for row in news.rows] == [1]
    assert not replay.after(0.0).rows_restarted


def test_a_clock_that_stands_or_goes_back_takes_nothing_back(run: Path) -> None:
    replay = Projector(run)
    assert replay.steps_after(2.0) == [1, 2]
    assert replay.steps_after(-3600.0) == []
    assert replay.steps_after(1.0) == [3]


def test_a_run_without_times_plays_at_a_pace_of_its_own(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine", [{"step": step} for step in range(10)])
    assert Projector(path).steps_after(4.5 * ROW_SECONDS) == [0, 1, 2, 3]
