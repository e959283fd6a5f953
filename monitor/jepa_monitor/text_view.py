"""The state of a run as plain text: for a terminal, a log or a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jepa_core.figures import figure_text, rank_text
from jepa_core.presentation.finding_text import SEVERITY_MARKS, flags_of, moment_of
from jepa_core.presentation.null_lines import null_title
from jepa_core.presentation.rollback_table import LONGEST_COMMAND
from jepa_core.presentation.rules_table import rules_table
from jepa_core.presentation.runs_table import state_text
from jepa_core.presentation.verdict_table import headline
from jepa_core.presentation.wrapping import FirstFitting, Hanging
from jepa_core.recorded_numbers import decode_number
from jepa_core.rollback.plan import flagged_command
from jepa_core.run_directory.clock import local_time
from jepa_core.run_directory.events import Event
from jepa_core.run_directory.status import ALIVE
from jepa_core.visible_text import clean
from jepa_core.watch.findings import Firing, by_severity
from jepa_monitor.model.awaited import nothing_yet, sentence
from jepa_monitor.model.beside_nulls import (
    controls,
    difference_text,
    is_above,
    num_candidates,
    too_few,
    void_controls,
)
from jepa_monitor.model.run_view import RunView
from jepa_monitor.ranks_text import busy_text, losses_text, silence_text, straggler_text
from jepa_monitor.risk_text import risk_remarks
from jepa_monitor.sieves import sifted

NUM_EVENTS = 8
"""Newest events that are shown, of checkpoints the newest alone."""

_FIGURE_COLUMNS = 3
_LABEL = 26
"""Columns before what is said of retrieval."""
_EVERY_NULL = ("val.retrieval.null.", "val.hard.null.")
"""Figures of nulls one by one: the strongest has its own line."""
_CLOCKS = ("step", "epoch")


def text_view(view: RunView) -> RenderableType:
    """The whole state of a run."""
    blocks = (
        _head(view), _verdict(view), _rules(view), text_firings(view), _figures(view), _ranks(view), _events(view),
    )  # fmt: skip
    parts: list[RenderableType] = []
    for block in blocks:
        lines = list(block)
        parts += [Text(), *lines] if parts and lines else lines
    parts += [Text(f"! {line}", style="yellow") for line in _complaints(view)]
    return Group(*parts)


def _head(view: RunView) -> Iterator[RenderableType]:
    line = Text(clean(view.name), style="bold").append("   ").append_text(state_text(view.state))
    status = view.status
    if status is not None or view.finals:
        total_epochs, total_steps = (status.total_epochs, status.total_steps) if status else (0.0, 0)
        line.append(f"   epoch {figure_text(view.epoch)}").append(
            f"/{figure_text(total_epochs)}" if total_epochs else ""
        )
        line.append(f"   step {view.step:,.0f}").append(f"/{total_steps:,}" if total_steps else "")
    rate = view.finals.get("throughput.samples_per_second")
    line.append("" if rate is None else f"   {figure_text(rate)} samples/s")
    if view.state in ("stale", "crashed") and view.heartbeat_age is not None:
        line.append(f"   last sign of life {view.heartbeat_age:,.0f} s ago", style="yellow")
    if status is not None:
        line.append("" if status.exit_code is None else f"   exit {status.exit_code}", style="dim")
        line.append(f"   went on as {clean(status.child)}" if status.child else "")
    line.append(f"   replay {view.replay_position}" if view.replay_position else "", style="dim")
    yield Hanging(line, indent=2)
    if not view.history.num_rows and view.state in ALIVE:
        yield Hanging(Text(sentence(nothing_yet("row of metrics", view)), style="dim"), indent=2)
    yield from (Hanging(told, indent=_LABEL) for told in _retrieval(view))


def _retrieval(view: RunView) -> Iterator[Text]:
    mrr = view.finals.get("val.retrieval.mrr")
    if mrr is None:
        return
    top1 = view.finals.get("val.retrieval.top1")
    line = Text("retrieval on validation   ").append(f"MRR {rank_text(mrr)}", style="bold")
    line.append("" if top1 is None else f" · top-1 {figure_text(top1, '%')}", style="bold")
    null = view.nulls.strongest
    if null is not None:
        line.append(f"      strongest null ({null_title(null.name)}) {rank_text(null.mrr)}", style="dim")
    elif "val.retrieval.null_mrr" in view.finals:
        # Without environment.json its name is not known.
        line.append(f"      strongest null {rank_text(view.finals['val.retrieval.null_mrr'])}", style="dim")
    elif "val.retrieval.candidates" in view.finals:
        line.append("      no null fits this data", style="dim")
    yield line
    yield from _beside_chance(view)
    hard = view.finals.get("val.hard.mrr")
    if hard is not None:
        yield (
            Text("near copies               ")
            .append(f"MRR {rank_text(hard)}", style="bold")
            .append(_beside_hard(view), "dim")
        )


def _beside_chance(view: RunView) -> Iterator[Text]:
    """The paired difference, which the verdict goes by, and among how many each target is ranked."""
    difference, candidates = difference_text(view), num_candidates(view)
    if difference:
        line = Text("difference                ").append(
            f"MRR {difference}", style="green" if is_above(view) else "yellow"
        )
        yield line.append("" if candidates is None else f" among {candidates:,} candidates", style="dim")
    if too_few(view):
        yield Text(f"! {too_few(view)}: too few for a verdict on retrieval", style="yellow")
    for name in void_controls(view):
        yield Text(f"! near copies are void: the {name} control is above chance", style="yellow")


def _beside_hard(view: RunView) -> str:
    """The strongest null among near copies, and the controls."""
    hardest = view.nulls.hardest
    null = [(null_title(hardest.name), hardest.hard_mrr)] if hardest else []
    beside = [*null, *controls(view).items()]
    return "".join(f" · {name} {rank_text(value)}" for name, value in beside if value is not None)


def _verdict(view: RunView) -> Iterator[RenderableType]:
    if view.verdict is not None:
        yield Hanging(headline(view.verdict), indent=2)


def _rules(view: RunView) -> Iterator[RenderableType]:
    """The recipe's own rules, and the scenarios that have fired or are about to."""
    shown = [o for o in view.outlooks if o.judgement.kind != "scenario" or o.prospect in ("fired", "at risk")]
    if view.judged_rows is not None:
        yield Text(f"judged so far: {view.judged_rows:,} of {view.history.num_rows:,} rows", style="yellow")
    if shown:
        yield rules_table([outlook.judgement for outlook in shown], risk_remarks(shown))


