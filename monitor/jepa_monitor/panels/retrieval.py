"""Retrieval beside counting equal cells, which learns nothing: what the embedding is for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import attrs

from jepa_core.presentation.figures import change_text, figure_text
from jepa_monitor.charts.look import Look
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.columns import Cell, Stretch, columns
from jepa_monitor.panels.framed_lines import Content
from jepa_monitor.panels.level import bar
from jepa_monitor.panels.line import Line, Span, line
from jepa_monitor.panels.panel import Panel

_FIGURES = (("MRR", "mrr", ""), ("top-1", "top1", "%"), ("top-10", "top10", "%"))


@attrs.frozen(kw_only=True)
class Comparison:
    """One retrieval figure."""

    words: str
    unit: str
    value: float
    counting: float | None
    """What counting equal cells reaches on the same list; None where that is not recorded."""

    @property
    def change(self) -> float | None:
        """Relative to counting; positive when better."""
        return self.value / self.counting - 1 if self.counting else None


def comparisons(view: RunView) -> tuple[Comparison, ...]:
    """The retrieval figures on validation that are recorded."""
    finals = view.finals
    return tuple(
        Comparison(words=words, unit=unit, value=finals[name], counting=finals.get(f"val.retrieval.baseline_{short}"))
        for words, short, unit in _FIGURES
        if (name := f"val.retrieval.{short}") in finals
    )


def retrieval_content(view: RunView, width: int, look: Look) -> Content:
    """Each figure of validation with counting cells below it; the batch's in the last row."""
    figures = comparisons(view)
    lines = columns([row for comparison in figures for row in _rows(comparison, look)], width, right=(1,))
    batch = view.finals.get("retrieval.mrr")
    if batch is not None:
        lines += (line(Span(f"within the batch  MRR {figure_text(batch)}", "dim")),)
    if not lines:
        return Content(lines=(line(Span("no validation yet", "dim")),))
    return Content(lines=lines, figure=_judged(figures, look))


def _rows(comparison: Comparison, look: Look) -> Iterator[list[Cell]]:
    change, counting = comparison.change, comparison.counting
    words = "" if change is None or not math.isfinite(change) else change_text(change)
    yield [
        line(comparison.words),
        line(Span(figure_text(comparison.value, comparison.unit), is_bold=True)),
        Stretch(lambda room: bar(comparison.value, room, look)),
        line(Span(words, "good" if change is not None and change > 0 else "bad")),
    ]
    if counting is not None:
        figure = line(Span(figure_text(counting, comparison.unit), "dim"))
        yield [line(Span("  counting cells", "dim")), figure, Stretch(lambda room: bar(counting, room, look, "dim"))]


def _judged(figures: tuple[Comparison, ...], look: Look) -> Line:
    """Whether the first figure, the MRR, is above counting cells."""
    change = figures[0].change if figures else None
    if change is None:
        return line()
    if change > 0:
        return line(Span(f"{look.glyphs.good} above counting cells", "good"))
    return line(Span(f"{look.glyphs.alert} not above counting cells", "warning"))


class RetrievalPanel(Panel):
    """Retrieval on validation."""

    PANE_TITLE: ClassVar[str] = "retrieval"

    def content(self, view: RunView, width: int, height: int, look: Look) -> Content:  # noqa: ARG002  # it scrolls
        return retrieval_content(view, width, look)
