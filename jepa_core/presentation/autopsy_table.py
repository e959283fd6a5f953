"""An autopsy, for people: what ended the run and when, what it last did, what is at fault, and what to type next."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jepa_core.autopsy.examining import Autopsy
from jepa_core.figures import figure_text
from jepa_core.presentation.finding_text import SEVERITY_MARKS
from jepa_core.presentation.quantity import duration_text
from jepa_core.presentation.runs_table import state_text
from jepa_core.presentation.wrapping import Command, Hanging
from jepa_core.run_directory.bad_batches import BadBatch
from jepa_core.run_directory.clock import local_time
from jepa_core.visible_text import clean

MOST_FIRED = 6
"""Rules that are shown, the newest; JSON has all."""
MOST_NAMED = 8
"""Sequences and tasks of a batch that are named."""
_FIGURES = ("loss.total", "grad.norm", "val.retrieval.mrr", "memory.device_gib", "time.step")
"""Columns of the last rows, the most telling first, as far as there is room."""
_LABEL = 14
"""Columns of what stands on the left."""


def autopsy_table(
    autopsy: Autopsy, commands: Mapping[str, str], width: int, *, now: float | None = None
) -> RenderableType:
    """The whole of it, in lines of at most `width` columns, but for commands and paths."""
    parts: list[RenderableType] = [Hanging(_heading(autopsy), indent=2), Text()]
    for label, text in _facts(autopsy, time.time() if now is None else now):
        parts.append(Hanging(Text(f"  {label:<{_LABEL}}", style="dim").append_text(text), indent=_LABEL + 2))
    if autopsy.traceback:
        parts += [Text(), Text("  traceback, its last lines; all of it is in console.log", style="dim")]
        parts += [Hanging(Text(f"    {clean(line, 200)}"), indent=8) for line in autopsy.traceback]
    if autopsy.rows:
        parts += [Text(), Text("  last rows", style="dim"), _rows(autopsy, width)]
    if commands:
        parts.append(Text())
    for index, (command, why) in enumerate(commands.items()):
        parts.append(Command("      " if index else "Next: ", clean(command, 2000), clean(why)))
    return Group(*parts)


def _heading(autopsy: Autopsy) -> Text:
    line = Text().append(clean(autopsy.run), style="bold").append(" · ").append_text(state_text(autopsy.death.state))
    if autopsy.step is not None:
        total = f" of {autopsy.total_steps:,}" if autopsy.total_steps else ""
        line.append(f" · step {autopsy.step:,}{total}")
    if autopsy.epoch is not None:
        line.append(f" · epoch {figure_text(autopsy.epoch)}")
    if autopsy.death.exit_code is not None:
        line.append(f" · exit code {autopsy.death.exit_code}")
    elif autopsy.death.kind == "killed":
        line.append(" · exit code unknown")
    return line


def _facts(autopsy: Autopsy, now: float) -> Iterator[tuple[str, Text]]:
    death = autopsy.death
    yield "what", Text(clean(death.what, 1000), style="" if death.is_alive or death.kind == "finished" else "red")
    if death.time is not None:
        ago = f", {duration_text(now - death.time)} ago" if 0 <= now - death.time < math.inf else ""
        yield "when", Text(f"{local_time(death.time)}{ago}")
    # What ended it stands above already.
    said = {"failed"} | ({"aborted"} if death.kind == "non-finite" else set())
    if autopsy.last_event is not None and autopsy.last_event.name not in said:
        event = autopsy.last_event
        at = "" if event.step is None else f" at step {event.step:.0f}"
        yield "last event", Text(f"{clean(event.name, 60)}{at}: {clean(event.message, 300)}")
    if autopsy.component is not None:
        yield from _at_fault(autopsy)
    if autopsy.out_of_memory:
        settings = " ".join(f"--set {key}={value}" for key, value in autopsy.out_of_memory.items())
        yield "may fit", Text(f"{settings}: the same sequences in a step")
    if autopsy.not_finite:
        yield "not finite", Text(clean(autopsy.not_finite))
    for index, batch in enumerate(autopsy.batches):
        yield "" if index else "its batch", Text(_batch(batch))
    yield from _fired(autopsy)
    yield "checkpoint", Text(_checkpoint(autopsy))
    for fault in autopsy.checkpoint.faults:
        yield "", Text(f"not usable: {clean(fault)}", style="yellow")
    for what in autopsy.unreadable:
        yield "unreadable", Text(clean(what), style="yellow")


def _at_fault(autopsy: Autopsy) -> Iterator[tuple[str, Text]]:
    component = autopsy.component
    assert component is not None
    origin = f"{clean(component.distribution, 200)} {clean(component.version, 40)}".strip()
    place = f", at {clean(component.place, 200)}" if component.place else ""
    yield (
        "at fault",
        Text(f"{clean(component.family, 40)} {clean(component.name, 100)} of {origin}{place}", style="bold"),
    )
    if component.remedy:
        yield "remedy", Text(clean(component.remedy))


def _batch(batch: BadBatch) -> str:
    rank = f", rank {batch.rank}" if batch.ranks > 1 else ""
    micro = "" if batch.micro is None else f", micro-batch {batch.micro}"
    rows = batch.rows
    whose = "sequences at fault" if batch.at_fault else "sequences"
    more = f" … ({len(rows):,})" if len(rows) > MOST_NAMED else ""
    tasks = ", ".join(clean(task, 60) for task in batch.tasks[:MOST_NAMED])
    of_tasks = f" of {tasks}{' …' if len(batch.tasks) > MOST_NAMED else ''}" if tasks else ""
    tensors = batch.tensors_path or batch.path
    kept = f". Kept in {clean(str(tensors), 300)}" if tensors else ""
    drawn = f"seed {batch.seed}, step {batch.step}{micro}{rank}"
    return f"{drawn}: {whose} {', '.join(map(str, rows[:MOST_NAMED]))}{more}{of_tasks}{kept}"


def _fired(autopsy: Autopsy) -> Iterator[tuple[str, Text]]:
    for index, event in enumerate(autopsy.fired[-MOST_FIRED:]):
        mark, style = SEVERITY_MARKS[event.severity]
        at = "" if event.step is None else f" at step {event.step:.0f}"
        text = Text(mark, style=style).append(
            f" {clean(event.name, 80)}{at}: {clean(event.message, 300)}", style="none"
        )
        yield "" if index else "had fired", text
    left_out = len(autopsy.fired) - MOST_FIRED
    if left_out > 0:
        yield "", Text(f"and {left_out} before", style="dim")


def _checkpoint(autopsy: Autopsy) -> str:
    newest = autopsy.checkpoint
    there = "none can be used" if newest.step is None else f"step {newest.step:,} is the newest that verifies"
    if not newest.lost_steps:
        return f"{there}: nothing is lost" if newest.step is not None else there
    steps = "1 step" if newest.lost_steps == 1 else f"{newest.lost_steps:,} steps"
    after = "" if newest.step is None else " after it"
    seconds = newest.lost_seconds or 0.0
    took = f", about {duration_text(seconds)} of training" if 1 <= seconds < math.inf else ""
    return f"{there}: {steps}{after} {'is' if newest.lost_steps == 1 else 'are'} lost{took}"


def _rows(autopsy: Autopsy, width: int) -> Table:
    table = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, header_style="dim")
    there = [name for name in _FIGURES if any(name in row for row in autopsy.rows)]
    names, room = ["step", "epoch"], width - 24
    for name in there:
        room -= max(len(name), 9) + 3
        if room >= 0:
            names.append(name)
    for index, name in enumerate(names):
        table.add_column(f"    {name}" if not index else name, justify="right", no_wrap=True)
    for row in autopsy.rows:
        table.add_row(*(Text(figure_text(row[name]) if name in row else "") for name in names))
    return table
