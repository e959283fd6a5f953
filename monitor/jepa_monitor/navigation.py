"""From screen to screen: which one shows a source, what opening, comparing and leaving lead to.

Imported after the first paint, since the screens bring charts and panels with them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import App
from textual.screen import Screen

from jepa_core.run_directory.layout import is_run
from jepa_core.run_directory.naming import LATEST, runs_in
from jepa_core.run_directory.status import ALIVE
from jepa_core.visible_text import clean
from jepa_monitor.board.run_readers import Opening
from jepa_monitor.board.run_screen import RunScreen
from jepa_monitor.charts.look import Look
from jepa_monitor.chrome.monitor_screen import MonitorScreen
from jepa_monitor.keys import shown_key_of
from jepa_monitor.preferences import Preferences
from jepa_monitor.runs.awaited_run import AwaitedRun, newer_run
from jepa_monitor.runs.runs_screen import RunsScreen
from jepa_monitor.runs.waiting_screen import WaitingScreen

if TYPE_CHECKING:
    from jepa_monitor.model.run_view import RunView
    from jepa_monitor.model.runs_list import RunsList

_AT_FIRST = 2
"""Screens on the stack as long as nothing was opened from a list: the skeleton, and the source's."""
_LOOK_SECONDS = 0.5
"""Between two looks for a newer run."""
_MAY_TRAIN = (*ALIVE, "stale", "unknown")
"""States in which a run is not known to be over."""


class Navigation:
    """Makes screens, and puts them on the application's stack."""

    def __init__(
        self,
        app: App[None],
        source: Path,
        speed: float | None,
        preferences: Preferences,
        seconds: Callable[[], float],
        *,
        awaited: AwaitedRun | None = None,
        keeps_to_newest: bool = False,
    ) -> None:
        """`keeps_to_newest`: from a run that is over on to one that begins later beside it."""
        self._app = app
        self._source = source
        self._speed = speed
        self._preferences = preferences
        self._seconds = seconds
        self._awaited = awaited
        self._keeps_to_newest = keeps_to_newest or (awaited is not None and awaited.name == LATEST)
        self._newer: Path | None = None
        self._is_touched = False
        if self._keeps_to_newest:
            app.run_worker(self._keep_to_newest())

    def first_screen(self, look: Look) -> MonitorScreen:
        """Of the source: a run that is awaited, a run, or a folder of runs."""
        if self._awaited is not None:
            return WaitingScreen(self._awaited, look=look, keymap=self._preferences.keys)
        if is_run(self._source):
            return self._run_screen([self._source], look)
        folder = self._source
        return RunsScreen(folder, lambda: runs_list(folder), look=look, keymap=self._preferences.keys)

    def arrive(self, run: Path, look: Look) -> None:
        """The run that was awaited is there: show it instead."""
        self._source, self._awaited = run, None
        self._app.switch_screen(self.first_screen(look))

    def open(self, paths: Sequence[Path], look: Look, preferences: Preferences) -> None:
        """Show these runs over the list that they were chosen from."""
        self._preferences = preferences
        self._app.push_screen(self._run_screen(paths, look))

    def leave(self, look: Look) -> None:
        """Back to the list; from the run that was opened first, to the list of the runs beside it."""
        if len(self._app.screen_stack) > _AT_FIRST:
            self._app.pop_screen()
        elif is_run(self._source) and runs_in(self._source.parent):
            self._source = self._source.parent
            self._keeps_to_newest = False
            self._app.switch_screen(self.first_screen(look))

    async def _keep_to_newest(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            screen = next(iter(self.run_screens), None)
            if screen is None or screen.view is None or not self._keeps_to_newest:
                continue
            run, status, is_over = screen.run, screen.view.status, screen.view.state not in ALIVE
            newer = await asyncio.to_thread(newer_run, run, status.started if status else None) if is_over else None
            if screen.run == run:
                self._offer(screen, newer)

    def _offer(self, screen: RunScreen, newer: Path | None) -> None:
        """Go to a newer run, unless the one that is shown may train still, or somebody is looking at it."""
        self._newer = newer
        is_over = screen.view is not None and screen.view.state not in _MAY_TRAIN
        if newer is not None and is_over and not self._is_touched:
            self.go_to_newer()
            return
        key = shown_key_of("newer_run", self._preferences.keys)
        screen.announce(f"{newer.name} began after this run: {key} goes there" if newer else "")

    def touch(self) -> None:
        """A key or the mouse says that somebody is looking at what is shown."""
        self._is_touched = True

    def go_to_newer(self) -> None:
        """Show the run that goes on from this one, or has begun after it, instead."""
        screen = next(iter(self.run_screens), None)
        child = screen.child if screen is not None else None
        newer = child or self._newer
        if screen is None or screen.view is None or newer is None:
            self._app.notify("There is no newer run to go to.", markup=False)
            return
        before = f"{screen.run.name} {screen.view.state.replace('_', ' ')}"
        self._app.notify(f"{clean(before)}; {clean(newer.name)} {'goes on' if child else 'began later'}.", markup=False)
        self._source, self._newer, self._is_touched = newer, None, False
        screen.show_runs([Opening(newer)])

    def compare(self, left: Path, right: Path, look: Look) -> None:
        """Show how the recipes of two runs differ. Reads files: not for the screen's thread."""
        from jepa_monitor.screens.recipe_difference import OtherRecipe, RecipeDifferenceScreen

        view, other = compared_recipes(left, right)
        if view is not None and other is not None:
            others = [OtherRecipe(relation="other", name=other.name, recipe=other.recipe)]
            self._app.call_from_thread(self._push, RecipeDifferenceScreen(view, look, others))

    @property
    def run_screens(self) -> list[RunScreen]:
        """Those that are open: at most one."""
        return [screen for screen in self._app.screen_stack if isinstance(screen, RunScreen)]

    def _push(self, screen: Screen[None]) -> None:
        self._app.push_screen(screen)

    def _run_screen(self, paths: Sequence[Path], look: Look) -> RunScreen:
        preferences = self._preferences
        return RunScreen(
            [Opening(path, self._speed) for path in paths],
            look=look,
            display=preferences.display,
            keymap=preferences.keys,
            can_ring=(preferences.bell, preferences.desktop_notifications),
            seconds=self._seconds,
        )


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
