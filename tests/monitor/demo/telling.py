"""The demo told at once, with time that passes by being slept through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from jepa_core.run_directory.clock import Clock
from jepa_core.run_directory.naming import runs_in
from jepa_monitor.demo.script import write_demo


class SleptTime:
    """A clock that stands still but for sleeping."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def tell_demo(
    folder: Path, *, seed: int = 123, each_sleep: Callable[[float], None] = lambda _elapsed: None
) -> list[Path]:
    """The run directories, oldest first. `each_sleep` is called with the seconds told, before each sleep."""
    time = SleptTime()
    began = time()

    def sleep(seconds: float) -> None:
        each_sleep(time() - began)
        time.sleep(seconds)

    write_demo(folder, seed=seed, clock=Clock(now=time, monotonic=time), sleep=sleep)
    return runs_in(folder)
