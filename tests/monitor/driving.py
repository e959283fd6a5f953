"""Driving the application in tests: start it on a run, wait for what must come, read what is on the screen."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec

from textual.app import App
from textual.pilot import Pilot

from jepa_monitor.app import MonitorApp
from jepa_monitor.board.run_screen import RunScreen
from jepa_monitor.runs.runs_screen import RunsScreen

Arguments = ParamSpec("Arguments")


def awaited(test: Callable[Arguments, Coroutine[Any, Any, None]]) -> Callable[Arguments, None]:
    """A test that is a coroutine, as pytest takes it."""

    @functools.wraps(test)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


async def until(pilot: Pilot[None], condition: Callable[[], object], tries: int = 400) -> None:
    """Wait until the condition holds."""
    for _ in range(tries):
        if condition():
            return
        await pilot.pause(0.02)
    raise AssertionError(f"it never came to hold: {condition}\n{screen_text(pilot.app)}")


@asynccontextmanager
async def open_run(path: Path, size: tuple[int, int] = (120, 36), **options: Any) -> AsyncIterator[Pilot[None]]:
    """The application on a run whose first charts are drawn."""
    async with MonitorApp(path, **options).run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen) and run_screen(pilot).board.titles)
        await pilot.pause()
        yield pilot


@asynccontextmanager
async def open_folder(path: Path, size: tuple[int, int] = (120, 36)) -> AsyncIterator[Pilot[None]]:
    """The application on a folder of runs that are listed."""
    async with MonitorApp(path).run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen) and runs_screen(pilot).chosen)
        yield pilot


def run_screen(pilot: Pilot[None]) -> RunScreen:
    """The screen of a run, also when a dialog lies over it."""
    return next(screen for screen in pilot.app.screen_stack if isinstance(screen, RunScreen))


def runs_screen(pilot: Pilot[None]) -> RunsScreen:
    return next(screen for screen in pilot.app.screen_stack if isinstance(screen, RunsScreen))


def screen_text(app: App[Any]) -> str:
    """What stands on the screen, a line a row."""
    width, height = app.size
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip)[:width] for strip in strips[:height])
