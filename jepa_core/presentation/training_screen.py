"""What `jepa run` shows while it trains: a progress bar with the figures that matter, or plain lines: how far the first
step is, then the first row, each validation, and a row when nothing was shown for a minute.

Knows metric names, not models; everything persistent it prints also goes into the run's console.log.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from jepa_core.figures import figure_text
from jepa_core.presentation.at_work import AtWork
from jepa_core.presentation.long_run import LongRun
from jepa_core.presentation.null_lines import null_title
from jepa_core.presentation.pace import Pace
from jepa_core.presentation.terminal import is_bounded
from jepa_core.presentation.wrapping import Hanging, Parts
from jepa_core.visible_text import clean
from jepa_core.watch.findings import Severity

_BETWEEN = "   "
"""Between two figures."""

SILENT = 60.0
"""Seconds after a plain line from which the next row is shown as one, or before the first row how far the step is."""
AT_FIRST = 10.0
"""The same before the first line."""

_MARKS = {"info": ("·", "dim"), "warning": ("▲", "yellow"), "critical": ("✘", "red")}


_SMALLEST_PLAIN = 1e-3
"""A smaller loss would be all zeros in three decimals."""
SLOW = 1.0
"""Seconds of a step from which the bar tells the steps, too: it moves too little to be seen."""


class _PaceColumn(ProgressColumn):
    """The pace; before the first step is done it tells the time, and so moves though the bar does not."""

    def __init__(self, pace: Pace) -> None:
        super().__init__(Column(no_wrap=True))
        self._pace = pace

    def render(self, _task: Task) -> Text:
        steps = f"step {_steps_text(self._pace.done)}  " if (self._pace.seconds_per_step or 0) > SLOW else ""
        return Text(f"{steps}{self._pace.describe()}")


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
        end_epoch: float | None = None,
        null: str = "",
        long_run: Callable[[float], LongRun | None] = lambda _: None,
        is_first_usual: bool = True,
        first_step: str = "first step",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            console: where it is shown.
            log: the run's console.log.
            epochs: of the recipe.
            total_steps: of the run.
            steps_done: where it goes on.
            end_epoch: passes over the data after all steps; `epochs` when not given.
            null: names the strongest method that learns nothing; empty where there is none.
            long_run: what to say, once, of a run that has so many seconds to go.
            is_first_usual: false where a first step takes longer than others, as one that is compiled.
            first_step: what goes on until it is done.
            clock: seconds.
        """
        self._console = console
        self._steps_per_epoch = total_steps / (epochs if end_epoch is None else end_epoch)
        self._pace = Pace(steps_done, total_steps, clock, is_first_usual=is_first_usual, first_step=first_step)
        self._long_run: Callable[[float], LongRun | None] | None = long_run
        self._clock = clock
        self._line_shown = clock() - SILENT + AT_FIRST
        self._has_row = False
        self._null = null
        self._log = plain_log(log)
        self._epochs = epochs
        self._latest: dict[str, float] = {}
        self._progress = Progress(
            TextColumn("{task.fields[epoch]}"),
            BarColumn(bar_width=None, complete_style="cyan", finished_style="cyan"),
            _PaceColumn(self._pace),
            TextColumn("{task.fields[rate]}"),
            console=console,
            expand=True,
        )
        epoch = self._epoch_text(epochs * steps_done / total_steps)
        self._task = self._progress.add_task("", completed=steps_done, total=total_steps, epoch=epoch, rate="")
        self._told_first = first_step
        self._first_step: AtWork | None = None
        self._live = Live(self._progress, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> TrainingScreen:
        if self._console.is_terminal:
            self._live.start()
        elif not self._console.quiet:
            self._first_step = AtWork(self._console, self._told_first)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._begun()
        if self._console.is_terminal:
            self._live.stop()

    def _begun(self) -> None:
        """The first step tells of itself from now on."""
        first_step, self._first_step = self._first_step, None
        if first_step is not None:
            first_step.stop()

    def print(self, line: Text, indent: int = 0) -> None:
        """Print a line that stays, here and in the log; where lines are broken, further ones begin at `indent`."""
        self._show(line, Hanging(line, indent, overflow="ignore"))
        self._log.print(line, soft_wrap=True)

    def progress(self, step: int, epoch: float) -> None:
        """Move the bar: `epoch` moves with every micro-batch, `step` when all of a step's are done."""
        self._begun()
        done = max(step, min(step + 1, epoch * self._steps_per_epoch))
        self._pace.note(done)
        self._progress.update(self._task, completed=done, epoch=self._epoch_text(epoch))
        left = self._pace.seconds_left
        if self._long_run is not None and self._pace.is_settled and left is not None:
            tell, self._long_run = self._long_run, None
            if told := tell(left):
                self.event("warning", told.message, told.advice)
        if not self._has_row and self._is_line_due():
            self._show_line(epoch, _steps_text(done), Text(self._pace.describe(), style="dim"))

    def row(self, row: Mapping[str, float]) -> None:
        """Show a metrics row; a line of its own when it holds validation figures, or nothing was shown for a while, and
        this is no terminal."""
        self._begun()
        self._latest |= row
        if row["step"] > self._pace.done:
            self._pace.note(row["step"])
        rate = self._latest.get("throughput.samples_per_second")
        self._progress.update(self._task, rate="" if rate is None else f"{rate:,.0f} samples/s")
        if self._console.is_terminal:
            below = Parts(list(_figures(self._latest, self._null)), _BETWEEN, indent=2, label=Text("  "))
            self._live.update(Group(self._progress, below))
        is_validation = "val.retrieval.mrr" in row
        if is_validation or not self._has_row or self._is_line_due():
            figures = figures_line(self._latest, self._null)
            if not is_validation:
                figures.append(f"{_BETWEEN}{self._pace.describe()}", style="dim")
            self._show_line(row["epoch"], _steps_text(row["step"]), figures)
        self._has_row = True

    def _is_line_due(self) -> bool:
        return self._clock() - self._line_shown >= SILENT

    def _show_line(self, epoch: float, step: str, figures: Text) -> None:
        """A line for the log, and for a console that is no terminal."""
        self._line_shown = self._clock()
        line = Text(f"epoch {_without_zeros(f'{epoch:.2f}')}/{self._epochs}  step {step}  ")
        line.append_text(figures)
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

    def notice(self, message: str) -> None:
        """Show information at once."""
        self._show(Text(f"  {clean(message)}"), Parts([Text(clean(message))], "  ", indent=4, label=Text("  ")))

    def _show(self, line: Text, broken: RenderableType) -> None:
        if is_bounded(self._console):
            self._console.print(broken, crop=False)
        else:
            self._console.print(line, soft_wrap=True)

    def _epoch_text(self, epoch: float) -> str:
        """The epoch that is going on, or the last one when all are done."""
        return f"epoch {min(max(1, math.ceil(epoch - 1e-9)), self._epochs)}/{self._epochs}"


def _steps_text(steps: float) -> str:
    """Steps that are done: a whole number where none is going on, such as "149", else two decimals at most."""
    return _without_zeros(f"{steps:,.2f}")


def _without_zeros(decimal: str) -> str:
    return decimal.rstrip("0").rstrip(".")


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
        shown = f"{value:.3f}" if abs(value) >= _SMALLEST_PLAIN else figure_text(value)
        yield Text(f"{name.removeprefix('loss.').removesuffix('.raw')} {shown}")
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