def _figures(view: RunView) -> Iterator[RenderableType]:
    cells = [
        (Text(clean(name, 48)), Text(figure_text(value, _unit(view, name), of=name)))
        for name, value in sorted(view.finals.items())
        if name not in ("step", "epoch") and not name.startswith(_EVERY_NULL)
    ]
    if cells:
        yield FirstFitting([_in_columns(cells, number) for number in range(_FIGURE_COLUMNS, 0, -1)])


def _in_columns(cells: Sequence[tuple[Text, Text]], number: int) -> Table:
    """Names and figures, one pair below another, then beside."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    for _ in range(number):
        table.add_column(style="dim")
        table.add_column(justify="right")
    num_lines = -(-len(cells) // number)
    for line in range(num_lines):
        table.add_row(*(part for cell in cells[line::num_lines] for part in cell))
    return table


def _ranks(view: RunView) -> Iterator[Text]:
    """The processes of the run in a line, and who is slow or silent."""
    ranks = view.ranks
    if not ranks.lanes:
        return
    times = busy_text(ranks.lanes)
    line = Text(f"ranks   {len(ranks.lanes)}", style="bold")
    if times:
        line.append(f"   {'busy' if ranks.has_waits else 'step'} {times}")
    yield line.append(f"   losses {losses_text(ranks.losses)}" if ranks.losses else "")
    if ranks.straggler is not None:
        yield Text(f"! {straggler_text(ranks)}", style="yellow")
    for lane in ranks.lanes:
        if lane.is_silent:
            yield Text(f"! rank {lane.rank} {silence_text(lane)}", style="yellow")
        elif lane.has_bad_loss:
            yield Text(f"! rank {lane.rank} has a loss of {figure_text(lane.loss)}", style="red")


def _unit(view: RunView, name: str) -> str:
    metric = view.metrics.get(name)
    return clean(metric.unit, 12) if metric is not None else ""


def _events(view: RunView) -> Iterator[Text]:
    for event in sifted(view.events, "without older checkpoints")[-NUM_EVENTS:]:
        yield event_line(event)


def event_line(event: Event) -> Text:
    """One event on one line; name and step once, where the message says them too."""
    mark, style = SEVERITY_MARKS[event.severity]
    name, message = clean(event.name, 40), clean(event.message)
    says_name = message.casefold().startswith(name.casefold())
    says_step = event.step is None or f"step {event.step:.0f}" in message
    line = Text(local_time(event.time, "%H:%M:%S"), style="dim").append(f"  {mark}", style=style)
    line.append("" if says_name else f" {name}", style=style)
    line.append("" if says_step else f" at step {event.step:,.0f}", style="dim")
    line.append(f"{' ' if says_name else '   '}{message}" if message else "")
    return line.append(f"   {clean(event.advice)}" if event.advice else "", style="dim")


def _complaints(view: RunView) -> Iterator[str]:
    if view.damaged:
        yield f"{view.damaged} damaged {'line' if view.damaged == 1 else 'lines'} passed over"
    for problem in view.problems:
        yield clean(problem)


def text_firings(view: RunView) -> Iterator[Text]:
    """What has fired, the most severe first: when, the recorded figures that show it, and what to do."""
    for firing in by_severity(view.firings):
        assert isinstance(firing, Firing)
        mark, style = SEVERITY_MARKS[firing.severity]
        line = Text(mark, style=style).append(f" {clean(f'{firing.kind} {firing.name}', 60)}", style="bold")
        yield line.append(moment_of(firing), style="dim").append(f"   {clean(firing.message)}")
        yield from _indented(_evidence(firing.evidence.get("rows")), "dim")
        yield from _indented([firing.advice], "dim")
        if typed := remedy(firing, view):
            yield Text(f"    {clean(typed, LONGEST_COMMAND)}", style="cyan", no_wrap=True, overflow="ignore")


def remedy(firing: Firing, view: RunView) -> str:
    """What to type about a firing; empty where nothing is known."""
    if firing.kind == "rollback" and view.state != "rolled_back":
        # The trainer has tried the change, and said in its event what works.
        told = [event.evidence for event in view.events if event.name == f"rollback {firing.name}"]
        return flagged_command(Path(view.path), firing.name, told[-1] if told else {})
    return flags_of(firing.set) or (f"--use {firing.use}" if firing.use else "")


def _indented(lines: Iterable[str], style: str) -> Iterator[Text]:
    for line in lines:
        if line:
            yield Text(f"    {clean(line)}", style=style)


def _evidence(rows: Any) -> Iterator[str]:
    """A line for each recorded row, such as "step 640   loss.relational 0.000"."""
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, Mapping):
            yield "   ".join(f"{name} {_figure(name, row[name])}" for name in row if row[name] is not None)


def _figure(name: str, value: Any) -> str:
    number = decode_number(value)
    if number is None:
        return str(value)
    return f"{number:g}" if name in _CLOCKS else figure_text(number, of=name)
