"""The screen of a folder of runs: a line a run, kept up to date; opens one, several together, or their difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, ClassVar, Protocol

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.events import Click, Resize
from textual.message import Message

if TYPE_CHECKING:
    from jepa_monitor.chrome.filter_bar import FilterBar

from jepa_core.run_directory.summary import Order, RunSummary, in_order
from jepa_monitor.charts.look import Look
from jepa_monitor.charts.spec import CURVE_TONES
from jepa_monitor.chrome.monitor_screen import MonitorScreen, bindings
from jepa_monitor.chrome.one_line import OneLine, key_line
from jepa_monitor.display import filter_pattern
from jepa_monitor.keys import MONITOR_KEYS, RUNS_KEYS, shown_key_of
from jepa_monitor.panels.framed_lines import Content, FramedLines
from jepa_monitor.panels.line import Line, Span, line, wrapped
from jepa_monitor.runs.awaited_run import runs_dir_flag
from jepa_monitor.runs.preview import Preview
from jepa_monitor.runs.runs_lines import ORDERS, matching_runs, runs_head, runs_lines

LIST_SECONDS = 0.5
"""Between two looks at the folder."""
_BESIDE_FROM = 110
"""Columns of the terminal from which on the preview stands beside the list, and not below it."""
_BELOW_FROM = 20
"""Rows of a terminal that have room for it below."""
_PREVIEW_HEIGHT = 9
MOST_MARKED = len(CURVE_TONES)


class Runs(Protocol):
    """A folder of runs, asked again and again."""

    def refresh(self) -> tuple[RunSummary, ...]: ...


class _Rows(FramedLines, can_focus=False):
    """The table; the screen has the keys."""

    def __init__(self, make: Callable[[int], Content]) -> None:
        super().__init__("runs")
        self._make = make

    def draw(self, width: int, height: int, look: Look) -> Content:  # noqa: ARG002  # it scrolls
        return self._make(width)

    def on_click(self, event: Click) -> None:
        """A row of the list."""
        self.post_message(self.Pointed(self.index_at(event.y)))

    class Pointed(Message):
        """A row was clicked."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index


