"""What a rollback would do, for people: what fired and since when, the figures, where it goes back to, the change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jepa_core.figures import figure_text
from jepa_core.recorded_numbers import decode_number
from jepa_core.rollback.plan import RollbackPlan
from jepa_core.visible_text import clean

GOES_BACK = "goes back to"
"""The widest label."""
LONGEST_COMMAND = 4000
"""Characters."""


def rollback_table(run: str, plan: RollbackPlan) -> RenderableType:
    """The whole plan."""
    table = Table.grid(padding=(0, 3, 0, 0))
    for label, text in _lines(plan):
        table.add_row(Text(f"  {label}", style="dim"), text)
    heading = Text("Rollback of ").append(clean(run), style="bold")
    if plan.scenario:
        heading.append(f": {clean(plan.scenario)}", style="bold")
        heading.append(f" · {clean(plan.title)}" if plan.title != plan.scenario else "")
    # Outside of the table, which would break it: it is copied as it stands.
    command = Text(f"  {'command':<{len(GOES_BACK)}}   ", style="dim", no_wrap=True, overflow="ignore")
    return Group(heading, table, command.append(clean(plan.command, LONGEST_COMMAND), style="not dim cyan"))


def _lines(plan: RollbackPlan) -> Iterator[tuple[str, Text]]:
    if plan.message:
        yield "fired", Text(clean(plan.message))
    if plan.fired_step is not None:
        sign = plan.first_sign
        first = "" if sign is None else f", first seen at step {sign:.0f}"
        yield "at", Text(f"step {plan.fired_step}{first}")
    # A row may have none of the figures that the rule looks at.
    for index, row in enumerate(filter(None, map(_row, plan.rows))):
        yield "" if index else "figures", Text(row)
    baseline = plan.evidence.get("baseline")
    if isinstance(baseline, Mapping) and baseline:
        yield "baseline", Text(_figures(baseline))
    if plan.advice:
        yield "advice", Text(clean(plan.advice))
    step = plan.checkpoint_step
    yield GOES_BACK, Text("the start" if step is None else f"the checkpoint of step {step}", style="bold")
    if plan.use:
        yield "recipe", Text(f"{clean(plan.use)}, whole; data, seed and rules stay", style="bold")
    for index, change in enumerate(plan.changes_in_words):
        yield "" if index else "changes", Text(clean(change), style="bold")
    for note in plan.notes:
        yield "note", Text(clean(note), style="yellow")


def _row(row: Mapping[str, Any]) -> str:
    """A recorded row, the step first; empty where it has no figure."""
    step = decode_number(row.get("step"))
    figures = _figures({name: value for name, value in row.items() if name not in ("step", "epoch")})
    return f"{'' if step is None else f'step {step:.0f}   '}{figures}" if figures else ""


def _figures(recorded: Mapping[str, Any]) -> str:
    figures = [(name, decode_number(value)) for name, value in recorded.items()]
    return "   ".join(f"{clean(name)} {figure_text(value)}" for name, value in figures if value is not None)
