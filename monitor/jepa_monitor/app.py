"""The application: knows theme, keys and preferences, and which screen is shown.

It paints before it loads what it needs: screens, charts and panels are imported after the first paint, dialogs when
they are first wanted.
"""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

import attrs
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Event, MouseDown, MouseScrollDown, MouseScrollUp
from textual.events import Key as Pressed
from textual.filter import LineFilter, Monochrome, NoColor
from textual.screen import Screen

from jepa_monitor.chrome.monitor_screen import MonitorScreen, Skeleton, bindings
from jepa_monitor.keys import MONITOR_KEYS, Key, shown_key
from jepa_monitor.preferences import Preferences, ReadPreferences, write_preferences
from jepa_monitor.themes import THEMES, next_theme, textual_name

if TYPE_CHECKING:
    from jepa_monitor.board.chart_board import ChartBoard
    from jepa_monitor.board.run_screen import RunScreen
    from jepa_monitor.charts.look import Look
    from jepa_monitor.chrome.filter_bar import FilterBar
    from jepa_monitor.navigation import Navigation
    from jepa_monitor.runs.awaited_run import AwaitedRun
    from jepa_monitor.runs.runs_screen import RunsScreen
    from jepa_monitor.runs.waiting_screen import WaitingScreen
    from jepa_monitor.screens.alerts import AlertsScreen

SAVE_SECONDS = 1.0
"""How long a choice waits for the next before both are written down."""
LOOK_SECONDS = 1.0
"""Between two looks whether the terminal is still there."""
EXIT_CODE = 129
"""The shell's for SIGHUP: of a monitor whose terminal is gone."""


