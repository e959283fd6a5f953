"""Eigenvalue spectra of projected contexts and targets on one axis, with their effective ranks.

A spectrum that falls off a cliff is a collapse of dimensions long before the loss tells (RankMe, arXiv 2210.02885).
"""

from __future__ import annotations

import math
from typing import ClassVar

from jepa_core.figures import figure_text
from jepa_monitor.charts.bars import draw_bars, log_range
from jepa_monitor.charts.look import Look
from jepa_monitor.charts.spec import Tone
from jepa_monitor.model.awaited import no_diagnosis
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.framed_lines import Content
from jepa_monitor.panels.line import Line, Span, drawn, line, wrapped
from jepa_monitor.panels.panel import Panel
from jepa_monitor.panels.recorded import numbers, perplexity, table

_LEAST_SHARE = 1e6
"""Of the greatest eigenvalue: below it there is no bar."""
_TITLE = "spectrum of the projection"
_WIDTH_OF_TITLE = len(_TITLE) + 3
"""Of the columns of a line, those above which the frame's edge has no room for what is behind its title."""
_LEAST_WIDTH_WITH_AXIS, _LEAST_HEIGHT_WITH_AXIS = 28, 3


def spectrum_content(view: RunView, width: int, height: int, look: Look) -> Content:
    """Bars for the context, marks for the target, on a logarithmic axis; and a row with the effective ranks."""
    spectra = table(view.diagnosis.get("spectrum"))
    context, target = numbers(spectra.get("context")), numbers(spectra.get("target"))
    num_dimensions = max(len(context), len(target))
    if not num_dimensions:
        return Content(lines=wrapped(no_diagnosis(view), width, tone="dim"))
    ranks = [perplexity(each) for each in (context, target)]
    is_finite = not any(map(math.isnan, (*context, *target)))
    context, target = _above_noise(context, target)
    num_shown = max(len(context), len(target))
    of_all = "" if num_shown == num_dimensions else f" of {num_dimensions}"
    titles = (f"log, dimensions 1–{num_shown}{of_all}", f"log, 1–{num_shown}{of_all}", "log")
    bars = _with_axis(context, target, width, max(height - 1, 1), look)
    words = [line(*_rank(*each, look)) for each in (("context", ranks[0], "accent"), ("target", ranks[1], "second"))]
    legend = line(Span("effective rank  ", "dim"), words[0], "  ", words[1])
    return Content(
        lines=(*bars, legend if legend.width <= width else line(words[0], " ", words[1])) if height > 1 else bars,
        title=line(Span(next((title for title in titles if len(title) <= width - _WIDTH_OF_TITLE), ""), "dim")),
        figure=line() if is_finite else line(Span("not finite", "bad", is_bold=True)),
        alert=None if is_finite else "bad",
    )


def _above_noise(*spectra: tuple[float, ...]) -> list[tuple[float, ...]]:
    """Without the dimensions at the end in which none has a bar: a sample of n embeddings spans fewer than n."""
    greatest = max((value for spectrum in spectra for value in spectrum if math.isfinite(value)), default=0.0)
    seen = [
        index
        for spectrum in spectra
        for index, value in enumerate(spectrum)
        if value > greatest / _LEAST_SHARE or not math.isfinite(value)
    ]
    return [spectrum[: max(seen, default=len(spectrum)) + 1] for spectrum in spectra]


def _with_axis(
    context: tuple[float, ...], target: tuple[float, ...], width: int, height: int, look: Look
) -> tuple[Line, ...]:
    """The bars, and what their axis stands for at its two ends, where there is room."""
    ends = log_range(context, target)
    labels = [f"{end:.0e}".replace("e-0", "e-").replace("e+0", "e") for end in ends[::-1]] if ends else []
    margin = max(map(len, labels), default=-1) + 1
    if width < _LEAST_WIDTH_WITH_AXIS or height < _LEAST_HEIGHT_WITH_AXIS:
        margin, labels = 0, []
    bars = drawn(draw_bars(context, width - margin, height, look, overlay=target, log=True))
    at_row = {0: labels[0], len(bars) - 1: labels[1]} if labels else {}
    return tuple(
        line(Span(f"{at_row.get(row, ''):>{margin - 1}} " if margin else "", "dim"), bar)
        for row, bar in enumerate(bars)
    )


def _rank(words: str, rank: float, tone: Tone, look: Look) -> tuple[Span, ...]:
    """What is drawn as bars and what as marks is told by the sign before the figure."""
    sign = look.glyphs.bar_levels[len(look.glyphs.bar_levels) // 2] if words == "context" else look.glyphs.legend_line
    value = "–" if math.isnan(rank) else figure_text(rank)
    return Span(f"{sign} ", tone), Span(f"{words} ", "dim"), Span(value, is_bold=True)


class SpectrumPanel(Panel):
    """Eigenvalue spectra."""

    PANE_TITLE: ClassVar[str] = _TITLE

    def content(self, view: RunView, width: int, height: int, look: Look) -> Content:
        return spectrum_content(view, width, height, look)
