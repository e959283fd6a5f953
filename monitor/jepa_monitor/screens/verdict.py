"""The whole verdict of a run, or where its rules stand while there is none."""

from __future__ import annotations

from typing import ClassVar

import attrs

from jepa_core.presentation.rules_table import rules_table
from jepa_core.presentation.verdict_table import verdict_table
from jepa_core.watch.judgement import Judgement
from jepa_monitor.charts.look import Look
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.framed_lines import Content
from jepa_monitor.panels.line import Line, Span, foreign, line
from jepa_monitor.panels.rendered import rendered
from jepa_monitor.panels.retrieval import retrieval_content
from jepa_monitor.screens.sheet import Sheet, key_hints


def verdict_content(view: RunView, width: int, look: Look) -> Content:
    """verdict.json as it stands there; before it, every rule as it is judged so far."""
    if view.verdict is not None:
        verdict = attrs.evolve(view.verdict, judgements=tuple(map(_short, view.verdict.judgements)))
        lines = rendered(verdict_table(verdict), width)
        quiet = tuple(j for j in verdict.judgements if j.kind not in ("must", "nice") and j.state == "fired")
        heading = "what fired while it ran"
    else:
        lines = (line(Span("No verdict yet: the run has not ended. So far:", is_bold=True)), line())
        lines += rendered(rules_table(_so_far(view)), width)
        lines += (line(), line(Span("retrieval on validation", "dim")), *retrieval_content(view, width, look).lines)
        quiet, heading = (), ""
    if quiet:
        lines += (line(), line(Span(heading, "dim")), *rendered(rules_table(quiet), width))
    problems = tuple(line(Span(foreign(problem), "warning")) for problem in view.problems)
    return Content(lines=(*lines, *([Line(), *problems] if problems else ())), foot=key_hints())


def _so_far(view: RunView) -> tuple[Judgement, ...]:
    """Every rule but scenarios that are silent: there are many."""
    judged = (_short(outlook.judgement) for outlook in view.outlooks)
    return tuple(judgement for judgement in judged if judgement.kind != "scenario" or judgement.state == "fired")


def _short(judgement: Judgement) -> Judgement:
    """With unit and sign as short as they are meant to be; a recorded verdict may say anything."""
    return attrs.evolve(judgement, unit=foreign(judgement.unit, 12), operator=foreign(judgement.operator, 2))


class VerdictScreen(Sheet):
    """The verdict."""

    SHEET_TITLE: ClassVar[str] = "verdict"

    def content(self, width: int, height: int) -> Content:  # noqa: ARG002  # it scrolls
        return verdict_content(self.view, width, self.look)
