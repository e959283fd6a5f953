"""The whole verdict of a run, or where its rules stand while there is none."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

import attrs
from rich.console import Console, RenderableType
from rich.segment import Segment
from rich.style import Style

from jepa_core.presentation.rules_table import rules_table
from jepa_core.presentation.verdict_table import verdict_table
from jepa_core.run_directory.naming import typed_name
from jepa_core.run_directory.status import ShownState
from jepa_core.shell_words import without_comment
from jepa_core.watch.judgement import Judgement
from jepa_monitor.charts.look import Look
from jepa_monitor.charts.spec import Tone
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.framed_lines import Content
from jepa_monitor.panels.line import Line, Span, foreign, line, wrapped
from jepa_monitor.panels.retrieval import retrieval_content
from jepa_monitor.risk_text import risk_remarks
from jepa_monitor.screens.sheet import Sheet, key_hints

_WIDE = 90
"""Least columns at which the conditions of scenarios are shown."""
_ENDED: dict[ShownState, str] = {
    "crashed": "died before its end",
    "failed": "failed",
    "aborted": "was stopped",
    "interrupted": "was interrupted",
    "rolled_back": "was rolled back",
    "finished": "ended without one",
}
"""How a run came to its end without a verdict."""
_TONES: dict[str, Tone] = {"green": "good", "red": "bad", "yellow": "warning", "cyan": "accent"}


def verdict_content(view: RunView, width: int, look: Look) -> Content:
    """verdict.json as it stands there; before it, every rule as it is judged so far."""
    if view.verdict is not None:
        verdict = attrs.evolve(view.verdict, judgements=tuple(map(_short, view.verdict.judgements)), next="")
        lines = (*rendered(verdict_table(verdict), width), *_next_step(view.verdict.next, width))
        quiet = tuple(j for j in verdict.judgements if j.kind not in ("must", "nice") and j.state == "fired")
        heading = "what fired while it ran"
    else:
        lines = (*_why_there_is_none(view, width), line())
        lines += rendered(rules_table(_in_words(_so_far(view), width), risk_remarks(view.outlooks)), width)
        lines += (line(), line(Span("retrieval on validation", "dim")), *retrieval_content(view, width, look).lines)
        quiet, heading = (), ""
    if quiet:
        lines += (line(), line(Span(heading, "dim")), *rendered(rules_table(_in_words(quiet, width)), width))
    problems = tuple(line(Span(foreign(problem), "warning")) for problem in view.problems)
    return Content(lines=(*lines, *([Line(), *problems] if problems else ())), foot=key_hints())


def _why_there_is_none(view: RunView, width: int) -> Iterator[Line]:
    ended = _ENDED.get(view.state)
    words = f"No verdict: the run {ended}." if ended else "No verdict yet: the run has not ended. So far:"
    yield line(Span(words, is_bold=True))
    if ended:
        yield from wrapped(f"jepa autopsy {typed_name(Path(view.path))}", width, tone="accent")
        yield line(Span("says why, and how to go on. Its rules, as far as it came:", "dim"))


def _next_step(words: str, width: int) -> tuple[Line, ...]:
    """The command to go on with, and why, on lines of their own where they do not fit beside each other."""
    command, why = without_comment(words)
    if not command:
        return ()
    rows, reason = wrapped(f"Next: {command}", width, tone="accent"), Span(f"        {foreign(why)}", "dim")
    if not why:
        return (Line(), *rows)
    if line(rows[-1], reason).width <= width:
        return (Line(), *rows[:-1], line(rows[-1], reason))
    return (Line(), *rows, *wrapped(why, width, tone="dim", indent="      "))


def _in_words(judgements: Iterable[Judgement], width: int) -> tuple[Judgement, ...]:
    """On a narrow screen a scenario's title says it: its condition would take a line a word."""
    if width >= _WIDE:
        return tuple(judgements)
    return tuple(attrs.evolve(each, when="") if each.kind == "scenario" else each for each in judgements)


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


def rendered(renderable: RenderableType, width: int) -> tuple[Line, ...]:
    """The rows of what the core renders for a terminal, its colours as tones, and its text cleaned once more."""
    console = Console(
        file=io.StringIO(), width=max(width, 1), markup=False, emoji=False, highlight=False, legacy_windows=False
    )
    options = console.options.update(height=None)
    rows = console.render_lines(renderable, options, pad=False)
    return tuple(Line(tuple(_spans(row))) for row in rows)


def _spans(row: list[Segment]) -> Iterator[Span]:
    for segment in row:
        if segment.text and not segment.control:
            style = segment.style or Style.null()
            yield Span(foreign(segment.text, len(segment.text)), _tone(style), bool(style.bold))


def _tone(style: Style) -> Tone:
    colour = _TONES.get(style.color.name) if style.color else None
    return colour or ("dim" if style.dim else "plain")
