"""Eight charts of 2,000 points, all redrawn as often as the widget can: `python benchmarks/eight_charts.py WIDGET`.

The same application for every chart widget, so that they can be compared: ours, textual-plotext's, textual-plot's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from textual.app import App, ComposeResult
from textual.containers import Grid
from textual.widget import Widget

NUM_CHARTS = 8
NUM_POINTS = 2000
PAUSE_SECONDS = 0.02
"""Between a frame that is painted and the next, so that none is wanted before the last one is out."""

Floats = NDArray[np.float64]
Draw = Callable[[Widget, Floats, Floats], None]


def own_widget() -> tuple[Callable[[], Widget], Draw]:
    from jepa_monitor.charts.spec import ChartSpec, Curve
    from jepa_monitor.charts.widget import Chart

    def draw(chart: Any, xs: Floats, ys: Floats) -> None:
        chart.spec = ChartSpec(title="loss", curves=(Curve(label="loss", xs=xs, ys=ys),))

    return Chart, draw


def plotext_widget() -> tuple[Callable[[], Widget], Draw]:
    from textual_plotext import PlotextPlot

    def draw(chart: Any, xs: Floats, ys: Floats) -> None:
        chart.plt.clear_data()
        chart.plt.plot(xs.tolist(), ys.tolist(), marker="braille")
        chart.refresh()

    return PlotextPlot, draw


def plot_widget() -> tuple[Callable[[], Widget], Draw]:
    from textual_plot import HiResMode, PlotWidget

    def draw(chart: Any, xs: Floats, ys: Floats) -> None:
        chart.clear()
        chart.plot(x=xs, y=ys, hires_mode=HiResMode.BRAILLE)

    return PlotWidget, draw


WIDGETS = {"own": own_widget, "textual-plotext": plotext_widget, "textual-plot": plot_widget}


class EightCharts(App[None]):
    """Two rows of four."""

    CSS = "Grid { grid-size: 4 2; }"
    BINDINGS = [("q", "quit", "quit")]  # noqa: RUF012  # Textual's own way

    def __init__(self, widget: str) -> None:
        super().__init__()
        self._make, self._draw = WIDGETS[widget]()
        self._shift = 0

    def compose(self) -> ComposeResult:
        with Grid():
            for _ in range(NUM_CHARTS):
                yield self._make()

    def on_mount(self) -> None:
        self.call_after_refresh(self._redraw)

    def _redraw(self) -> None:
        self._shift += 5
        xs = np.arange(self._shift, self._shift + NUM_POINTS, dtype=float)
        for index, chart in enumerate(self.query_one(Grid).children):
            ys = np.sin(xs / (90 + 37 * index)) + 0.2 * np.sin(xs * (1.7 + index))
            self._draw(chart, xs, ys)
        self.call_after_refresh(self.set_timer, PAUSE_SECONDS, self._redraw)


if __name__ == "__main__":
    EightCharts(sys.argv[1]).run()
