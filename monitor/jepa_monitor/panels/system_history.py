"""How the machine and the run's speed have gone: charts below the system's figures. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import attrs
import numpy as np

from jepa_core.presentation.figures import figure_text
from jepa_monitor.charts.drawing import draw_chart
from jepa_monitor.charts.look import Look
from jepa_monitor.charts.spec import CURVE_TONES, ChartSpec, Curve
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.line import Line, drawn, line
from jepa_monitor.panels.machine import MachineReading

_LEAST_HEIGHT, _MOST_HEIGHT = 7, 14
_LEAST_WIDTH = 44
_FEWEST_READINGS = 2
_TIMES = (("time.step", "step"), ("time.data", "data"), ("time.wait", "wait"))


@attrs.frozen
class PastReading:
    """The machine at one moment."""

    seconds: float
    """By a clock that is never set back."""
    reading: MachineReading


def history_lines(view: RunView, past: Sequence[PastReading], width: int, height: int, look: Look) -> tuple[Line, ...]:
    """Charts in `width` × `height` cells, as many as have room; none where there is too little."""
    specs = [*_of_run(view), *_of_machine(past)]
    per_row = max(min(width // _LEAST_WIDTH, len(specs), 3), 1)
    num_rows = min(-(-len(specs) // per_row), height // _LEAST_HEIGHT)
    if not specs or num_rows < 1:
        return ()
    tall = min(height // num_rows, _MOST_HEIGHT)
    lines: list[Line] = []
    for row in range(num_rows):
        shown = specs[row * per_row : (row + 1) * per_row]
        images = [drawn(draw_chart(spec, width // per_row, tall, look)) for spec in shown]
        lines += [line(*rows) for rows in zip(*images, strict=True)]
    return tuple(lines)


def _of_run(view: RunView) -> Iterator[ChartSpec]:
    rate = view.history.series("throughput.samples_per_second")
    if rate is not None and len(rate):
        curve = Curve(label="", xs=rate.steps, ys=rate.values)
        yield ChartSpec(title="samples/s by step", figure=figure_text(float(rate.values[-1])), curves=(curve,))
    found = [(label, series) for name, label in _TIMES if (series := view.history.series(name)) is not None]
    if found:
        curves = tuple(
            Curve(label=label, xs=series.steps, ys=series.values * 1000, tone=tone)
            for (label, series), tone in zip(found, CURVE_TONES, strict=False)
        )
        yield ChartSpec(title="ms of a step", curves=curves)


def _of_machine(past: Sequence[PastReading]) -> Iterator[ChartSpec]:
    if len(past) < _FEWEST_READINGS:
        return
    newest = past[-1].reading
    for position, gpu in enumerate(newest.gpus_of_run[:1]):

        def of_gpu(name: str, position: int = position) -> Callable[[MachineReading], float | None]:
            return lambda reading: (
                getattr(reading.gpus_of_run[position], name) if position < len(reading.gpus_of_run) else None
            )

        yield from _chart(f"GPU {gpu.index}", past, of_gpu("use"), unit="%")
        yield from _chart(f"GPU {gpu.index} memory GiB", past, of_gpu("memory_used_gib"))
        yield from _chart(f"GPU {gpu.index} power W", past, of_gpu("power_w"))
    yield from _chart("processor", past, lambda reading: reading.processor_use, unit="%")
    yield from _chart("memory GiB", past, lambda reading: reading.memory_used_gib)


def _chart(
    title: str, past: Sequence[PastReading], of: Callable[[MachineReading], float | None], unit: str = ""
) -> Iterator[ChartSpec]:
    """Seconds before now along x."""
    told = [(each.seconds - past[-1].seconds, value) for each in past if (value := of(each.reading)) is not None]
    if len(told) < _FEWEST_READINGS:
        return
    xs, ys = np.array(told, dtype=np.float64).T
    figure = figure_text(float(ys[-1]), unit)
    curve = Curve(label="", xs=xs, ys=ys)
    yield ChartSpec(title=f"{title}, s to now", figure=figure, curves=(curve,), percent=unit == "%")
