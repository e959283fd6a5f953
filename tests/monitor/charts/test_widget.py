from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from jepa_monitor.charts.look import Look
from jepa_monitor.charts.spec import ChartSpec, Curve
from jepa_monitor.charts.widget import Chart

SPEC = ChartSpec(title="loss", figure="0.4", curves=(Curve(label="a", xs=np.arange(101.0), ys=np.arange(101.0)),))


class Shown(App[None]):
    """One chart over the whole screen."""

    def __init__(self) -> None:
        super().__init__()
        self.chart = Chart(SPEC)
        self.pointed: list[float | None] = []

    def compose(self) -> ComposeResult:
        yield self.chart

    def on_chart_pointed(self, message: Chart.Pointed) -> None:
        self.pointed.append(message.x)


def tried(check: Callable[[Shown, Pilot[None]], Awaitable[None]]) -> None:
    async def run() -> None:
        app = Shown()
        async with app.run_test(size=(60, 12)) as pilot:
            await check(app, pilot)

    asyncio.run(run())


def test_the_image_is_drawn_anew_only_when_something_changes() -> None:
    async def check(app: Shown, pilot: Pilot[None]) -> None:
        first = app.chart.image()
        assert (first.width, first.height) == (60, 12)
        app.chart.refresh()
        await pilot.pause()
        assert app.chart.image() is first
        app.chart.spec = ChartSpec(title="other")
        await pilot.pause()
        assert "other" in app.chart.image().text
        app.chart.look = Look(ascii=True)
        await pilot.pause()
        assert app.chart.image().text.isascii()
        await pilot.resize_terminal(40, 8)
        await pilot.pause()
        assert app.chart.image().width == 40

    tried(check)


def test_columns_map_to_x() -> None:
    async def check(app: Shown, pilot: Pilot[None]) -> None:
        await pilot.pause()
        assert app.chart.plotted_range == (0.0, 100.0)
        inside = [column for column in range(60) if app.chart.x_at(column) is not None]
        assert inside == list(range(7, 59))
        xs = [x for column in inside if (x := app.chart.x_at(column)) is not None]
        np.testing.assert_allclose(xs, (np.arange(52) + 0.5) / 52 * 100)

    tried(check)


def test_the_pointer_tells_its_x_and_when_it_leaves_the_plot() -> None:
    async def check(app: Shown, pilot: Pilot[None]) -> None:
        await pilot.hover(offset=(33, 5))
        await pilot.hover(offset=(33, 6))
        await pilot.hover(offset=(2, 5))
        await pilot.pause()
        assert app.pointed == [app.chart.x_at(33), None]

    tried(check)


def test_without_a_specification_there_is_an_empty_frame() -> None:
    async def check(app: Shown, pilot: Pilot[None]) -> None:
        app.chart.spec = None
        await pilot.pause()
        assert app.chart.image().text.startswith("┌──")
        assert app.chart.plotted_range == (0.0, 1.0)

    tried(check)
