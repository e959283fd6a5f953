"""The curves of a comparison as a picture: one panel per judged metric, one colour per recipe. Needs matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jepa_core.comparison.alignment import align
from jepa_core.comparison.comparing import Comparison
from jepa_core.comparison.seed_groups import SeedGroup
from jepa_core.errors import JepaError, RecipeError
from jepa_core.figures import rank_text
from jepa_core.presentation.null_lines import null_title
from jepa_core.visible_text import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

SUFFIXES = (".svg", ".png")
_PANEL_WIDTH, _PANEL_HEIGHT, _LEGEND_LINE = 6.0, 3.8, 0.24
_MOST_MARKED = 40
_NULL_STYLES = ("--", ":", "-.")


def check_plot_path(path: Path) -> None:
    """Refuse early what cannot be drawn at the end.

    Raises:
        RecipeError: the file's name ends in neither .svg nor .png.
        JepaError: matplotlib is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise RecipeError(f"--plot {path}: the name must end in {' or '.join(SUFFIXES)}.")
    try:
        import matplotlib.figure  # noqa: F401  # whether it is there
    except ImportError as error:
        raise JepaError('--plot needs matplotlib. Install it with: pip install "jepa-core[plot]"') from error


def draw_comparison(comparison: Comparison, path: Path) -> None:
    """Draw the judged metrics over steps.

    Raises:
        JepaError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    names = [metric.name for metric in comparison.judged]
    height = _PANEL_HEIGHT + _LEGEND_LINE * (len(comparison.groups) + 1)
    figure = Figure(figsize=(_PANEL_WIDTH * max(len(names), 1), height), layout="constrained")
    if comparison.same_data is False:
        figure.suptitle("OTHER DATA: curves of different runs cannot be compared", color="red", fontsize="medium")
    lines: dict[str, Line2D] = {}
    for axes, name in zip(figure.subplots(1, max(len(names), 1), squeeze=False)[0], names, strict=False):
        lines |= _draw_panel(axes, name, comparison.groups)
    legend = figure.legend(list(lines.values()), list(lines), loc="outside lower center", frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
    save_figure(figure, path)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a picture; an SVG of the same figures is the same file.

    Raises:
        JepaError: the file cannot be written.
    """
    import matplotlib as mpl

    try:
        with mpl.rc_context({"svg.hashsalt": "jepa"}):
            figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
    except OSError as error:
        raise JepaError(f"--plot {path} cannot be written: {error.strerror or error}.") from error


def _draw_panel(axes: Axes, name: str, groups: tuple[SeedGroup, ...]) -> dict[str, Line2D]:
    """Draw one metric; a line for the legend by its label."""
    axes.set_title(clean(name), parse_math=False, loc="left", fontsize="medium")
    axes.set_xlabel("step")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    lines = {_label(group): _draw_group(axes, name, group, f"C{index}") for index, group in enumerate(groups)}
    return lines | _draw_nulls(axes, name, groups)


def _draw_nulls(axes: Axes, name: str, groups: tuple[SeedGroup, ...]) -> dict[str, Line2D]:
    """The strongest null of each group's first run, where the metric is one that nulls are measured by."""
    lines: dict[str, Line2D] = {}
    for group in groups:
        null = group.runs[0].nulls.to_beat(name)
        value = null.measured(name) if null else None
        if null is not None and value is not None:
            label = f"strongest null ({null_title(null.name)}) {rank_text(value)}"
            if label not in lines:
                lines[label] = axes.axhline(value, color="0.45", linestyle=_NULL_STYLES[len(lines) % 3], linewidth=1.2)
    return lines


def _label(group: SeedGroup) -> str:
    seeds = f", mean of {len(group.runs)} seeds" if len(group.runs) > 1 else ""
    label = clean(group.label, 70) + seeds
    # matplotlib leaves labels that begin with an underscore out of the legend.
    return f" {label}" if label.startswith("_") else label


def _draw_group(axes: Axes, name: str, group: SeedGroup, color: str) -> Line2D:
    """A run's curve, or the seeds' curves thin under their mean at shared steps."""
    shared = align(name, group.runs)
    if len(group.runs) > 1:
        for run in group.runs:
            if name in run.series:
                series = run.series[name]
                axes.plot(series.steps, series.values, color=color, linewidth=0.8, alpha=0.35)
    marker = "o" if len(shared.steps) <= _MOST_MARKED else ""
    (line,) = axes.plot(shared.steps, shared.values.mean(0), color=color, linewidth=1.8, marker=marker, markersize=3.5)
    return line
