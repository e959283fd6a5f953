"""The screen of a run, or of several in the same charts: puts the parts together, and hands news to them.

Views come from threads as messages; only handlers touch widgets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import attrs
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.events import Resize
from textual.message import Message

from jepa_core.visible_text import clean
from jepa_monitor.alerts import AlertBook
from jepa_monitor.board.chart_board import ChartBoard
from jepa_monitor.board.child_run import ChildRun
from jepa_monitor.board.notice import NonFiniteWatch, notice_line
from jepa_monitor.board.notify import AlertWatch
from jepa_monitor.board.panes import Pane, PanelRow
from jepa_monitor.board.rules_bar import rules_bar
from jepa_monitor.board.run_keys import run_key_line
from jepa_monitor.board.run_readers import Opening, RunReaders
from jepa_monitor.board.run_watcher import RunWatcher
from jepa_monitor.charts.look import Look
from jepa_monitor.chrome.head_line import head_line, legend_line, skeleton_line
from jepa_monitor.chrome.monitor_screen import MonitorScreen, bindings
from jepa_monitor.chrome.one_line import OneLine
from jepa_monitor.display import Display
from jepa_monitor.keys import PANEL_KEYS, RUN_KEYS, shown_key_of
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.line import Line
from jepa_monitor.ranks_text import ranks_remarks
from jepa_monitor.screens.alerts import AlertsScreen
from jepa_monitor.screens.sheet import Sheet

if TYPE_CHECKING:
    from jepa_monitor.chrome.filter_bar import FilterBar

PANEL_SECONDS = 0.5
"""Between two redraws of the panels."""
_LEAST_HEIGHT_WITH_ROW = 34
_LEAST_WIDTH_WITH_ROW = 80


class RunScreen(MonitorScreen):
    """One run; or several, of which the first gives rules, limits and panels."""

    KEYS = RUN_KEYS
    KEYS_OF_PARTS = PANEL_KEYS
    BINDINGS: ClassVar[list[BindingType]] = bindings(RUN_KEYS)
    DEFAULT_CSS = """
    RunScreen { layout: vertical; }
    RunScreen > #body { height: 1fr; }
    """

    class News(Message):
        """Something came of reading a run."""

        def __init__(self, watcher: RunWatcher) -> None:
            super().__init__()
            self.watcher = watcher

    class Left(Message):
        """The person wants back to where they came from."""

    def __init__(
        self,
        openings: Sequence[Opening],
        *,
        look: Look,
        display: Display,
        keymap: Mapping[str, str],
        can_ring: tuple[bool, bool] = (True, True),
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            openings: the runs, at least one.
            can_ring: by the bell, and by desktop notifications.
            seconds: a clock that is never set back.
        """
        super().__init__()
        self._readers = self._readers_of(openings)
        self._look = look
        self._keymap = keymap
        self._alerts = AlertWatch(bell=can_ring[0], desktop=can_ring[1])
        self._seconds = seconds
        self._non_finite = NonFiniteWatch()
        self._pane = "charts"
        self._panes: dict[str, Pane] = {}
        self._panels_shown_at = float("-inf")
        self._panels_wait = False
        self._filter_problem = ""
        self._newer = ""
        self._child = ChildRun()
        self._board = ChartBoard(display, look)
        self._head = OneLine(lambda width: skeleton_line(self._readers.first.run.name, width), look)
        self._notice = OneLine(lambda width: Line().fitted(width), look, id="notice")
        self._rules = OneLine(lambda width: Line().fitted(width), look)
        self._keys = OneLine(self._key_line, look)
        self._row = PanelRow()
        self._body = Vertical(self._board, self._row, id="body")

    def compose(self) -> ComposeResult:
        yield self._head
        yield self._notice
        yield self._rules
        yield self._body
        yield self._keys

    def on_mount(self) -> None:
        self._notice.display = False
        self._row.display = False
        # Nothing is read before the skeleton is on the screen.
        self.call_after_refresh(self._readers.start)

    def on_unmount(self) -> None:
        self._readers.stop()

    @property
    def view(self) -> RunView | None:
        """The newest view of the first run."""
        return self._readers.view

    @property
    def run(self) -> Path:
        """The directory of the first run."""
        return self._readers.first.run

    @property
    def child(self) -> Path | None:
        """The run that goes on from the one that is shown; None where none does, and of several runs."""
        return self._child.path

    @property
    def book(self) -> AlertBook:
        """The alerts, and what was done about them."""
        return self._alerts.book

    @property
    def board(self) -> ChartBoard:
        return self._board

    @property
    def look(self) -> Look:
        return self._look

    def take_look(self, look: Look) -> None:
        """Draw everything in this look from now on."""
        self._look = look
        self._show_all()

    def lines(self) -> tuple[str, ...]:
        """The lines above and below the body, as text."""
        return tuple(widget.text for widget in (self._head, self._notice, self._rules, self._keys) if widget.display)

    # Reading

    def _readers_of(self, openings: Sequence[Opening]) -> RunReaders:
        return RunReaders(openings, lambda watcher: self.post_message(self.News(watcher)))

    def on_run_screen_news(self, message: News) -> None:
        if not self._readers.take(message.watcher):
            return
        view = self.view
        if view is not None and not self._readers.are_several:
            self._child.observe(view)
        self._show_all()
        if view is not None and view.judged_rows is None:
            self._watch_alerts(view)
            self._follow_into_child(view)

    def _follow_into_child(self, view: RunView) -> None:
        """Go on with the run that a rollback made while somebody watched; who names a run wants to see that one."""
        child, is_replay = self.child, self._readers.first.is_replay
        if child is not None and self._child.is_followed and not is_replay and self._board.display_choice.follow:
            self.notify(f"{clean(view.name)} was rolled back; {clean(child.name)} goes on.", markup=False)
            self.show_runs([Opening(child)], is_followed=True)

    def show_runs(self, openings: Sequence[Opening], *, is_followed: bool = False) -> None:
        """Show other runs instead; what lies over the charts was about the former ones.

        Args:
            is_followed: whether they go on from the former ones, so that their own children are gone on to.
        """
        while isinstance(self.app.screen, Sheet):
            self.app.pop_screen()
        self._readers.stop()
        self._readers = self._readers_of(openings)
        self._non_finite = NonFiniteWatch()
        self._newer = ""
        self._child = ChildRun(is_followed=is_followed)
        self._alerts.begin_again()
        self._readers.start()

    def announce(self, newer: str) -> None:
        """Say in a sentence that there is a newer run; nothing where it is empty."""
        if newer != self._newer:
            self._newer = newer
            self._show_lines(self.view)

    # Showing

    def on_resize(self, _event: Resize) -> None:
        self._show_all()

    def _show_all(self) -> None:
        view = self.view
        self._show_lines(view)
        if view is None or not self.is_mounted:
            return
        self._row.display = self._has_row
        if self._pane == "charts":
            self._board.show(self._readers.views, self._look)
        self._show_panels_in_time()
        for screen in self.app.screen_stack:
            if isinstance(screen, Sheet):
                screen.show(view, self._look)

    def _show_lines(self, view: RunView | None) -> None:
        problem = self._filter_problem or self._readers.problem
        found = self._non_finite.observe(view.history) if view else None
        newer = self._newer_run_in_words()
        has_notice = notice_line(view, problem, found, 1, newer) is not None
        if self._notice.display != has_notice:
            self._notice.display = has_notice
        self._notice.show(lambda width: notice_line(view, problem, found, width, newer) or Line(), self._look)
        self._keys.show(self._key_line, self._look)
        if view is None:
            return
        views, remarks = self._readers.views, self._remarks(view)
        self._head.show(lambda width: head_line(view, width, remarks), self._look)
        is_overlay = self._readers.are_several
        key = shown_key_of("rollback", self._keymap)
        self._rules.show(
            lambda width: legend_line(views, width) if is_overlay else rules_bar(view, width, key), self._look
        )

    def _newer_run_in_words(self) -> str:
        return self._child.in_words(shown_key_of("newer_run", self._keymap)) or self._newer

    def _key_line(self, width: int) -> Line:
        return run_key_line(self.view, self._pane, self._newer_run_in_words(), self._keymap, width)

    def _remarks(self, view: RunView) -> tuple[str, ...]:
        paused = ("paused",) if self._readers.is_held else ()
        replay = (f"replay {view.replay_position}",) if view.replay_position else ()
        return (*replay, *paused, *ranks_remarks(view.ranks), *(self._board.remarks if self._pane == "charts" else ()))

    @property
    def _has_row(self) -> bool:
        width, height = self.size
        fits = height >= _LEAST_HEIGHT_WITH_ROW and width >= _LEAST_WIDTH_WITH_ROW
        return self._pane == "charts" and fits and not self._readers.are_several and not self._board.is_full_screen

    def _show_panels_in_time(self) -> None:
        wait = self._panels_shown_at + PANEL_SECONDS - self._seconds()
        if wait <= 0:
            self._show_panels()
        elif not self._panels_wait:
            self._panels_wait = True
            self.set_timer(wait, self._show_panels)

    def _show_panels(self) -> None:
        self._panels_wait = False
        self._panels_shown_at = self._seconds()
        view = self.view
        if view is None:
            return
        if self._has_row:
            self._row.show(view, self._look, self.size.width)
        if self._pane in self._panes:
            self._panes[self._pane].show(view, self._look)

    # Alerts

    def _watch_alerts(self, view: RunView) -> None:
        self._alerts.observe(view, self.app)
        self._show_book()

    def acknowledge(self, keys: Sequence[str]) -> None:
        """The alerts of these keys were seen."""
        self._alerts.acknowledge(keys)
        self._show_book()

    def snooze(self, key: str, minutes: float) -> None:
        """Silence what the alert is about."""
        self._alerts.snooze(key, minutes)
        self._show_book()

    def _show_book(self) -> None:
        if isinstance(self.app.screen, AlertsScreen):
            self.app.screen.show_book(self.book)

    # Keys

    def action_chart(self, name: str) -> None:
        """A key that acts on the charts."""
        if self._pane != "charts":
            self.action_pane("charts")
        self.set_focus(None)
        self._board.act(name)
        self._show_all()

    def on_chart_board_display_changed(self, _message: ChartBoard.DisplayChanged) -> None:
        self._show_lines(self.view)

    def on_chart_board_rearranged(self, _message: ChartBoard.Rearranged) -> None:
        self._show_lines(self.view)

    def action_filter(self) -> None:
        from jepa_monitor.chrome.filter_bar import FilterBar

        if not self.query(FilterBar):
            bar = FilterBar(self._board.display_choice.filter, "regular expression over names of metrics")
            self.mount(bar, before=self._keys)
            self._keys.display = False

    def on_filter_bar_filtered(self, message: FilterBar.Filtered) -> None:
        self._filter_problem = message.problem
        if not message.problem:
            self._filter_by(message.text)
        if message.is_final:
            self.query("FilterBar").remove()
            self._keys.display = True
        self._show_all()

    def _filter_by(self, text: str) -> None:
        self._board.look_at(attrs.evolve(self._board.display_choice, filter=text))

    def action_pane(self, name: str) -> None:
        self._pane = name
        if name != "charts" and name not in self._panes:
            self._panes[name] = Pane(name)
            self._body.mount(self._panes[name])
        self._board.display = name == "charts"
        self._row.display = self._has_row
        for pane_name, pane in self._panes.items():
            pane.display = pane_name == name
        self.set_focus(self._panes[name].panels[0] if name in self._panes else None)
        self._panels_shown_at = float("-inf")
        self._show_all()

    def action_pause(self) -> None:
        if not self._readers.first.steer("pause"):
            self._readers.hold(not self._readers.is_held)
        self._show_all()

    def action_steer(self, action: str) -> None:
        """Speed and position of a replay."""
        if not self._readers.first.steer(action):
            self.notify("Only a replay has a speed: jepa monitor RUN --replay 20", severity="warning", markup=False)

    def action_alerts(self) -> None:
        if self.view is not None:
            self.app.push_screen(AlertsScreen(self.view, self._look, self.book))

    def action_verdict(self) -> None:
        from jepa_monitor.screens.verdict import VerdictScreen

        if self.view is not None:
            self.app.push_screen(VerdictScreen(self.view, self._look))

    def action_rollback(self) -> None:
        from jepa_monitor.screens.rollback_screen import RollbackScreen

        if self.view is not None:
            self.app.push_screen(RollbackScreen(self.view, self._look))

    def action_recipe_difference(self) -> None:
        from jepa_monitor.screens.recipe_difference import OtherRecipe, RecipeDifferenceScreen

        if self.view is not None:
            others = [
                OtherRecipe(relation="other", name=view.name, recipe=view.recipe) for view in self._readers.views[1:]
            ]
            self.app.push_screen(RecipeDifferenceScreen(self.view, self._look, others))

    def action_back(self) -> None:
        """Undo the last narrowing of the view; with nothing left to undo, leave."""
        display = self._board.display_choice
        if self._pane != "charts":
            self.action_pane("charts")
        elif self._board.is_full_screen:
            self._board.set_full_screen(False)
        elif display.crosshair is not None:
            self._board.remove_crosshair()
        elif display.filter:
            self._filter_by("")
        else:
            self.post_message(self.Left())
        self._show_all()
