"""An ablation as a picture: each cell's mean curve with its 95 % band, and every effect with its interval.

Needs matplotlib.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jepa_core.ablation.effects import AblationResult, CellResult, FactorResult
from jepa_core.comparison.alignment import align
from jepa_core.comparison.student_t import MeanInterval, mean_interval
from jepa_core.metrics import Metric
from jepa_core.presentation.ablation_table import null_text
from jepa_core.presentation.comparison_plot import save_figure
from jepa_core.visible_text import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_CURVES_WIDTH, _FACTOR_WIDTH, _HEIGHT, _LEGEND_LINE = 6.4, 3.6, 3.8, 0.24
_MOST_MARKED = 40


def draw_ablation(result: AblationResult, path: Path) -> None:
    """Draw the judged metric.

    Raises:
        JepaError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    factors = result.factors
    widths = [_CURVES_WIDTH, *[_FACTOR_WIDTH] * len(factors)]
    height = _HEIGHT + _LEGEND_LINE * (len(result.cells) + 1)
    figure = Figure(figsize=(sum(widths), height), layout="constrained")
    panels = figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)[0]
    lines = _draw_curves(panels[0], result)
    for axes, factor in zip(panels[1:], factors, strict=True):
        _draw_factor(axes, factor)
    legend = figure.legend(list(lines.values()), list(lines), loc="outside lower center", frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
    save_figure(figure, path)


def _draw_curves(axes: Axes, result: AblationResult) -> dict[str, Line2D]:
    """The cells' curves over epochs; a line for the legend by its label."""
    _prepare(axes, f"{result.metric.name}, mean over seeds")
    axes.set_xlabel("epoch")
    lines: dict[str, Line2D] = {}
    for index, cell in enumerate(result.cells):
        line = _draw_cell(axes, cell, result.metric, f"C{index}")
        if line is not None:
            # matplotlib leaves labels that begin with an underscore out of the legend.
            seeds = len(cell.finals())
            lines[f" {clean(cell.label, 80)} ({seeds} seed{'' if seeds == 1 else 's'})"] = line
    for null in result.nulls:
        middle = (null.low + null.high) / 2
        line = axes.axhline(middle, color="0.45", linestyle="--", linewidth=1.2)
        lines[f"strongest null: {null_text(null, result.metric.unit)}"] = line
    return lines


def _draw_cell(axes: Axes, cell: CellResult, metric: Metric, color: str) -> Line2D | None:
    """Its finished runs at the steps that they share; None when there is nothing to draw."""
    from jepa_core.comparison.series import epochs_at

    runs = [run.recorded for run in cell.runs if run.final is not None and run.recorded is not None]
    if not runs:
        return None
    shared = align(metric.name, runs)
    epochs = epochs_at(shared.steps, runs[0].series.get("epoch"))
    means = [mean_interval(values).within(metric) for values in zip(*shared.values, strict=True)]
    marker = "o" if len(epochs) <= _MOST_MARKED else ""
    bands = [(m.low, m.high) for m in means if m.low is not None and m.high is not None]
    if bands and len(bands) == len(means):
        low, high = zip(*bands, strict=True)
        axes.fill_between(epochs, low, high, color=color, alpha=0.15, linewidth=0)
    (line,) = axes.plot(epochs, [m.mean for m in means], color=color, linewidth=1.8, marker=marker, markersize=3.5)
    return line


def _draw_factor(axes: Axes, factor: FactorResult) -> None:
    """Each level's difference to the reference, which is the zero line."""
    _prepare(axes, factor.key)
    axes.set_ylabel(f"difference to {clean(factor.levels[0].value, 30)}", parse_math=False)
    axes.axhline(0, color="0.45", linewidth=1)
    for place, level in enumerate(factor.levels[1:]):
        if level.test is not None and level.test.difference is not None:
            _draw_difference(axes, place, level.test.difference)
    labels = [clean(level.value, 20) for level in factor.levels[1:]]
    axes.set_xticks(range(len(labels)))
    for text in axes.set_xticklabels(labels):
        text.set_parse_math(False)
    axes.set_xlim(-0.6, len(labels) - 0.4)


def _draw_difference(axes: Axes, place: int, difference: MeanInterval) -> None:
    if difference.low is not None and difference.high is not None:
        axes.vlines(place, difference.low, difference.high, color="C0", linewidth=1.8)
    axes.plot([place], [difference.mean], color="C0", marker="o", markersize=5)


def _prepare(axes: Axes, title: str) -> None:
    axes.set_title(clean(title, 80), parse_math=False, loc="left", fontsize="medium")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
