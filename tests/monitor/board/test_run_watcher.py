from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from jepa_core.errors import RunDirectoryError
from jepa_monitor.board.run_watcher import RunWatcher
from jepa_monitor.model.run_view import RunView
from jepa_monitor.screens.help import nothing_known


class Source:
    """Gives what it is told to."""

    def __init__(self, refresh: Callable[[], RunView | None]) -> None:
        self.refresh = refresh
        self.is_closed = threading.Event()

    def close(self) -> None:
        self.is_closed.set()


def test_a_burst_is_announced_once_until_the_newest_is_taken(tmp_path: Path) -> None:
    views = [nothing_known() for _ in range(50)]
    given: list[RunView] = []
    all_given = threading.Event()
    announced: list[RunWatcher] = []

    def refresh() -> RunView | None:
        if not views:
            all_given.set()
            return None
        given.append(views.pop())
        return given[-1]

    watcher = RunWatcher(tmp_path, lambda: Source(refresh), announced.append, interval=0.0005)
    watcher.start()
    assert all_given.wait(10)
    assert len(announced) == 1
    assert watcher.take().view is given[-1]
    watcher.stop()


def test_a_run_that_cannot_be_read_says_why_and_is_tried_again(tmp_path: Path) -> None:
    announced, tries = threading.Event(), []

    def make() -> Source:
        tries.append(1)
        if len(tries) == 1:
            raise RunDirectoryError("there is no run")
        return Source(nothing_known)

    watcher = RunWatcher(tmp_path, make, lambda _: announced.set(), interval=0.0005)
    watcher.start()
    assert announced.wait(10)
    assert watcher.take().problem in ("there is no run", "")
    announced.clear()
    assert announced.wait(10)
    news = watcher.take()
    assert news.problem == ""
    assert news.view is not None
    watcher.stop()


def test_a_directory_that_vanishes_is_told_and_what_was_read_stays(tmp_path: Path) -> None:
    run = tmp_path / "mine"
    run.mkdir()
    view, announced = nothing_known(), threading.Event()
    views = [view]
    watcher = RunWatcher(run, lambda: Source(lambda: views.pop() if views else None), lambda _: announced.set(), 0.0005)
    watcher.start()
    assert announced.wait(10)
    announced.clear()
    watcher.take()
    run.rmdir()
    assert announced.wait(10)
    news = watcher.take()
    assert "is gone" in news.problem
    assert news.view is view
    watcher.stop()


def test_stopping_closes_what_was_read_with(tmp_path: Path) -> None:
    source = Source(lambda: None)
    watcher = RunWatcher(tmp_path, lambda: source, lambda _: None, interval=0.0005)
    watcher.start()
    watcher.stop()
    assert source.is_closed.wait(10)
