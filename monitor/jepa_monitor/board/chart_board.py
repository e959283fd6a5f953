"""The charts of a run and what keys do to them: which are shown, which is chosen, how they are looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs
from textual.app import ComposeResult
from textual.events import Resize
from textual.message import Message
from textual.widget import Widget

from jepa_monitor.board.chart_choice import ChartChoice, ChosenCharts
from jepa_monitor.board.chart_grid import ChartGrid, GridShape, grid_shape
from jepa_monitor.board.chart_specs import ChartSpecs, ShownRuns, shown_runs
from jepa_monitor.board.no_charts import NoCharts
from jepa_monitor.charts.look import Look
from jepa_monitor.charts.widget import Chart
from jepa_monitor.display import SMOOTHINGS, Display, Span
from jepa_monitor.model.run_view import RunView

_ZOOM = 0.5
_PAN = 0.25
_CROSSHAIR_STEP = 1 / 40
_DisplayChange = Callable[[Display, Span], Display]

_CHANGES: Mapping[str, _DisplayChange] = {
    "smooth": lambda display, _: display.with_next_smoothing(),
    "axis": lambda display, _: display.with_next_axis(),
    "zoom_in": lambda display, whole: display.zoomed(_ZOOM, whole),
    "zoom_out": lambda display, whole: display.zoomed(1 / _ZOOM, whole),
    "pan_left": lambda display, whole: display.panned(-_PAN, whole),
    "pan_right": lambda display, whole: display.panned(_PAN, whole),
    "reset_view": lambda display, _: display.whole(),
    "follow": lambda display, whole: display.with_follow_toggled(whole),
    "crosshair": lambda display, whole: display.with_crosshair_toggled(whole),
    "anchor": lambda display, whole: display.with_anchor_toggled(whole),
    "crosshair_left": lambda display, whole: display.with_crosshair_moved(-_CROSSHAIR_STEP, whole),
    "crosshair_right": lambda display, whole: display.with_crosshair_moved(_CROSSHAIR_STEP, whole),
    "automatic_grid": lambda display, _: attrs.evolve(display, columns=0, rows=0),
}
"""What a key does to all charts."""

_GRID_CHANGES: Mapping[str, tuple[int, int]] = {
    "more_columns": (1, 0), "fewer_columns": (-1, 0), "more_rows": (0, 1), "fewer_rows": (0, -1),
}  # fmt: skip


class ChartBoard(Widget):
    """Charts, chosen and arranged."""

    DEFAULT_CSS = "ChartBoard { height: 1fr; width: 1fr; }"

    class DisplayChanged(Message):
        """Another way of looking was chosen."""

        def __init__(self, display: Display) -> None:
            super().__init__()
            self.display = display

    class Rearranged(Message):
        """Another page is shown, or there are more or fewer of them."""

    def __init__(
        self,
        display: Display,
        look: Look,
        *,
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self.display_choice = display
        self.chosen: str | None = None
        """Key of the chart that keys act on; None until one is chosen, and then the first is meant."""
        self.is_full_screen = False
        self._look = look
        self._grid = ChartGrid(look)
        self._nothing = NoCharts()
        self._choice = ChartChoice()
        self._specs = ChartSpecs()
        self._runs: ShownRuns | None = None
        self._charts = ChosenCharts()
        self._told_page = (0, 1)
        """As it was last drawn: hidden charts have no size, and so no pages."""

    def compose(self) -> ComposeResult:
        self._nothing.display = False
        yield self._nothing
        yield self._grid

    @property
    def titles(self) -> tuple[str, ...]:
        """Of all charts there are to see, in their order."""
        return tuple(group.title for group in self._charts.groups)

    @property
    def grid(self) -> ChartGrid:
        return self._grid

    def show(self, views: Sequence[RunView], look: Look) -> None:
        """Show a run, or several in the same charts."""
        self._look = look
        self._runs = shown_runs(views, self.display_choice)
        self._charts = self._choice.choose(views, self.display_choice.filter, is_held=self._is_held)
        self._draw()

    def look_at(self, display: Display) -> None:
        """Look at the same in another way."""
        if display == self.display_choice:
            return
        self.display_choice = display
        self.post_message(self.DisplayChanged(display))
        if self._runs is not None:
            self.show(self._runs.views, self._look)

    @property
    def remarks(self) -> tuple[str, ...]:
        """How it is looked at, where that is not as usual, in words."""
        display = self.display_choice
        page, num_pages = self._told_page
        said = (
            (bool(display.filter), f"/{display.filter}/"),
            (display.smoothing > 0, f"{SMOOTHINGS[display.smoothing][0]} smoothing"),
            (display.axis != "step", f"x {display.axis}"),
            (display.span is not None, "zoom"),
            (not display.follow and display.span is None, "not following"),
            (num_pages > 1, f"page {page + 1}/{num_pages}"),
            (not self._charts.are_sorted, "o sorts by trouble"),
        )
        return tuple(words for is_so, words in said if is_so)

    def act(self, name: str) -> None:
        """Do what the key of this name stands for."""
        if name in _CHANGES and self._runs is not None:
            self.look_at(_CHANGES[name](self.display_choice, self._runs.whole))
        elif name in _GRID_CHANGES:
            shown = self._grid.shape.columns, self._grid.shape.rows
            self.look_at(self.display_choice.with_grid_changed(*_GRID_CHANGES[name], shown))
        elif name == "log" and self._charts.groups:
            self.look_at(self.display_choice.with_log_toggled(self._meant_key))
        elif name == "sort" and self._runs is not None:
            self._choice.sort_again()
            self.chosen = None
            self.show(self._runs.views, self._look)
        elif name == "full_screen" and self._charts.groups:
            self.set_full_screen(not self.is_full_screen)
        else:
            self._choose_by(self._distance(name))

    def set_full_screen(self, is_full_screen: bool) -> None:
        """One chart alone, or all of them."""
        if is_full_screen:
            self.chosen = self._meant_key
        self.is_full_screen = is_full_screen
        self._draw()

    def remove_crosshair(self) -> None:
        self.look_at(attrs.evolve(self.display_choice, crosshair=None, anchor=None))

    def on_resize(self, _event: Resize) -> None:
        self._draw()

    def on_chart_grid_chosen(self, message: ChartGrid.Chosen) -> None:
        index = self._page[0] * self._shape.size + message.position
        if index < len(self._charts.groups):
            self.chosen = self._charts.groups[index].key
            self._draw()

    def on_chart_grid_zoomed(self, message: ChartGrid.Zoomed) -> None:
        if self._runs is not None:
            self.look_at(self.display_choice.zoomed(message.factor, self._runs.whole))

    def on_chart_pointed(self, message: Chart.Pointed) -> None:
        self.look_at(attrs.evolve(self.display_choice, crosshair=message.x))

    @property
    def _is_held(self) -> bool:
        """Whether somebody looks at a chart: chose it, or a part of x."""
        display = self.display_choice
        return self.chosen is not None or display.span is not None or display.crosshair is not None

    @property
    def _meant_key(self) -> str:
        return self._charts.groups[self._charts.index(self.chosen)].key

    @property
    def _shape(self) -> GridShape:
        if self.is_full_screen:
            return GridShape(1, 1)
        display = self.display_choice
        width, height = self.size
        return grid_shape(width, height, len(self._charts.groups), columns=display.columns, rows=display.rows)

    @property
    def _page(self) -> tuple[int, int]:
        """Which page is shown, and how many there are."""
        size = self._shape.size
        return self._charts.index(self.chosen) // size, max(-(-len(self._charts.groups) // size), 1)

    def _distance(self, name: str) -> int:
        """How far a key moves the choice along the order of charts; 0 for a key that moves nothing."""
        shape = self._shape
        return {
            "next_chart": 1, "previous_chart": -1, "right": 1, "left": -1, "down": shape.columns, "up": -shape.columns,
            "next_page": shape.size, "previous_page": -shape.size,
        }.get(name, 0)  # fmt: skip

    def _choose_by(self, distance: int) -> None:
        num_charts = len(self._charts.groups)
        if not num_charts or not distance:
            return
        index = self._charts.index(self.chosen)
        if self.chosen is not None or abs(distance) >= self._shape.size > 1:
            index += distance
        index = index % num_charts if abs(distance) == 1 else min(max(index, 0), num_charts - 1)
        self.chosen = self._charts.groups[index].key
        self._draw()

    def _draw(self) -> None:
        if self._runs is None or not self.is_mounted or not self.size.area:
            return
        if self._page != self._told_page:
            self._told_page = self._page
            self.post_message(self.Rearranged())
        has_charts = bool(self._charts.groups)
        self._nothing.display, self._grid.display = not has_charts, has_charts
        if not has_charts:
            self._nothing.show(self._runs.views, self.display_choice.filter, self._look)
            return
        shape = self._shape
        first = self._page[0] * shape.size
        shown = self._charts.groups[first : first + shape.size]
        specs = [
            self._specs.spec(
                group,
                self._runs,
                self.display_choice,
                self._charts.troubles[group.key],
                is_chosen=group.key == self.chosen and len(self._charts.groups) > 1,
            )
            for group in shown
        ]
        self._grid.show(specs, shape, self._look)
