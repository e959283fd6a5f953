"""How a run is read: live, or played again and steered from the screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jepa_monitor.feed.replay import ReplayFeed
    from jepa_monitor.model.run_model import RunModel
    from jepa_monitor.model.run_view import RunView
    from jepa_monitor.model.runs_list import RunsList


class Opening:
    """One run, read live, or played again at a speed."""

    def __init__(self, run: Path, speed: float | None = None) -> None:
        """`speed` is seconds of training a second; None for the run as it is."""
        self.run = run
        self.speed = speed
        self._replay: ReplayFeed | None = None

    @property
    def is_replay(self) -> bool:
        return self.speed is not None

    def model(self) -> RunModel:
        """What the run is read with. Reads files: not for the screen's thread.

        Raises:
            RunDirectoryError: there is no run directory there.
        """
        # The rule engine and its kin are loaded here, after the first paint and beside the screen's thread.
        from jepa_monitor.feed.replay import ReplayFeed
        from jepa_monitor.model.run_model import RunModel, live_model

        if self.speed is None:
            return live_model(self.run)
        self._replay = ReplayFeed(self.run, speed=self.speed)
        return RunModel(self.run, self._replay)

    def steer(self, action: str) -> bool:
        """Pause, speed and position of a replay; False where there is none to steer."""
        if self._replay is None:
            return False
        {
            "pause": self._replay.toggle_pause,
            "faster": self._replay.faster,
            "slower": self._replay.slower,
            "from_start": self._replay.to_start,
            "to_end": self._replay.to_end,
        }[action]()
        return True


def runs_list(folder: Path) -> RunsList:
    """What a folder of runs is read with."""
    from jepa_monitor.model.runs_list import RunsList

    return RunsList(folder)


def compared_recipes(left: Path, right: Path) -> tuple[RunView | None, RunView | None]:
    """Two runs as they are now. Reads files.

    Raises:
        RunDirectoryError: one of them is gone.
    """
    from jepa_monitor.model.run_model import live_model

    return live_model(left).refresh(), live_model(right).refresh()
