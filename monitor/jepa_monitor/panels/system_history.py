"""How the machine and the run's speed have gone: charts below the system's figures. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import attrs
import numpy as np

from jepa_core.figures import figure_text
from jepa_core.presentation.quantity import duration_text
from jepa_monitor.charts.drawing import draw_chart
from jepa_monitor.charts.look import Look
from jepa_monitor.charts.spec import CURVE_TONES, ChartSpec, Curve
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.line import Line, drawn, line
from jepa_monitor.panels.machine import MachineReading

_LEAST_HEIGHT, _MOST_HEIGHT = 7, 20
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
    per_row = min(per_row, -(-len(specs) // num_rows))  # four are two and two, not three and one
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
        newest = {curve.tone: figure_text(float(curve.ys[-1])) for curve in curves if len(curve.ys)}
        tones = tuple(newest) if len(newest) > 1 else ()
        yield ChartSpec(title="ms of a step", figure="  ".join(newest.values()), figure_tones=tones, curves=curves)


def _of_machine(past: Sequence[PastReading]) -> Iterator[ChartSpec]:
    if len(past) < _FEWEST_READINGS:
        return
    newest = past[-1].reading
    for gpu in newest.gpus_of_run[:1]:
        name = f"GPU {gpu.index}"
        yield from _chart(name, past, _of_gpu("use"), "%", 1.0)
        yield from _chart(f"{name} memory", past, _of_gpu("memory_used_gib"), "GiB", gpu.memory_total_gib)
        yield from _chart(f"{name} power", past, _of_gpu("power_w"), "W", gpu.power_limit_w)
    yield from _chart("processor", past, lambda reading: reading.processor_use, "%", 1.0)
    yield from _chart("memory", past, lambda reading: reading.memory_used_gib, "GiB", newest.memory_total_gib)


def _of_gpu(name: str) -> Callable[[MachineReading], float | None]:
    """A figure of the first GPU."""
    return lambda reading: getattr(reading.gpus_of_run[0], name) if reading.gpus_of_run else None


def _chart(
    title: str, past: Sequence[PastReading], of: Callable[[MachineReading], float | None], unit: str, most: float | None
) -> Iterator[ChartSpec]:
    """Seconds before now along x; from nothing to all there is along y, so that 98 % looks like much and steady."""
    told = [(each.seconds - past[-1].seconds, value) for each in past if (value := of(each.reading)) is not None]
    if len(told) < _FEWEST_READINGS:
        return
    xs, ys = np.array(told, dtype=np.float64).T
    figure = f"{ys[-1]:.0f} {unit}" if unit == "W" else f"{ys[-1]:.1f} {unit}" if unit == "GiB" else f"{ys[-1]:.0%}"
    yield ChartSpec(
        title=f"{title}, last {duration_text(-float(xs[0]))}",
        figure=figure.replace("%", " %"),
        curves=(Curve(label="", xs=xs, ys=ys),),
        percent=unit == "%",
        y_range=(0.0, most) if most else None,
    )
