"""The README's picture of the monitor: `python docs/make_monitor_picture.py` writes monitor.svg.

The demo is told up to the moment after its rollback is flagged, and held there while the picture is taken.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from pathlib import Path

from font_free_svg import redrawn

from jepa_core.run_directory.clock import Clock
from jepa_monitor.app import MonitorApp
from jepa_monitor.demo.script import write_demo

SIZE = (120, 36)
TOLD_SECONDS = 13.2
"""Of the demo's thirty: the codebook has slid, the relational loss runs away, the rollback is flagged."""

DOCS = Path(__file__).parent


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


async def picture_of(run: Path) -> str:
    """The monitor on a run, as SVG."""
    app = MonitorApp(run)
    async with app.run_test(size=SIZE) as pilot:
        for _ in range(20):
            await pilot.pause(0.1)
        return redrawn(app.export_screenshot(title="jepa monitor"))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, HeldDemo(Path(folder)) as run:
        svg = asyncio.run(picture_of(run))
    (DOCS / "monitor.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
