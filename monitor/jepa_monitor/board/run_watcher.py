"""Reads a run on a thread of its own, and keeps its newest view for the screen. Knows nothing of widgets.

However fast views come, one announcement is out at a time, and who answers it takes the newest view: bursts collapse.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Protocol

import attrs

from jepa_core.errors import JepaError
from jepa_monitor.model.run_view import RunView

INTERVAL_SECONDS = 0.09
"""Between two looks at the files."""


class Model(Protocol):
    """What a run is read with."""

    def refresh(self) -> RunView | None:
        """A new view; None when nothing has changed."""
        ...

    def close(self) -> None:
        """Nothing is asked any more."""
        ...


@attrs.frozen(kw_only=True)
class RunNews:
    """What came of reading."""

    view: RunView | None = None
    """The newest view; None while there was none."""
    problem: str = ""
    """Why the run cannot be read now; empty when it can."""


class RunWatcher:
    """Reads until it is stopped."""

    def __init__(
        self,
        path: Path,
        make_model: Callable[[], Model],
        announce: Callable[[RunWatcher], object],
        interval: float = INTERVAL_SECONDS,
    ) -> None:
        """
        Args:
            path: the run directory.
            make_model: called on the thread, since it may read much.
            announce: called on the thread when there is news to take.
        """
        self.path = path
        self._make_model = make_model
        self._announce = announce
        self._interval = interval
        self._stopped = Event()
        self._lock = Lock()
        self._news = RunNews()
        self._is_announced = False
        self._thread = Thread(target=self._read, name=f"reading {path.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End soon; nothing is announced any more."""
        self._stopped.set()

    def take(self) -> RunNews:
        """The newest news; the next ones will be announced again."""
        with self._lock:
            self._is_announced = False
            return self._news

    def _read(self) -> None:
        model: Model | None = None
        while not self._stopped.is_set():
            try:
                model = model or self._make_model()
                view = model.refresh()
                problem = "" if self.path.is_dir() else f"{self.path} is gone: what was read of it stays on the screen"
            except (JepaError, OSError) as error:
                view, problem = None, str(error)
            self._note(view, problem)
            self._stopped.wait(self._interval)
        if model is not None:
            model.close()

    def _note(self, view: RunView | None, problem: str) -> None:
        with self._lock:
            if view is None and problem == self._news.problem:
                return
            self._news = RunNews(view=view or self._news.view, problem=problem)
            if self._is_announced:
                return
            self._is_announced = True
        if not self._stopped.is_set():
            self._announce(self)