class RunsScreen(MonitorScreen):
    """The list."""

    KEYS = RUNS_KEYS
    BINDINGS: ClassVar[list[BindingType]] = bindings(RUNS_KEYS)
    DEFAULT_CSS = """
    RunsScreen > #list { height: 1fr; layout: horizontal; }
    RunsScreen > #list.-stacked { layout: vertical; }
    """

    class Listed(Message):
        """The folder was looked at."""

        def __init__(self, runs: tuple[RunSummary, ...]) -> None:
            super().__init__()
            self.runs = runs

    class Opened(Message):
        """These runs shall be shown."""

        def __init__(self, paths: tuple[Path, ...]) -> None:
            super().__init__()
            self.paths = paths

    class Compared(Message):
        """The recipes of these two runs shall be compared."""

        def __init__(self, left: Path, right: Path) -> None:
            super().__init__()
            self.left = left
            self.right = right

    def __init__(self, folder: Path, runs: Callable[[], Runs], *, look: Look, keymap: Mapping[str, str]) -> None:
        super().__init__()
        self._folder = folder
        self._make_runs = runs
        self._look = look
        self._keymap = keymap
        self._runs: tuple[RunSummary, ...] | None = None
        self._marked: list[str] = []
        self._chosen = ""
        self._filter = ""
        self._problem = ""
        self._order: Order = "date"
        self._wants_preview = True
        self._stopped = Event()
        self._head = OneLine(self._head_line, look)
        self._rows = _Rows(self._content)
        self._preview = Preview()
        self._body = Container(self._rows, self._preview, id="list")
        self._keys = OneLine(self._key_line, look)

    def compose(self) -> ComposeResult:
        yield self._head
        yield self._body
        yield self._keys

    def on_mount(self) -> None:
        self._show()
        self.call_after_refresh(Thread(target=self._list, name="listing runs", daemon=True).start)

    def on_unmount(self) -> None:
        self._stopped.set()

    def on_screen_suspend(self) -> None:
        """Another screen lies over this one."""
        self._preview.stop()

    def on_screen_resume(self) -> None:
        self._show()

    def on_resize(self, _event: Resize) -> None:
        self._show()

    @property
    def look(self) -> Look:
        return self._look

    def take_look(self, look: Look) -> None:
        """Draw everything in this look from now on."""
        self._look = look
        self._show()

    @property
    def chosen(self) -> str:
        """Path of the run under the cursor; empty when there is none."""
        return self._shown[self._index].path if self._shown else ""

    @property
    def marked(self) -> tuple[str, ...]:
        """Paths, in the order of marking."""
        return tuple(self._marked)

    def _list(self) -> None:
        """On a thread of its own."""
        runs, before = self._make_runs(), None
        while not self._stopped.is_set():
            listed = runs.refresh()
            if listed != before:
                before = listed
                self.post_message(self.Listed(listed))
            self._stopped.wait(LIST_SECONDS)

    def on_runs_screen_listed(self, message: Listed) -> None:
        self._runs = message.runs
        known = {run.path for run in message.runs}
        self._marked = [path for path in self._marked if path in known]
        self._show()

    @property
    def _shown(self) -> tuple[RunSummary, ...]:
        found = matching_runs(self._runs or (), filter_pattern(self._filter) if self._filter else None)
        return tuple(in_order(found, self._order))

    @property
    def _index(self) -> int:
        return next((index for index, run in enumerate(self._shown) if run.path == self._chosen), 0)

    def _head_line(self, width: int) -> Line:
        remarks = [self._problem] if self._problem else [f"/{self._filter}/"] if self._filter else []
        return runs_head(str(self._folder), self._runs or (), len(self._shown), width, remarks)

    def _key_line(self, width: int) -> Line:
        """The keys that do something now."""
        needs_marks = () if self._marked else ("overlay", "runs_difference")
        needs_narrowing = () if self._marked or self._filter else ("clear",)
        without = (*needs_marks, *needs_narrowing, *(() if self._shown else ("open", "mark", "runs_sort", "preview")))
        return key_line((*RUNS_KEYS, *MONITOR_KEYS), self._keymap, width, without=without)

    def _content(self, width: int) -> Content:
        shown = self._shown
        if shown:
            heading, *rows = runs_lines(shown, self._marked, self.chosen, width, self._order)
            title = line(Span(ORDERS[self._order][1], "dim"))
            return Content(lines=rows, heading=heading, title=title, cursor=self._index)
        return Content(lines=tuple(wrapped(self._why_none, width)))

    @property
    def _why_none(self) -> str:
        if self._runs is None:
            return "Reading …"
        if self._filter:
            clear, change = (shown_key_of(each, self._keymap) for each in ("clear", "runs_filter"))
            found_by = (
                f"None of {len(self._runs)} runs matches /{self._filter}/ by name, recipe, state, verdict or tags."
            )
            return f"{found_by} {clear} takes the filter away, {change} changes it."
        command = f"jepa run quickstart{runs_dir_flag(self._folder)}"
        return f"There are no runs here yet. {command} makes one, and it is listed as soon as it begins."

    def _show(self) -> None:
        if not self.is_mounted:
            return
        self._head.show(self._head_line, self._look)
        self._lay_out()
        self._rows.redraw(self._look)
        if self._preview.display:
            self._preview.show(self._shown[self._index] if self._shown else None, self._look)
        self._keys.show(self._key_line, self._look)

    def _lay_out(self) -> None:
        """The preview beside the list, below it, or not at all."""
        width, height = self.size
        is_beside = width >= _BESIDE_FROM
        self._body.set_class(not is_beside, "-stacked")
        self._preview.display = self._wants_preview and bool(self._shown) and (is_beside or height >= _BELOW_FROM)
        self._preview.styles.width = max(width * 3 // 8, 44) if is_beside else "1fr"
        self._preview.styles.height = "1fr" if is_beside else _PREVIEW_HEIGHT
        if not self._preview.display:
            self._preview.stop()

    def _choose(self, index: int) -> None:
        if self._shown:
            self._chosen = self._shown[min(max(index, 0), len(self._shown) - 1)].path
            self._show()

    def action_row_down(self) -> None:
        self._choose(self._index + 1)

    def action_row_up(self) -> None:
        self._choose(self._index - 1)

    def action_page_down(self) -> None:
        self._choose(self._index + self._page)

    def action_page_up(self) -> None:
        self._choose(self._index - self._page)

    @property
    def _page(self) -> int:
        return max(self._rows.size.height - 4, 1)

    def on__rows_pointed(self, message: _Rows.Pointed) -> None:
        if 0 <= message.index < len(self._shown):
            self._choose(message.index)

    def action_first_row(self) -> None:
        self._choose(0)

    def action_last_row(self) -> None:
        self._choose(len(self._shown) - 1)

    def action_open(self) -> None:
        if len(self._marked) > 1:
            self.action_overlay()
        elif self.chosen:
            self.post_message(self.Opened((Path(self.chosen),)))

    def action_mark(self) -> None:
        path = self.chosen
        if path in self._marked:
            self._marked.remove(path)
        elif path and len(self._marked) < MOST_MARKED:
            self._marked.append(path)
        elif path:
            self.notify(f"At most {MOST_MARKED} runs can be told apart in one chart.", severity="warning", markup=False)
        self._choose(self._index + 1)

    def action_overlay(self) -> None:
        if len(self._marked) < 2:
            self.notify("Mark at least two runs first.", severity="warning", markup=False)
            return
        self.post_message(self.Opened(tuple(Path(path) for path in self._marked)))

    def action_runs_difference(self) -> None:
        if len(self._marked) != 2:
            self.notify("Mark two runs first.", severity="warning", markup=False)
            return
        self.post_message(self.Compared(Path(self._marked[0]), Path(self._marked[1])))

    def action_runs_sort(self) -> None:
        orders = tuple(ORDERS)
        self._order = orders[(orders.index(self._order) + 1) % len(orders)]
        self._show()

    def action_preview(self) -> None:
        self._wants_preview = not self._wants_preview
        self._show()

    def action_runs_filter(self) -> None:
        from jepa_monitor.chrome.filter_bar import FilterBar

        if not self.query(FilterBar):
            bar = FilterBar(self._filter, "regular expression over names, recipes, states, verdicts and tags")
            self.mount(bar, before=self._keys)
            self._keys.display = False

    def on_filter_bar_filtered(self, message: FilterBar.Filtered) -> None:
        self._problem = message.problem
        if not message.problem:
            self._filter = message.text
        if message.is_final:
            self.query("FilterBar").remove()
            self._keys.display = True
        self._show()

    def action_clear(self) -> None:
        self._filter = ""
        self._marked.clear()
        self._show()
