"""A snapshot as plain text: for a terminal, a log or a pipe."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jepa_core.presentation.figures import figure_text
from jepa_core.presentation.rules_table import rules_table
from jepa_core.presentation.runs_table import state_text
from jepa_core.presentation.sanitise import clean
from jepa_core.presentation.verdict_table import headline
from jepa_core.run_directory.clock import local_time
from jepa_core.run_directory.events import Event
from jepa_monitor.snapshot import RunSnapshot

_EVENT_MARKS = {"info": ("·", "dim"), "warning": ("▲", "yellow"), "critical": ("✘", "red")}
_FIGURE_COLUMNS = 3


def text_view(snapshot: RunSnapshot) -> RenderableType:
    """The whole state of a run."""
    parts: list[RenderableType] = [_head(snapshot)]
    retrieval = _retrieval(snapshot)
    if retrieval is not None:
        parts.append(retrieval)
    if snapshot.verdict is not None:
        parts += [Text(), headline(snapshot.verdict)]
    shown = tuple(j for j in snapshot.judgements if j.kind != "scenario" or j.state == "fired")
    if shown:
        parts += [Text(), rules_table(shown)]
    if snapshot.figures:
        parts += [Text(), _figures(snapshot)]
    if snapshot.events:
        parts += [Text(), *map(_event, snapshot.events)]
    parts.extend(Text(f"! {line}", style="yellow") for line in _complaints(snapshot))
    return Group(*parts)


def _head(snapshot: RunSnapshot) -> Text:
    line = Text(clean(snapshot.name), style="bold").append("   ").append_text(state_text(snapshot.state))
    status = snapshot.status
    if status is None:
        return line
    step, epoch = (max(getattr(status, name), snapshot.figures.get(name, 0.0)) for name in ("step", "epoch"))
    line.append(f"   epoch {figure_text(epoch)}")
    line.append(f"/{figure_text(status.total_epochs)}" if status.total_epochs else "")
    line.append(f"   step {step:.0f}").append(f"/{status.total_steps}" if status.total_steps else "")
    rate = snapshot.figures.get("throughput.samples_per_second")
    line.append("" if rate is None else f"   {figure_text(rate)} samples/s")
    if snapshot.state in ("stale", "crashed") and snapshot.heartbeat_age is not None:
        line.append(f"   last sign of life {snapshot.heartbeat_age:,.0f} s ago", style="yellow")
    return line.append("" if status.exit_code is None else f"   exit {status.exit_code}", style="dim")


def _retrieval(snapshot: RunSnapshot) -> Text | None:
    mrr = snapshot.figures.get("val.retrieval.mrr")
    if mrr is None:
        return None
    top1 = snapshot.figures.get("val.retrieval.top1")
    line = Text("retrieval on validation   ").append(f"MRR {mrr:.3f}", style="bold")
    line.append("" if top1 is None else f" · top-1 {figure_text(top1, '%')}", style="bold")
    counting = snapshot.figures.get("val.retrieval.baseline_mrr")
    return line.append("" if counting is None else f"      counting cells {counting:.3f}", style="dim")


def _figures(snapshot: RunSnapshot) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    for _ in range(_FIGURE_COLUMNS):
        table.add_column(style="dim")
        table.add_column(justify="right")
    cells = [
        (Text(clean(name, 48)), Text(figure_text(value, snapshot.units.get(name, ""))))
        for name, value in sorted(snapshot.figures.items())
        if name not in ("step", "epoch")
    ]
    num_lines = -(-len(cells) // _FIGURE_COLUMNS)
    for line in range(num_lines):
        table.add_row(*(part for cell in cells[line::num_lines] for part in cell))
    return table


def _event(event: Event) -> Text:
    mark, style = _EVENT_MARKS[event.severity]
    line = Text(local_time(event.time, "%H:%M:%S"), style="dim").append(
        f"  {mark} {clean(event.name, 40)}", style=style
    )
    line.append("" if event.step is None else f" at step {event.step:.0f}", style="dim")
    line.append(f"   {clean(event.message)}" if event.message else "")
    return line.append(f"   {clean(event.advice)}" if event.advice else "", style="dim")


def _complaints(snapshot: RunSnapshot) -> Iterator[str]:
    if snapshot.damaged:
        yield f"{snapshot.damaged} damaged {'line' if snapshot.damaged == 1 else 'lines'} passed over"
    for problem in snapshot.problems:
        yield clean(problem)
