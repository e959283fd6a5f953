"""The list of runs: state, progress, best retrieval beside the strongest null, verdict."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from jepa_core.presentation.figures import figure_text
from jepa_core.presentation.null_lines import null_title
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


_NAMES_FROM = 110
"""Columns from which the names of nulls have room."""


def state_text(state: ShownState) -> Text:
    """A state with its sign."""
    mark, style = STATE_MARKS[state]
    return Text(f"{mark} {state.replace('_', ' ')}", style=style)


def runs_table(summaries: Iterable[RunSummary], width: int) -> RenderableType:
    """One line a run, in the order given; on less than 110 columns of `width` the nulls' names are left out."""
    with_names = width >= _NAMES_FROM
    table = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("run", overflow="fold")
    table.add_column("state")
    table.add_column("epoch", justify="right")
    table.add_column("best val MRR", justify="right")
    table.add_column("null", justify="right")
    if with_names:
        table.add_column("strongest null", no_wrap=True)
    table.add_column("verdict")
    for run in summaries:
        table.add_row(
            Text(clean(run.name)),
            state_text(run.state),
            Text(_epochs(run)),
            Text("" if run.best_mrr is None else f"{run.best_mrr:.3f}"),
            Text("" if run.null_mrr is None else f"{run.null_mrr:.3f}", style="dim"),
            *([Text(null_title(run.null), style="dim")] if with_names else []),
            Text(run.outcome + (f" against {clean(run.baseline, 40)}" if run.baseline else "")),
        )
    return table


def _epochs(run: RunSummary) -> str:
    if run.epoch is None:
        return ""
    total = f"/{figure_text(run.total_epochs)}" if run.total_epochs else ""
    return f"{figure_text(run.epoch)}{total}"
