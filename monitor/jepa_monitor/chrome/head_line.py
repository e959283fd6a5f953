"""Which run is on the screen, its state, how far it is, how fast, how long still; of several, which has which colour.

Pure functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from jepa_core.figures import figure_text, rank_text
from jepa_core.presentation.runs_table import STATE_MARKS
from jepa_core.run_directory.status import ShownState
from jepa_monitor.charts.spec import CURVE_TONES, Tone
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.line import Line, Span, beside, foreign, line
from jepa_monitor.progress_text import age_text, seconds_left, whole_epoch

STATE_TONES: dict[ShownState, Tone] = {
    "starting": "accent",
    "running": "good",
    "finished": "dim",
    "aborted": "bad",
    "failed": "bad",
    "interrupted": "warning",
    "rolled_back": "warning",
    "stale": "warning",
    "crashed": "bad",
    "unknown": "dim",
}
_GAP = "   "
_TELLING_NAME = 20
"""Columns in which names of one recipe can be told apart."""


def head_line(view: RunView, width: int, remarks: tuple[str, ...] = ()) -> Line:
    """The line for one run; what fits least comes last and is left out first.

    Args:
        remarks: how the screen shows the run, such as "paused", at the right.
    """
    name = line(Span(" " + foreign(view.name, 60), is_bold=True))
    core, further = _progress(view)
    shown = line(name, *(part for each in (state_line(view.state), *core) for part in (_GAP, each)))
    rights = _rights(view, remarks)
    # How long still is worth more than the remarks, and all that is further less than them.
    wanted = line(shown, _GAP, further[0]) if seconds_left(view) is not None else shown
    for left in (wanted, shown):
        right = next((each for each in rights if left.width + each.width + 2 <= width), None)
        if right is not None:
            break
    right = right or line()
    for part in further:
        longer = line(shown, _GAP, part)
        if longer.width + right.width + 2 > width:
            break
        shown = longer
    return beside(shown, right, width)


def state_line(state: ShownState) -> Line:
    """A state with its sign."""
    return line(Span(f"{STATE_MARKS[state][0]} {state.replace('_', ' ')}", STATE_TONES[state]))


def skeleton_line(name: str, width: int) -> Line:
    """The line before anything is read."""
    return line(Span(f" {foreign(name, 60)}", is_bold=True), _GAP, Span("reading …", "dim")).fitted(width)


def _progress(view: RunView) -> tuple[list[Line], list[Line]]:
    """What always shows of how far the run is, and what shows where there is room."""
    status = view.status
    total_epochs = status.total_epochs if status else 0
    total_steps = status.total_steps if status else 0
    core, further = [], []
    if view.state in ("stale", "crashed") and view.heartbeat_age is not None:
        core.append(line(Span(f"last sign of life {age_text(view.heartbeat_age)} ago", "warning")))
    if view.epoch:
        core.append(line(f"epoch {whole_epoch(view.epoch, total_epochs)}"))
    core.append(line(f"step {view.step:,.0f}", f"/{total_steps:,}" if total_steps else ""))
    left, rate = seconds_left(view), view.finals.get("throughput.samples_per_second")
    if left is not None:
        further.append(line(f"{age_text(left)} left"))
    if rate is not None and math.isfinite(rate):
        further.append(line(f"{_thousands(rate)}/s"))
    if status and status.exit_code is not None:
        further.append(line(Span(f"exit {status.exit_code}", "dim")))
    return core, further


def _rights(view: RunView, remarks: tuple[str, ...]) -> list[Line]:
    """What may stand at the right: with the device, without it, and with fewer and fewer remarks."""
    memory = view.finals.get("memory.device_gib")
    memory_text = "" if memory is None or not math.isfinite(memory) else f" {figure_text(memory)} GiB"
    device = Span(f"{foreign(str(view.environment.get('device', '')), 30)}{memory_text} ", "dim")
    shown = [line(*(Span(f"{remark}  ", "accent") for remark in remarks[:count])) for count in range(len(remarks) + 1)]
    return [line(shown[-1], device), *reversed(shown)]


def _thousands(rate: float) -> str:
    return f"{rate / 1000:.1f} k" if rate >= 1000 else f"{rate:.0f}"


def legend_line(views: Sequence[RunView], width: int) -> Line:
    """Every run with its number, its colour and its state; the charts call the runs by their numbers.

    Where there is little room a state is its sign alone, and then the figures go, so that names can be told apart.
    """
    for has_figure, has_words in ((True, True), (True, False), (False, False)):
        entries = [_entry(view, number, has_figure, has_words) for number, view in enumerate(views)]
        taken = 1 + sum(before.width + after.width for before, _, after in entries)
        room = (width - taken) // max(len(views), 1)
        if room >= min(_TELLING_NAME, max((len(name) for _, name, _ in entries), default=0)):
            break
    names = [_shortened(name, max(room, 8)) for _, name, _ in entries]
    shown = [line(before, name, after) for (before, _, after), name in zip(entries, names, strict=True)]
    return line(" ", *shown).fitted(width)


def _shortened(name: str, room: int) -> str:
    """With its beginning and its end where it is too long: names of one recipe differ in their end."""
    if len(name) <= room:
        return name
    tail = min(room - 2, len("DD-HHMMSS"))
    return f"{name[: room - 1 - tail]}…{name[-tail:]}"


def _entry(view: RunView, number: int, has_figure: bool, has_words: bool) -> tuple[Line, str, Line]:
    """What stands before a run's name, its name in full, and what stands after it."""
    best = view.finals.get("val.retrieval.mrr")
    figure = "" if best is None or not has_figure else f" MRR {rank_text(best)}"
    state = state_line(view.state) if has_words else line(Span(STATE_MARKS[view.state][0], STATE_TONES[view.state]))
    before = line(Span(f"{number + 1} ━━ ", CURVE_TONES[number % len(CURVE_TONES)], is_bold=True))
    return before, foreign(view.name, 100), line(Span(figure, "dim"), " ", state, "  ")
