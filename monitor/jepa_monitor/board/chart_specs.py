"""Charts as data, from a run and what the person has chosen to see. A chart that says the same is the same object.

Drawing them is the business of `jepa_monitor.charts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import numpy as np

from jepa_core.figures import figure_text
from jepa_monitor.board.axis import Axis, axis_of, steady_end
from jepa_monitor.board.chart_annotations import mark_of_non_finite, marks_of_firings, marks_of_run, thresholds_of
from jepa_monitor.board.chart_groups import MOST_CURVES, ChartGroup, Line
from jepa_monitor.board.trouble import Trouble
from jepa_monitor.charts.smoothing import smoothed
from jepa_monitor.charts.spec import CURVE_TONES, ChartSpec, Curve, Mark, Tone
from jepa_monitor.display import Display, Span
from jepa_monitor.history.series import Series
from jepa_monitor.model.run_view import RunView

FEWEST_SMOOTHED = 12
"""Shorter series are shown as they are: there is no noise to tell from the trend."""


@attrs.frozen(kw_only=True, eq=False)
class ShownRuns:
    """One run, or several in the same charts: the first gives limits and marks."""

    views: tuple[RunView, ...]
    axes: tuple[Axis, ...]
    marks: tuple[Mark, ...]
    """Of the first run, on all its charts."""

    @property
    def first(self) -> RunView:
        return self.views[0]

    @property
    def are_several(self) -> bool:
        return len(self.views) > 1

    @property
    def whole(self) -> Span:
        """All of x, with a round right end."""
        return 0.0, steady_end(max(axis.newest for axis in self.axes))


def shown_runs(views: Sequence[RunView], display: Display) -> ShownRuns:
    """Runs on the axis that was chosen."""
    axes = tuple(axis_of(view, display.axis) for view in views)
    return ShownRuns(views=tuple(views), axes=axes, marks=marks_of_run(views[0], axes[0]))


class ChartSpecs:
    """Makes charts, and gives the same object again for a chart whose content has not changed."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[object, ChartSpec]] = {}

    def spec(
        self, group: ChartGroup, runs: ShownRuns, display: Display, trouble: Trouble, *, is_chosen: bool = False
    ) -> ChartSpec:
        """The chart of a group of metrics."""
        spec = _without_curves(group, runs, display, trouble, is_chosen=is_chosen)
        content = (attrs.astuple(spec, recurse=False), display.weight, _fingerprint(group, runs))
        made = self._made.get(group.key)
        if made is not None and made[0] == content:
            return made[1]
        curves = tuple(_curves(group, runs, display.weight))
        non_finite = (mark_of_non_finite(series, axis) for series, axis in _recorded(group, runs))
        marks = (*spec.marks, *(mark for mark in non_finite if mark is not None))
        whole = attrs.evolve(spec, curves=curves, marks=marks, note="" if curves else "no value yet")
        self._made[group.key] = (content, whole)
        return whole


def _without_curves(
    group: ChartGroup, runs: ShownRuns, display: Display, trouble: Trouble, *, is_chosen: bool
) -> ChartSpec:
    view, axis = runs.first, runs.axes[0]
    unit = _unit(view, group)
    figures = list(_figures(group, runs, unit))
    return ChartSpec(
        title=f"▸ {group.title}" if is_chosen else group.title,
        figure="  ".join(text for text, _ in figures),
        figure_tones=tuple(tone for _, tone in figures) if len(figures) > 1 or runs.are_several else (),
        thresholds=() if runs.are_several else thresholds_of(view, group.names, axis),
        marks=() if runs.are_several else (*runs.marks, *marks_of_firings(view, group.names, axis)),
        log=group.key in display.log,
        x_range=display.shown_span(runs.whole),
        is_zoomed=display.span is not None,
        smoothing="" if not display.smoothing else f"smoothed {display.weight:g}, centred",
        crosshair=display.crosshair,
        anchor=display.anchor,
        is_overlay=runs.are_several,
        alert=trouble.tone,
        integer_x=display.axis == "step",
        percent=unit == "%",
        of=group.lines[0].name,
    )


def _unit(view: RunView, group: ChartGroup) -> str:
    declared = view.metrics.get(group.lines[0].name)
    return declared.unit if declared else ""


def _figures(group: ChartGroup, runs: ShownRuns, unit: str) -> Iterator[tuple[str, Tone]]:
    """The newest value of each line, and the line's tone."""
    for number, view in enumerate(runs.views):
        for line in group.lines:
            value = view.finals.get(line.name)
            if line.tone != "dim" and value is not None:
                tone = CURVE_TONES[number % MOST_CURVES] if runs.are_several else line.tone
                yield figure_text(value, unit, of=line.name), tone


def _fingerprint(group: ChartGroup, runs: ShownRuns) -> tuple[object, ...]:
    """Changes when a series grows or is replaced."""
    return tuple(
        (axis.kind, line.name, len(series), series.steps[-1:].tobytes(), series.values[-1:].tobytes())
        for view, axis in zip(runs.views, runs.axes, strict=True)
        for line in group.lines
        if (series := view.history.series(line.name)) is not None
    )


def _recorded(group: ChartGroup, runs: ShownRuns) -> Iterator[tuple[Series, Axis]]:
    for view, axis in zip(runs.views, runs.axes, strict=True):
        for line in group.lines:
            series = view.history.series(line.name)
            if series is not None and len(series):
                yield series, axis


def _curves(group: ChartGroup, runs: ShownRuns, weight: float) -> Iterator[Curve]:
    if runs.are_several:
        for number, (view, axis) in enumerate(zip(runs.views, runs.axes, strict=True)):
            series = view.history.series(group.lines[0].name)
            yield from _curve(series, axis, str(number + 1), CURVE_TONES[number % MOST_CURVES], weight)
        return
    view, axis = runs.first, runs.axes[0]
    of_baseline = tuple(_baseline_curve(view, group.lines[0], axis))
    yield from of_baseline
    for line in group.lines:
        label = line.label if len(group.lines) > 1 else "this run" if of_baseline else ""
        yield from _curve(view.history.series(line.name), axis, label, line.tone, weight)


def _curve(series: Series | None, axis: Axis, label: str, tone: Tone, weight: float) -> Iterator[Curve]:
    if series is None or not len(series):
        return
    xs = axis.xs(series)
    if weight and tone != "dim" and len(series) >= FEWEST_SMOOTHED:
        yield Curve(label="", xs=xs, ys=series.values, tone="dim", is_band=True)
        yield Curve(label=label, xs=xs, ys=smoothed(series.values, weight), tone=tone)
    else:
        yield Curve(label=label, xs=xs, ys=series.values, tone=tone)


def _baseline_curve(view: RunView, line: Line, axis: Axis) -> Iterator[Curve]:
    """The baseline's run up to the same epoch."""
    series = view.baseline.series.get(line.name) if view.baseline else None
    if series is None or view.baseline is None or axis.moments is None:
        return
    points = [
        (x, value)
        for epoch, value in zip(series.epochs, series.values, strict=True)
        if epoch <= view.epoch and (x := axis.of_epoch(epoch)) is not None
    ]
    if points:
        xs, ys = np.array(points, dtype=np.float64).T
        yield Curve(label=view.baseline.name, xs=np.maximum.accumulate(xs), ys=ys, tone="dim")
