"""The pictures of the monitor: `python docs/make_monitor_picture.py` writes monitor.svg, monitor-rollback.svg and
monitor-overlay.svg.

For the first two, the demo is told up to the moment after its rollback is flagged, and held there while they are taken;
for the third, it is told to its end, and both of its runs are laid into the same charts.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

from font_free_svg import redrawn

from jepa_core.run_directory.clock import Clock
from jepa_core.run_directory.naming import RUNS_DIR
from jepa_monitor.app import MonitorApp
from jepa_monitor.demo.script import write_demo
from jepa_monitor.screens.rollback_screen import RollbackScreen

SIZE, SMALL_SIZE = (120, 36), (100, 28)
_PATIENCE_SECONDS = 60.0
TOLD_SECONDS = 13.2
"""Of the demo's thirty: the codebook has slid, the relational loss runs away, the rollback is flagged."""

DOCS = Path(__file__).resolve().parent


class _TakenError(Exception):
    """The picture is taken."""


class HeldDemo:
    """A demo that stands still at one moment, with a run that says it is running."""

    def __init__(self, folder: Path) -> None:
        self._seconds = time.time() - TOLD_SECONDS
        self._until = time.time()
        self._runs: list[Path] = []
        self._folder = folder
        self._is_there = threading.Event()
        self._taken = threading.Event()
        self._thread = threading.Thread(target=self._tell)

    def _tell(self) -> None:
        clock = Clock(now=lambda: self._seconds, monotonic=lambda: self._seconds)
        try:
            write_demo(self._folder, clock=clock, sleep=self._sleep, announce=self._runs.append)
        except _TakenError:
            return

    def _sleep(self, seconds: float) -> None:
        self._seconds += seconds
        if self._seconds >= self._until:
            self._is_there.set()
            self._taken.wait()
            raise _TakenError

    def __enter__(self) -> Path:
        self._thread.start()
        self._is_there.wait()
        return self._runs[0]

    def __exit__(self, *_error: object) -> None:
        self._taken.set()
        self._thread.join()


async def picture_of(
    source: Path, *keys: str, size: tuple[int, int] = SIZE, until: Callable[[MonitorApp], bool] = lambda _app: True
) -> str:
    """The monitor on a run or a folder of runs after keys, each pressed once what is awaited is there, as SVG."""
    app = MonitorApp(source)
    async with app.run_test(size=size) as pilot:
        await pilot.pause(2.0)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.5)
            gives_up = time.monotonic() + _PATIENCE_SECONDS
            while not until(app) and time.monotonic() < gives_up:
                await pilot.pause(0.1)
        await pilot.pause(1.0)
        return redrawn(app.export_screenshot(title="jepa monitor"))


def _has_plan(app: MonitorApp) -> bool:
    return isinstance(app.screen, RollbackScreen) and app.screen.state.plan is not None


def main() -> None:
    pictures = {}
    with tempfile.TemporaryDirectory() as folder, chdir(folder), HeldDemo(RUNS_DIR) as run:
        pictures["monitor"] = asyncio.run(picture_of(run))
        pictures["monitor-rollback"] = asyncio.run(
            picture_of(run, "r", "enter", *"roll", size=SMALL_SIZE, until=_has_plan)
        )
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        write_demo(RUNS_DIR, seconds=0)
        pictures["monitor-overlay"] = asyncio.run(picture_of(RUNS_DIR, "m", "m", "o", size=SMALL_SIZE))
    for name, svg in pictures.items():
        (DOCS / f"{name}.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
