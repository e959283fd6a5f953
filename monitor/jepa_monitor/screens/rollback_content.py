"""What the rollback screen shows, as a pure function of what it knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jepa_core.figures import figure_text
from jepa_core.recorded_numbers import decode_number
from jepa_core.rollback.plan import rollback_command
from jepa_core.rollback.requests import PendingRequest, RequestAnswer
from jepa_core.watch.findings import Firing
from jepa_monitor.charts.look import Look
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.cells import Cell, columns
from jepa_monitor.panels.framed_lines import Content
from jepa_monitor.panels.line import NOTHING, Line, Span, foreign, line, wrapped
from jepa_monitor.panels.severity import TONES, mark
from jepa_monitor.screens.recipe_columns import change_lines
from jepa_monitor.screens.rollback_state import CONFIRMING_WORD, RollbackState, why_no_request
from jepa_monitor.screens.sheet import choices, key_hints

COMMAND_LIMIT = 1000
"""Most characters of a command that are shown, and copied."""
_MOST_EVIDENCE, _MOST_FIGURES = 8, 6
_INDENT = "  "


def rollback_content(view: RunView, state: RollbackState, width: int, look: Look) -> Content:
    """What fired and since when, what shows it, the change, the checkpoint, the command, and the state of a request."""
    firing = state.scenario
    if firing is None:
        return Content(lines=(*_no_way_back(view, width), *_child(view)), foot=key_hints())
    names = [foreign(each.name, 24) for each in state.fired]
    lines = [choices(names, state.chosen), NOTHING] if len(names) > 1 else []
    lines += [*_what_fired(view, firing, width, look), *_plan(state, width)]
    lines += [*_standing(view, state, width, look), *_child(view)]
    is_asking = state.stage == "confirming"
    return Content(
        lines=tuple(lines),
        alert=TONES[firing.severity],
        foot=_foot(view, state),
        cursor=len(lines) - 1 if is_asking else None,
    )


def _no_way_back(view: RunView, width: int) -> Iterator[Line]:
    """Why nothing is offered: nothing fired, or what did has no change of its own."""
    found = list(dict.fromkeys(firing.name for firing in view.firings if firing.kind == "scenario"))
    if not found:
        yield from wrapped("Nothing to roll back for: no rule has fired that names a remedy.", width)
        return
    names = " and ".join(foreign(name, 40) for name in found)
    yield from wrapped(f"{names} fired, without a change of its own. Go back with one of yours:", width)
    command = f"{rollback_command(Path(view.path), scenario=found[-1])} --set KEY=VALUE"
    yield from wrapped(foreign(command, COMMAND_LIMIT), width, tone="accent", indent=_INDENT)


def _what_fired(view: RunView, firing: Firing, width: int, look: Look) -> Iterator[Line]:
    title = next((rule.title for rule in view.watch.alarms if rule.id == firing.name), "")
    yield line(mark(firing.severity, look), " ", Span(f"{foreign(firing.name, 40)}  {foreign(title)}", is_bold=True))
    yield from wrapped(firing.message.removeprefix(f"{title}: "), width, indent=_INDENT)
    sign = firing.first_sign
    since = "" if sign is None else f" · first sign at step {figure_text(sign)}"
    if firing.step is not None:
        yield line(Span(f"{_INDENT}fired at step {figure_text(firing.step)}{since}", "dim"))
    yield from wrapped(firing.advice, width, tone="accent", indent=_INDENT) if firing.advice else ()
    rows = firing.evidence.get("rows")
    if isinstance(rows, Sequence) and not isinstance(rows, str) and rows:
        yield NOTHING
        yield from _evidence([row for row in rows if isinstance(row, Mapping)][-_MOST_EVIDENCE:], width)


def _evidence(rows: Sequence[Mapping[str, Any]], width: int) -> tuple[Line, ...]:
    names = list(dict.fromkeys(name for row in rows for name in row))[:_MOST_FIGURES]
    header: list[Cell] = [line(_INDENT, Span(foreign(name, 28), "dim")) for name in names]
    cells = ([line(_figure(row.get(name))) for name in names] for row in rows)
    return columns([header, *cells], width, right=range(len(names)))


def _figure(recorded: Any) -> str:
    number = decode_number(recorded)
    return "" if number is None else figure_text(number)


def _plan(state: RollbackState, width: int) -> Iterator[Line]:
    plan = state.plan
    if plan is None:
        words = "looking for the last healthy checkpoint …" if state.stage == "looking" else ""
        if words:
            yield from (NOTHING, line(Span(words, "dim")))
        return
    yield from (NOTHING, line(Span("the change", is_bold=True)))
    if plan.changes:
        yield from change_lines(plan.changes, width, ("now", "then"))
    yield NOTHING
    step = plan.checkpoint_step
    where = "from the start" if step is None else f"from checkpoint step {step}"
    yield line(Span("goes on ", is_bold=True), where)
    for note in plan.notes:
        yield from wrapped(note, width, tone="dim", indent=_INDENT)
    yield line(Span("command", is_bold=True))
    yield from wrapped(foreign(plan.command, COMMAND_LIMIT), width, tone="accent", indent=_INDENT)


def _standing(view: RunView, state: RollbackState, width: int, look: Look) -> Iterator[Line]:
    """What enter would do now, or why not."""
    yield NOTHING
    if state.problem:
        for row in state.problem.splitlines():
            yield from wrapped(row, width, tone="warning")
    for pending in state.standing.waiting:
        yield line(Span(f"{look.glyphs.marks['rollback']} pending: {_in_words(pending)}", "warning"))
        yield line(Span(f"{_INDENT}the trainer acts at its next step boundary", "dim"))
    for answer in state.standing.answers:
        yield from wrapped(_answer_in_words(answer, look), width, tone="good" if answer.accepted else "bad")
    reason = why_no_request(view)
    if reason:
        instead = " Run the command instead; c copies it." if state.plan is not None else ""
        yield from wrapped(reason + instead, width, tone="warning")
    elif state.stage == "confirming":
        yield from wrapped("The run ends as rolled back, and goes on as a child run.", width, tone="warning")
        rest = CONFIRMING_WORD[len(state.typed) :] if CONFIRMING_WORD.startswith(state.typed) else ""
        yield line(
            "to go back, type ",
            Span(CONFIRMING_WORD, "accent", is_bold=True),
            " and press enter: ",
            Span(foreign(state.typed, 20), "warning", is_bold=True),
            Span(rest[:1] or " ", "dim", is_chosen=not state.is_confirmed),
            Span(rest[1:], "dim"),
        )


def _in_words(pending: PendingRequest) -> str:
    asked = pending.request
    if asked is None:
        return f"{foreign(pending.path.name)}: {foreign(pending.refusal)}"
    to = "" if asked.to is None else f", to step {asked.to}"
    return f"scenario {foreign(asked.scenario)}{to}" if asked.scenario else f"{foreign(pending.path.name)}{to}"


def _answer_in_words(answer: RequestAnswer, look: Look) -> str:
    sign = look.glyphs.good if answer.accepted else look.glyphs.marks["non-finite"]
    return f"{sign} {'done' if answer.accepted else 'refused'}: {answer.message}"


def _child(view: RunView) -> Iterator[Line]:
    """Where the run went on."""
    if view.status is not None and view.status.child:
        yield line(Span("goes on as ", "dim"), Span(foreign(view.status.child), "good", is_bold=True))


def _foot(view: RunView, state: RollbackState) -> Line:
    if state.stage == "confirming":
        confirmed = [Span("enter", "accent", is_bold=True), Span(" go back   ", "dim")] if state.is_confirmed else []
        return line(*confirmed, Span("esc", "accent", is_bold=True), Span(" no", "dim"))
    hints = [("left/right", "scenario")] if len(state.fired) > 1 else []
    if state.plan is not None:
        hints += [] if why_no_request(view) else [("enter", "go back …")]
        hints.append(("c", "copy"))
    return key_hints(*hints)
