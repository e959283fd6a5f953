"""How the runs of a screen are read: live or played again, one thread each, as far as their newest views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jepa_monitor.board.run_watcher import RunNews, RunWatcher
from jepa_monitor.model.run_view import RunView

if TYPE_CHECKING:
    from jepa_monitor.feed.replay import ReplayFeed
    from jepa_monitor.model.run_model import RunModel


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


class RunReaders:
    """Reads runs from the moment it is started until it is stopped; threads announce, the screen takes."""

    def __init__(self, openings: Sequence[Opening], announce: Callable[[RunWatcher], object]) -> None:
        """`announce` is called on the threads."""
        self.openings = tuple(openings)
        self.is_held = False
        """Whether what is shown stands still, however far the runs have come."""
        self._announce = announce
        self._watchers: dict[Path, RunWatcher] = {}
        self._news: dict[Path, RunNews] = {}

    def start(self) -> None:
        for opening in self.openings:
            watcher = RunWatcher(opening.run, opening.model, self._announce)
            self._watchers[opening.run] = watcher
            watcher.start()

    def stop(self) -> None:
        for watcher in self._watchers.values():
            watcher.stop()
        self._watchers.clear()

    def take(self, watcher: RunWatcher) -> bool:
        """Take what a thread has announced; False when nothing new is to be shown."""
        if self._watchers.get(watcher.path) is not watcher:
            return False
        news = watcher.take()
        if self.is_held and watcher.path in self._news:
            return False
        self._news[watcher.path] = news
        return True

    def hold(self, is_held: bool) -> None:
        """Stand still, or show again how far the runs have come."""
        self.is_held = is_held
        if not is_held:
            self._news.update({path: watcher.take() for path, watcher in self._watchers.items()})

    @property
    def first(self) -> Opening:
        """The run that gives rules, limits and panels."""
        return self.openings[0]

    @property
    def are_several(self) -> bool:
        return len(self.openings) > 1

    @property
    def view(self) -> RunView | None:
        """The newest view of the first run."""
        return self._view_of(self.first)

    @property
    def views(self) -> tuple[RunView, ...]:
        """Of all runs that could be read, in their order."""
        views = (self._view_of(opening) for opening in self.openings)
        return tuple(view for view in views if view is not None)

    @property
    def problem(self) -> str:
        """Why a run cannot be read now; empty when all can."""
        return next((news.problem for news in self._news.values() if news.problem), "")

    def _view_of(self, opening: Opening) -> RunView | None:
        news = self._news.get(opening.run)
        return news.view if news else None
