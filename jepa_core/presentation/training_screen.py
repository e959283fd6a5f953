"""What `jepa run` shows while it trains: a progress bar with the figures that matter, or one plain line per validation.

Knows metric names, not models; everything persistent it prints also goes into the run's console.log.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from jepa_core.presentation.null_lines import null_title
from jepa_core.presentation.wrapping import Hanging, Parts
from jepa_core.visible_text import clean
from jepa_core.watch.findings import Severity

_BETWEEN = "   "
"""Between two figures."""

_MARKS = {"info": ("·", "dim"), "warning": ("▲", "yellow"), "critical": ("✘", "red")}


class TrainingScreen:
    """Rows and events in, lines out."""

    def __init__(
        self,
        console: Console,
        log: TextIO,
        *,
        epochs: int,
        total_steps: int,
        steps_done: int = 0,
        null: str = "",
    ) -> None:
        """`null` names the strongest method that learns nothing; empty where there is none."""
        self._console = console
        self._null = null
        self._log = plain_log(log)
        self._epochs = epochs
        self._latest: dict[str, float] = {}
        self._progress = Progress(
            TextColumn("{task.fields[epoch]}"),
            BarColumn(bar_width=None, complete_style="cyan", finished_style="cyan"),
            TimeRemainingColumn(compact=True),
            TextColumn("left  {task.fields[rate]}"),
            console=console,
            expand=True,
        )
        epoch = self._epoch_text(epochs * steps_done / total_steps)
        # Steps of an earlier process are no sign of this one's speed, so they are there from the start.
        self._task = self._progress.add_task("", completed=steps_done, total=total_steps, epoch=epoch, rate="")
        self._live = Live(self._progress, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> TrainingScreen:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def print(self, line: Text, indent: int = 0) -> None:
        """Print a line that stays, here and in the log; on a terminal what has no room goes on at `indent`."""
        self._show(line, Hanging(line, indent, overflow="ignore"))
        self._log.print(line, soft_wrap=True)

    def progress(self, step: int, epoch: float) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=step, epoch=self._epoch_text(epoch))

    def row(self, row: Mapping[str, float]) -> None:
        """Show a metrics row; a line of its own when it holds validation figures and this is no terminal."""
        self._latest |= row
        rate = self._latest.get("throughput.samples_per_second")
        self._progress.update(self._task, rate="" if rate is None else f"{rate:,.0f} samples/s")
        if self._console.is_terminal:
            figures = Parts(list(_figures(self._latest, self._null)), _BETWEEN, indent=2, label=Text("  "))
            self._live.update(Group(self._progress, figures))
        if "val.retrieval.mrr" in row:
            epoch = f"{row['epoch']:.2f}".rstrip("0").rstrip(".")
            line = Text(f"epoch {epoch}/{self._epochs}  step {row['step']:.0f}  ")
            line.append_text(figures_line(self._latest, self._null))
            self._log.print(line, soft_wrap=True)
            if not self._console.is_terminal:
                self._console.print(line, soft_wrap=True)

    def event(self, severity: Severity, message: str, advice: str) -> None:
        """Show a warning or worse; information stays in the log."""
        mark, style = _MARKS[severity]
        label, said = Text(f"  {mark} ", style=style), [Text(clean(message), style=style)]
        said += [_advice(part, style) for part in clean(advice).split("  ") if part]
        line = label + Text("  ").join(said)
        self._log.print(line, soft_wrap=True)
        if severity != "info":
            self._show(line, Parts(said, "  ", indent=4, label=label, overflow="ignore"))

    def _show(self, line: Text, on_terminal: RenderableType) -> None:
        if self._console.is_terminal:
            self._console.print(on_terminal, crop=False)
        else:
            self._console.print(line, soft_wrap=True)

    def _epoch_text(self, epoch: float) -> str:
        """The epoch that is going on, or the last one when all are done."""
        return f"epoch {min(max(1, math.ceil(epoch - 1e-9)), self._epochs)}/{self._epochs}"


def _advice(part: str, style: str) -> Text:
    """What to do, or a command, which is copied and so stays in one piece."""
    shown = Text(part, style=f"{style} dim")
    if part.startswith("jepa "):
        shown.no_wrap, shown.overflow = True, "ignore"
    return shown


def plain_log(log: TextIO) -> Console:
    """A console for the run's console.log: no colour, no markup, wide."""
    return Console(file=log, width=160, no_color=True, highlight=False, markup=False, force_terminal=False)


def figures_line(row: Mapping[str, float], null: str = "") -> Text:
    """Loss terms, ranks, codes and retrieval beside the strongest null, as far as the row has them."""
    return Text(_BETWEEN).join(_figures(row, null))


def _figures(row: Mapping[str, float], null: str) -> Iterator[Text]:
    """Each with its name."""
    for name, value in _loss_terms(row):
        yield Text(f"{name.removeprefix('loss.').removesuffix('.raw')} {value:.3f}")
    if "rank.context" in row:
        yield Text(f"rank {row['rank.context']:.1f} / {row['rank.target']:.1f}")
    if "vq.usage" in row:
        yield Text(f"codes {100 * row['vq.usage']:.1f} %")
    if "temperature" in row:
        yield Text(f"τ {row['temperature']:.3f}")
    if "val.retrieval.mrr" in row:
        retrieval = Text().append(f"val MRR {row['val.retrieval.mrr']:.3f}", style="bold")
        if "val.retrieval.null_mrr" in row:
            beside = f"  ({null_title(null) or 'strongest null'} {row['val.retrieval.null_mrr']:.3f})"
            retrieval.append(beside, style="dim")
        yield retrieval


def _loss_terms(row: Mapping[str, float]) -> list[tuple[str, float]]:
    """Raw terms that are there, at most four, the quantizer's own left out."""
    terms = [
        (n, v) for n, v in row.items() if n.startswith("loss.") and n.endswith(".raw") and n != "loss.quantizer.raw"
    ]
    return terms[:4]