class MonitorApp(App[None]):
    """The monitor of `source`."""

    TITLE = "jepa monitor"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(key for key in MONITOR_KEYS if key.id != "command_palette"),
        Binding("ctrl+c", "quit", show=False, priority=True),
    ]
    CSS = """
    *:nocolor .option-list--option-highlighted { text-style: reverse; }
    """

    def __init__(
        self,
        source: Path,
        *,
        awaited: AwaitedRun | None = None,
        keeps_to_newest: bool = False,
        speed: float | None = None,
        ascii_only: bool = False,
        no_colour: bool = False,
        read: ReadPreferences | None = None,
        preferences_path: Path | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            source: a run directory, or a folder of them.
            awaited: a run that is not there yet, to be shown as soon as it is; None to show `source`.
            keeps_to_newest: whether `source` stands for the newest run beside it, whichever that comes to be.
            speed: play the run again, at so many seconds of training a second; None to show it as it is.
            ascii_only: no character above 0x7E.
            no_colour: no colour.
            read: preferences as they were found; defaults when not given.
            preferences_path: where choices are remembered; None for nowhere.
            seconds: a clock that is never set back.
        """
        self._source = source
        self._awaited = awaited
        self._keeps_to_newest = keeps_to_newest
        self._speed = speed
        self._ascii_only = ascii_only
        self._preferences = read.preferences if read else Preferences()
        self._problem = read.problem if read else ""
        self._preferences_path = preferences_path
        self._seconds = seconds
        self._save_wanted = False
        self._made_look: Look | None = None
        self._made_navigation: Navigation | None = None
        super().__init__()
        self.no_color = self.no_color or no_colour
        self._line_filters = self._filters_of_terminal()
        for theme in THEMES.values():
            self.register_theme(theme.textual())
        self.theme = textual_name(self._preferences.theme)
        self.set_keymap(dict(self._preferences.keys))

    @property
    def preferences(self) -> Preferences:
        """The choices as they are now."""
        return self._preferences

    @property
    def look(self) -> Look:
        """How everything is drawn; the same object until the theme changes."""
        if self._made_look is None:
            theme = THEMES[self._preferences.theme]
            self._made_look = theme.look(ascii_only=self._ascii_only, no_colour=self.no_color)
        return self._made_look

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's own, and after them those that hold for every character on the screen.

        Its grey of `NO_COLOR` is not among them: it is colour still, and fails on text without a style.
        """
        own = (each for each in super().get_line_filters() if not isinstance(each, Monochrome))
        return (*own, *self._line_filters)

    def get_default_screen(self) -> Screen[None]:
        """The name of the source; its real screen comes to lie over it once it is painted."""
        return Skeleton(self._source.name)

    def on_mount(self) -> None:
        self.call_after_refresh(self._open_source)
        if not self.is_headless:
            self.set_interval(LOOK_SECONDS, self._leave_with_terminal)
        if self._problem:
            self.notify(self._problem, severity="warning", markup=False)

    def on_unmount(self) -> None:
        self._save()

    def _leave_with_terminal(self) -> None:
        if terminal_is_gone(sys.__stdin__.fileno() if sys.__stdin__ else -1):
            self.exit(return_code=EXIT_CODE)

    def _open_source(self) -> None:
        self.push_screen(self._navigation.first_screen(self.look))

    @property
    def _navigation(self) -> Navigation:
        if self._made_navigation is None:
            from jepa_monitor.navigation import Navigation

            self._made_navigation = Navigation(
                self,
                self._source,
                self._speed,
                self._preferences,
                self._seconds,
                awaited=self._awaited,
                keeps_to_newest=self._keeps_to_newest,
            )
        return self._made_navigation

    def _filters_of_terminal(self) -> tuple[LineFilter, ...]:
        colour = (NoColor(),) if self.no_color else ()
        if not self._ascii_only:
            return colour
        from jepa_monitor.panels.line import AsciiFilter

        return (*colour, AsciiFilter())

    # Messages of the screens

    def on_runs_screen_opened(self, message: RunsScreen.Opened) -> None:
        self._navigation.open(message.paths, self.look, self._preferences)

    def on_runs_screen_compared(self, message: RunsScreen.Compared) -> None:
        work = partial(self._navigation.compare, message.left, message.right, self.look)
        self.run_worker(work, thread=True, exit_on_error=False)

    def on_waiting_screen_arrived(self, message: WaitingScreen.Arrived) -> None:
        self._navigation.arrive(message.run, self.look)

    def on_run_screen_left(self, _message: RunScreen.Left) -> None:
        self._navigation.leave(self.look)

    def on_alerts_screen_acknowledged(self, message: AlertsScreen.Acknowledged) -> None:
        for screen in self._navigation.run_screens:
            screen.acknowledge(message.keys)

    def on_alerts_screen_snoozed(self, message: AlertsScreen.Snoozed) -> None:
        for screen in self._navigation.run_screens:
            screen.snooze(message.key, message.minutes)

    def on_chart_board_display_changed(self, message: ChartBoard.DisplayChanged) -> None:
        kept = attrs.evolve(message.display, span=None, crosshair=None, anchor=None, follow=True)
        self._remember(attrs.evolve(self._preferences, display=kept))

    # Keys

    async def on_event(self, event: Event) -> None:
        is_touch = isinstance(event, Pressed | MouseDown | MouseScrollDown | MouseScrollUp) and not event.is_forwarded
        if is_touch and self._made_navigation is not None:
            self._made_navigation.touch()
        if not (isinstance(event, Pressed) and event.is_forwarded and await self._type_ahead(event)):
            await super().on_event(event)

    async def _type_ahead(self, key: Pressed) -> bool:
        """Hand a key to the filter's line that was typed before the line was there to take it: else it would be taken
        for a command. False where there is no such line, or it has the key already."""
        bar = next(iter(self.screen.query("FilterBar")), None)
        is_untaken = key.is_printable or self.focused is None  # the line lets no printable key come by here
        return bar is not None and is_untaken and await cast("FilterBar", bar).take(key)

    def action_newer_run(self) -> None:
        self._navigation.go_to_newer()

    def action_next_theme(self) -> None:
        self.use_theme(next_theme(self._preferences.theme))

    def use_theme(self, name: str) -> None:
        """Draw everything in another theme, and remember it."""
        self._remember(attrs.evolve(self._preferences, theme=name))
        self._made_look = None
        self.theme = textual_name(name)
        for screen in self.screen_stack:
            if isinstance(screen, MonitorScreen):
                screen.take_look(self.look)

    def action_help(self) -> None:
        from jepa_monitor.screens.help import HelpScreen, help_groups, nothing_known

        of_parts = self.screen.KEYS_OF_PARTS if isinstance(self.screen, MonitorScreen) else ()
        groups = help_groups((*self._keys_of(self.screen), *of_parts), self._preferences.keys)
        self.push_screen(HelpScreen(nothing_known(), self.look, groups))

    def _keys_of(self, screen: Screen[object]) -> tuple[Key, ...]:
        return (*(screen.KEYS if isinstance(screen, MonitorScreen) else ()), *MONITOR_KEYS)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Every key's action by name, and the themes, for the command palette."""
        for key in self._keys_of(screen):
            if key.id != "command_palette":
                title = f"{key.label} ({shown_key(key, self._preferences.keys)})"
                yield SystemCommand(title, key.help, partial(self._run_key, screen, key))
        for name in THEMES:
            yield SystemCommand(f"theme {name}", "draw everything in it", partial(self.use_theme, name))

    async def _run_key(self, screen: Screen[object], key: Key) -> None:
        await self.run_action(key.action, self if key in MONITOR_KEYS else screen)

    # Preferences

    def _remember(self, preferences: Preferences) -> None:
        if preferences == self._preferences:
            return
        self._preferences = preferences
        if not self._save_wanted and self._preferences_path is not None:
            self._save_wanted = True
            self.set_timer(SAVE_SECONDS, self._save)

    def _save(self) -> None:
        if not self._save_wanted:
            return
        self._save_wanted = False
        problem = write_preferences(self._preferences_path, self._preferences)
        if problem and self.is_running:
            self.notify(problem, severity="warning", markup=False)


def terminal_is_gone(descriptor: int) -> bool:
    """Whether the other side of the terminal behind `descriptor` was closed.

    One that was closed does not always send SIGHUP: not where it is not the session's own, as below some schedulers and
    recorders. Reading from it then ends at once, again and again, and would keep a core busy for nobody.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return any(event & (select.POLLHUP | select.POLLNVAL | select.POLLERR) for _, event in poll.poll(0))
