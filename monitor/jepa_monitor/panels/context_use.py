"""Whether the context is used: weights over time, order sensitivity; and the temperature within its bounds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import attrs

from jepa_core.figures import figure_text
from jepa_core.recorded_numbers import decode_number
from jepa_monitor.charts.look import Look
from jepa_monitor.charts.spec import Tone
from jepa_monitor.model.awaited import no_diagnosis
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.cells import Cell, Stretch, columns
from jepa_monitor.panels.framed_lines import Content
from jepa_monitor.panels.level import bar, position
from jepa_monitor.panels.line import NOTHING, Span, beside, line, wrapped
from jepa_monitor.panels.panel import Panel
from jepa_monitor.panels.recorded import numbers, table

NEAR_BOUND = 0.01
"""Distance from a bound, relative to the distance of the two, below which the temperature lies at it."""
UNIFORM = 0.99
"""Relative entropy above which the weights over time count as uniform, as the built-in scenario has it."""
ORDER_IGNORED = 0.01
"""Order sensitivity below which the order of the context plays no part."""


@attrs.frozen(kw_only=True)
class Bounds:
    """Of the temperature."""

    low: float
    high: float


def temperature_bounds(recipe: Mapping[str, Any]) -> Bounds | None:
    """What the recipe's loss with a temperature says; None when there is none."""
    for loss in table(recipe.get("losses")).values():
        low, high = (decode_number(table(loss).get(f"temperature_{end}")) for end in ("min", "max"))
        if low is not None and high is not None and math.isfinite(low) and math.isfinite(high):
            return Bounds(low=low, high=high)
    return None


def context_use_content(view: RunView, width: int, look: Look) -> Content:
    """A row a figure: name, value, picture, and in words what is wrong."""
    rows = [
        *_temperature(view, look),
        *_order(view, look),
        *_blind(view, look),
        *_entropy(view, look),
        *_weights(view, look),
    ]
    if not rows:
        return Content(lines=wrapped(no_diagnosis(view), width, tone="dim"))
    return Content(lines=columns(rows, width, right=(1,)))


def _temperature(view: RunView, look: Look) -> Iterator[list[Cell]]:
    value = view.finals.get("temperature")
    if value is None:
        return
    bounds = temperature_bounds(view.recipe)
    if bounds is None:
        yield [line(Span("temperature", "dim")), line(figure_text(value))]
        return
    end = _bound_reached(value, bounds)
    tone: Tone = "warning" if end else "accent"
    yield [
        line(Span("temperature", "dim")),
        line(Span(figure_text(value), tone if end else "plain")),
        Stretch(lambda room: position(value, (bounds.low, bounds.high), room, look, tone)),
    ]
    low, high = (line(Span(f"{bound:g}", "dim")) for bound in (bounds.low, bounds.high))
    yield [NOTHING, NOTHING, Stretch(lambda room: beside(low, high, room))]
    if end:
        yield [line(Span(f"{look.glyphs.alert} at its {end} bound", "warning"))]


def _bound_reached(value: float, bounds: Bounds) -> str:
    margin = NEAR_BOUND * (bounds.high - bounds.low)
    return "lower" if value <= bounds.low + margin else "upper" if value >= bounds.high - margin else ""


def _order(view: RunView, look: Look) -> Iterator[list[Cell]]:
    value = view.finals.get("order.sensitivity")
    if value is not None:
        yield [line(Span("order sensitivity", "dim")), line(figure_text(value))]
        if value < ORDER_IGNORED:
            yield [line(Span(f"{look.glyphs.alert} the order plays no part", "warning"))]


def _blind(view: RunView, look: Look) -> Iterator[list[Cell]]:
    """Near copies of the target, with its own context and with another sequence's."""
    own, blind = (view.finals.get(f"val.hard.{name}") for name in ("mrr", "blind_mrr"))
    if own is None or blind is None:
        return
    shown: tuple[tuple[str, float, Tone], ...] = (("near copies", own, "accent"), ("  blind", blind, "dim"))
    for words, value, tone in shown:
        yield [line(Span(words, "dim")), line(figure_text(value)), _bar_of(value, look, tone)]
    if own <= blind:
        yield [line(Span(f"{look.glyphs.alert} another sequence's context does as well", "warning"))]


def _entropy(view: RunView, look: Look) -> Iterator[list[Cell]]:
    value = view.finals.get("attention.entropy")
    if value is not None:
        yield [
            line(Span("attention entropy", "dim")),
            line(figure_text(value)),
            Stretch(lambda room: bar(value, room, look, "second")),
        ]
        if value > UNIFORM:
            yield [line(Span(f"{look.glyphs.alert} as uniform as a mean", "warning"))]


def _weights(view: RunView, look: Look) -> Iterator[list[Cell]]:
    """The oldest grid first; it is told by its distance to the target."""
    weights = numbers(view.diagnosis.get("time_weights"))
    for index, weight in enumerate(weights):
        name = f"weight t−{len(weights) - index}"
        yield [line(Span(name, "dim")), line(figure_text(weight)), _bar_of(weight, look)]


def _bar_of(value: float, look: Look, tone: Tone = "accent") -> Stretch:
    return Stretch(lambda room: bar(value, room, look, tone))


class ContextUsePanel(Panel):
    """Temperature, order sensitivity, weights over time."""

    PANE_TITLE: ClassVar[str] = "context use"

    def content(self, view: RunView, width: int, height: int, look: Look) -> Content:  # noqa: ARG002  # it scrolls
        return context_use_content(view, width, look)
