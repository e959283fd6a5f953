"""A clock that is set back an hour, or forward ten years, while a run writes and is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from jepa_core.run_directory.clock import Clock
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.status import STALE_SECONDS, shown_state
from jepa_core.run_directory.writing import RunWriter

HOUR, TEN_YEARS = 3600.0, 315_360_000.0


class Jumping:
    """A wall clock that is set while seconds go by."""

    def __init__(self) -> None:
        self.wall, self.ticks = 1_795_000_000.0, 50.0
        self.clock = Clock(now=lambda: self.wall, monotonic=lambda: self.ticks)

    def go_on(self, seconds: float, jump: float = 0.0) -> None:
        self.ticks += seconds
        self.wall += seconds + jump


@pytest.mark.parametrize("jump", [-HOUR, TEN_YEARS, -TEN_YEARS])
def test_order_and_durations_do_not_depend_on_it(tmp_path: Path, jump: float) -> None:
    time, elapsed = Jumping(), []
    with RunWriter(tmp_path, clock=time.clock) as run:
        for step in range(1, 7):
            run.event("checkpoint", "info", f"Checkpoint at step {step}.", step=step)
            run.row({"step": step, "loss.total": 1.0})
            run.heartbeat(step, step / 6)
            elapsed.append(run.status.status.elapsed)
            time.go_on(2.0, jump if step == 3 else 0.0)
        assert elapsed == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    time.go_on(1.0, -jump)
    with RunWriter(tmp_path, clock=time.clock, resume_at=4) as run:
        run.event("resumed", "info", "Training goes on.", step=4)
        assert run.status.status.elapsed == 0.0
    reader = RunReader(tmp_path)
    assert [event.step for event in reader.events()] == [1, 2, 3, 4, 5, 6, 4]
    assert [event.sequence for event in reader.events()] == [1, 2, 3, 4, 5, 6, 7]
    assert [row["step"] for row in reader.rows()] == [1, 2, 3, 4]


@pytest.mark.parametrize(("jump", "shown"), [(-HOUR, "running"), (TEN_YEARS, "stale")])
def test_a_run_whose_heartbeat_lies_in_the_future_is_alive(tmp_path: Path, jump: float, shown: str) -> None:
    """A reader elsewhere has only the clock to go by: one that was set forward shows the run as stale until its next
    heartbeat."""
    time = Jumping()
    with RunWriter(tmp_path, clock=time.clock) as run:
        run.status.update(state="running")
        time.go_on(STALE_SECONDS / 2, jump)
        assert shown_state(run.status.status, time.clock, host="elsewhere") == shown
        run.status.update(step=1)
        assert shown_state(run.status.status, time.clock, host="elsewhere") == "running"
