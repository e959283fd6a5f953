"""Retrieval beside the strongest null, which learns nothing: what the embedding is for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import attrs

from jepa_core.figures import change_text, figure_text, rank_text
from jepa_core.presentation.null_lines import null_title
from jepa_core.watch.nulls import RankedNulls
from jepa_monitor.charts.look import Look
from jepa_monitor.model.awaited import every, nothing_yet
from jepa_monitor.model.beside_nulls import (
    controls,
    difference_text,
    is_above,
    num_candidates,
    too_few,
    void_controls,
)
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.cells import Cell, Stretch, columns
from jepa_monitor.panels.framed_lines import Content
from jepa_monitor.panels.level import bar
from jepa_monitor.panels.line import Line, Span, line, wrapped
from jepa_monitor.panels.panel import Panel

_FIGURES = (
    ("MRR", "val.retrieval.mrr", ""),
    ("top-1", "val.retrieval.top1", "%"),
    ("top-10", "val.retrieval.top10", "%"),
    ("near copies", "val.hard.mrr", ""),
)


@attrs.frozen(kw_only=True)
class Comparison:
    """One retrieval figure."""

    name: str
    """The metric's."""
    words: str
    unit: str
    value: float
    title: str
    """Of the strongest null; empty where there is none."""
    null: float | None
    """What it reaches on the same list; None where that is not recorded."""

    @property
    def change(self) -> float | None:
        """Relative to the null; positive when better."""
        return self.value / self.null - 1 if self.null else None


def comparisons(view: RunView) -> tuple[Comparison, ...]:
    """The retrieval figures on validation that are recorded."""
    nulls = view.nulls
    return tuple(_beside_null(words, unit, name, view, nulls) for words, name, unit in _FIGURES if name in view.finals)


def _beside_null(words: str, unit: str, name: str, view: RunView, nulls: RankedNulls) -> Comparison:
    null = nulls.to_beat(name)
    return Comparison(
        name=name,
        words=words,
        unit=unit,
        value=view.finals[name],
        title=null_title(null.name) if null else "",
        null=null.measured(name) if null else None,
    )


def retrieval_content(view: RunView, width: int, look: Look) -> Content:
    """The paired difference, each figure of validation with the null to beat below it, and what sets them in
    proportion."""
    figures = comparisons(view)
    lines = tuple(_beside_chance(view, look))
    lines += columns([row for comparison in figures for row in _rows(comparison, look)], width, right=(1,))
    lines += tuple(line(Span(words, "dim")) for words in _remarks(view))
    batch = view.finals.get("retrieval.mrr")
    if batch is not None:
        lines += (line(Span(f"within the batch  MRR {rank_text(batch)}", "dim")),)
    if not lines:
        told = nothing_yet("validation", view, every(view, "validate_every_epochs", "epoch"))
        return Content(lines=wrapped(told, width, tone="dim"))
    return Content(lines=lines, figure=_judged(figures, view, look))


def _rows(comparison: Comparison, look: Look) -> Iterator[list[Cell]]:
    change, null = comparison.change, comparison.null
    words = "" if change is None or not math.isfinite(change) else change_text(change)
    yield [
        line(comparison.words),
        line(Span(figure_text(comparison.value, comparison.unit, of=comparison.name), is_bold=True)),
        Stretch(lambda room: bar(comparison.value, room, look)),
        line(Span(words, "good" if change is not None and change > 0 else "bad")),
    ]
    if null is not None:
        figure = line(Span(figure_text(null, comparison.unit, of=comparison.name), "dim"))
        yield [line(Span(f"  {comparison.title}", "dim")), figure, Stretch(lambda room: bar(null, room, look, "dim"))]


def _beside_chance(view: RunView, look: Look) -> Iterator[Line]:
    """The paired difference, which the verdict goes by, and what makes it void."""
    difference = difference_text(view)
    if difference:
        yield line(Span("difference  ", "dim"), Span(difference, "good" if is_above(view) else "warning"))
    if too_few(view):
        yield line(Span(f"{look.glyphs.alert} {too_few(view)}: too few for a verdict", "warning"))
    for name in void_controls(view):
        yield line(Span(f"{look.glyphs.alert} near copies are void: {name} is above chance", "warning"))


def _remarks(view: RunView) -> Iterator[str]:
    found = [f"{name} {rank_text(value)}" for name, value in controls(view).items()]
    for start in range(0, len(found), 2):  # two fit the panel beside others
        yield f"  {' · '.join(found[start : start + 2])}"
    candidates = num_candidates(view)
    if candidates is not None:
        yield f"candidates  {candidates:,}"
    if view.nulls.disabled:
        yield f"switched off  {', '.join(map(null_title, view.nulls.disabled))}"


def _judged(figures: tuple[Comparison, ...], view: RunView, look: Look) -> Line:
    """Whether the first figure, the MRR, is above the null beyond chance, as the verdict has it. Runs of earlier
    versions, which did not count their candidates, go by the mean."""
    change = figures[0].change if figures else None
    if change is None:
        has_none = not view.nulls.figures and "val.retrieval.candidates" in view.finals
        return line(Span("no null fits this data", "dim")) if has_none else line()
    if too_few(view):
        return line(Span("too few for a verdict", "dim"))
    measured = is_above(view)
    if measured is None and "val.retrieval.candidates" in view.finals:
        return line(Span("not compared with any null", "dim"))
    if change > 0 if measured is None else measured:
        return line(Span(f"{look.glyphs.good} above {figures[0].title}", "good"))
    return line(Span(f"{look.glyphs.alert} not above {figures[0].title}", "warning"))


class RetrievalPanel(Panel):
    """Retrieval on validation."""

    PANE_TITLE: ClassVar[str] = "retrieval"

    def content(self, view: RunView, width: int, height: int, look: Look) -> Content:  # noqa: ARG002  # it scrolls
        return retrieval_content(view, width, look)
