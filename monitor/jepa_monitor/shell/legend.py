"""Which colour is which run, for several runs in the same charts."""

from __future__ import annotations

from collections.abc import Sequence

from jepa_core.presentation.figures import figure_text
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.line import Line, Span, foreign, line
from jepa_monitor.shell.chart_specs import RUN_TONES
from jepa_monitor.shell.head_line import state_line

_BESIDE_NAME = 36
"""Columns that an entry needs beside the run's name."""


def legend_line(views: Sequence[RunView], width: int) -> Line:
    """Every run with its number, its colour and its state; the charts call the runs by their numbers."""
    room = max(width // max(len(views), 1) - _BESIDE_NAME, 8)
    parts = [_entry(view, number, room) for number, view in enumerate(views)]
    return line(" ", *parts).fitted(width)


def _entry(view: RunView, number: int, room: int) -> Line:
    best = view.finals.get("val.retrieval.mrr")
    figure = "" if best is None else f" MRR {figure_text(best)}"
    return line(
        Span(f"{number + 1} ━━ ", RUN_TONES[number % len(RUN_TONES)], is_bold=True),
        foreign(view.name, room),
        Span(f"{figure}  ", "dim"),
        state_line(view.state),
        "   ",
    )
