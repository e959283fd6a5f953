"""The picture of growth.py: time and memory of a step over each size, beside what would be linear."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from jepa_core.engine.output_files import appearing_whole
from jepa_core.presentation.comparison_plot import save_figure

if TYPE_CHECKING:
    from growth import Growth


def draw(growth: Growth, path: Path) -> None:
    """One panel for time and one for memory, both as multiples of the reference step's, on logarithmic axes."""
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True)
    for axes, what, unit in zip(panels, ("ms", "peak_mib"), ("time of a step", "memory"), strict=True):
        largest = 1.0
        for axis, points in growth.axes().items():
            known = [(point.size, getattr(point, what)) for point in points if getattr(point, what)]
            if not known:
                continue
            size, figure_of_reference = known[0]
            xs, ys = [x / size for x, _ in known], [y / figure_of_reference for _, y in known]
            largest = max(largest, *xs)
            axes.plot(xs, ys, marker="o", markersize=4, label=f"{axis}, from {size:,}")
        axes.plot([1, largest], [1, largest], linestyle="--", color="grey", linewidth=1, label="linear")
        axes.set(xscale="log", yscale="log", xlabel="size, of the reference step's", title=unit)
        axes.set_ylabel("of the reference step's")
        axes.grid(visible=True, which="major", alpha=0.3)
    panels[0].legend(frameon=False, fontsize="small")
    with appearing_whole(path) as draft:
        save_figure(figure, draft)
