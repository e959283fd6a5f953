"""The list of runs: when each started, recipe, state, progress, best retrieval beside the strongest null, verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from jepa_core.figures import figure_text, rank_text
from jepa_core.presentation.null_lines import null_title
from jepa_core.run_directory.clock import local_time
from jepa_core.run_directory.status import ShownState
from jepa_core.run_directory.summary import RunSummary
from jepa_core.visible_text import clean

STATE_MARKS: dict[ShownState, tuple[str, str]] = {
    "starting": ("○", "cyan"),
    "running": ("●", "green"),
    "finished": ("✔", "dim"),
    "aborted": ("✘", "red"),
    "failed": ("✘", "red"),
    "interrupted": ("◌", "yellow"),
    "rolled_back": ("◌", "yellow"),
    "stale": ("?", "yellow"),
    "crashed": ("✘", "red"),
    "unknown": ("?", "dim"),
}
"""Sign and style of each state."""

_GAP = 2
"""Columns between two."""
_SHORTEST_NAME = 24
"""Columns that a name is never cut below."""
_LONG_NAME = 34
"""Columns that a name is not cut below where something else can be left out."""
_END_OF_NAME = 16
"""Columns of a name's end, which tells runs of one recipe apart: -YYYYMMDD-HHMMSS."""
_LONGEST = 40
"""Characters of a recipe's name, a baseline's and a tag."""


def state_text(state: ShownState) -> Text:
    """A state with its sign."""
    mark, style = STATE_MARKS[state]
    return Text(f"{mark} {state.replace('_', ' ')}", style=style)


def _state(run: RunSummary) -> Text:
    text = state_text(run.state)
    return text if not run.folded else Text(f"{text.plain[:1]} {run.folded} runs", style=text.style)


@attrs.frozen
class _Column:
    heading: str
    cell: Callable[[RunSummary], Text]
    is_number: bool = False


_COLUMNS = {
    "run": _Column("run", lambda run: Text(clean(run.name))),
    "date": _Column("started", lambda run: Text(local_time(run.started, "%Y-%m-%d %H:%M") if run.started else "")),
    "recipe": _Column("recipe", lambda run: Text(clean(run.recipe, _LONGEST))),
    "state": _Column("state", _state),
    "epoch": _Column("epoch", lambda run: Text(_epochs(run)), is_number=True),
    "best": _Column("best", lambda run: Text(_figure(run.best_mrr)), is_number=True),
    "best MRR": _Column("best val MRR", lambda run: Text(_figure(run.best_mrr)), is_number=True),
    "null": _Column("null", lambda run: Text(_figure(run.null_mrr), style="dim"), is_number=True),
    "null's name": _Column("strongest null", lambda run: Text(null_title(run.null), style="dim")),
    "outcome": _Column("verdict", lambda run: Text(clean(run.outcome, 2 * _LONGEST))),
    "verdict": _Column("verdict", lambda run: Text(_verdict(run))),
    "tags": _Column("tags", lambda run: Text(" ".join(clean(tag, _LONGEST) for tag in run.tags), style="dim")),
}
_KEPT = (
    ("run", "date", "recipe", "state", "epoch", "best MRR", "null", "null's name", "verdict", "tags"),
    ("run", "date", "state", "epoch", "best MRR", "null", "null's name", "verdict", "tags"),
    ("run", "date", "state", "epoch", "best", "null", "null's name", "outcome", "tags"),
    ("run", "date", "state", "epoch", "best", "null", "outcome", "tags"),
    ("run", "state", "epoch", "best", "null", "outcome", "tags"),
    ("run", "state", "epoch", "best", "null", "outcome"),
    ("run", "state", "epoch", "best", "outcome"),
    ("run", "state", "best", "outcome"),
)
"""Columns on wide and on narrower screens: a run's name has its recipe and its time in it."""


@attrs.frozen
class RunsTable:
    """One line a run, in the order given: what matters least is left out where not all fits, and the middle of long
    names."""

    runs: Sequence[RunSummary]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        named = [name for name in _COLUMNS if name != "tags" or any(run.tags for run in self.runs)]
        cells = {name: [_COLUMNS[name].cell(run) for run in self.runs] for name in named}
        widths = {
            name: max([cell_len(_COLUMNS[name].heading), *(text.cell_len for text in cells[name])]) for name in named
        }
        shown = _shown(widths, options.max_width)
        longest_name = max(_SHORTEST_NAME, options.max_width - _needed(shown, {**widths, "run": 0}))
        cells["run"] = [Text(cut_in_the_middle(text.plain, longest_name)) for text in cells["run"]]
        widths["run"] = min(widths["run"], longest_name)
        if _needed(shown, widths) > options.max_width:
            yield _folded(shown, cells)
            return
        # Thousands of runs: rich's own table looks at each cell twenty times.
        headings = {name: Text(_COLUMNS[name].heading, style="dim") for name in shown}
        for row in (headings, *({name: cells[name][index] for name in shown} for index in range(len(self.runs)))):
            yield from _line(row, widths, console)


def _line(row: Mapping[str, Text], widths: Mapping[str, int], console: Console) -> Iterator[Segment]:
    """One line of a table in which every cell has room."""
    gap = ""
    for name, text in row.items():
        blanks = " " * (widths[name] - text.cell_len)
        before, after = (blanks, "") if _COLUMNS[name].is_number else ("", blanks)
        yield Segment(f"{gap}{before}")
        yield Segment(text.plain, console.get_style(text.style) if text.style else None)
        gap = f"{after}{' ' * _GAP}"
    yield Segment.line()


def _folded(shown: Sequence[str], cells: Mapping[str, Sequence[Text]]) -> Table:
    """Where the screen is too narrow for all that has to be shown."""
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
    for name in shown:
        column = _COLUMNS[name]
        table.add_column(column.heading, justify="right" if column.is_number else "left", overflow="fold")
    for row in zip(*(cells[name] for name in shown), strict=True):
        table.add_row(*row)
    return table


def _shown(widths: Mapping[str, int], width: int) -> Sequence[str]:
    """The most columns that fit, of which a name may be cut to what tells it."""
    choices = [tuple(name for name in kept if name in widths) for kept in _KEPT]
    for longest_name in (_LONG_NAME, _SHORTEST_NAME):
        allowed = {**widths, "run": min(widths["run"], longest_name)}
        for names in choices:
            if _needed(names, allowed) <= width:
                return names
    return choices[-1]


def _needed(names: Sequence[str], widths: Mapping[str, int]) -> int:
    return sum(widths[name] for name in names) + _GAP * (len(names) - 1)


def cut_in_the_middle(name: str, width: int) -> str:
    """A name on `width` columns, with its end, by which runs of one recipe differ."""
    if cell_len(name) <= width:
        return name
    longest, end = min(_END_OF_NAME, width - 1), name[-_END_OF_NAME:]
    while end and cell_len(end) > longest:
        end = end[1:]
    return f"{set_cell_size(name, max(width - cell_len(end) - 1, 0)).rstrip()}…{end}"[: max(width, 0)]


def _figure(value: float | None) -> str:
    return "" if value is None else rank_text(value)


def _verdict(run: RunSummary) -> str:
    against = f" against {clean(run.baseline, _LONGEST)}" if run.baseline else ""
    return clean(run.outcome, 2 * _LONGEST) + against


def _epochs(run: RunSummary) -> str:
    if run.epoch is None:
        return ""
    total = f"/{figure_text(run.total_epochs)}" if run.total_epochs else ""
    return f"{figure_text(run.epoch)}{total}"
