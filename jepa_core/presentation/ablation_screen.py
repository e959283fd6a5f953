"""What `jepa ablate` shows while it goes: what is planned, a line for each run that ended, and the time left."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from jepa_core.ablation.folder import AblationFolder, FoundRun
from jepa_core.ablation.grid import cell_label
from jepa_core.ablation.plan import Outcome, PlannedRun
from jepa_core.ablation.scheduling import Job
from jepa_core.comparison.recorded_run import read_run
from jepa_core.figures import figure_text
from jepa_core.metrics import Metric
from jepa_core.presentation.quantity import duration_text
from jepa_core.run_directory.reading import RunReader
from jepa_core.visible_text import clean

_MARKS = {
    "finished": ("✔", "green"),
    "aborted": ("✘", "red"),
    "failed": ("✘", "red"),
    "interrupted": ("◌", "yellow"),
    "waiting": ("◌", "yellow"),
    "running": ("?", "yellow"),
}
_REFRESH_SECONDS = 0.5


class AblationScreen:
    """Runs that begin and end in, lines out."""

    def __init__(self, console: Console, folder: AblationFolder, metric: Metric, *, num_places: int = 1) -> None:
        self._console = console
        self._folder = folder
        self._metric = metric
        self._num_places = num_places
        self._seconds: list[float] = []
        self._refreshed = 0.0
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> AblationScreen:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def running(self, runs: Sequence[PlannedRun], waiting: int) -> None:
        """On a terminal, show how far the runs are; nothing elsewhere."""
        if not self._console.is_terminal or time.monotonic() - self._refreshed < _REFRESH_SECONDS:
            return
        self._refreshed = time.monotonic()
        lines = [f"  ● {self._label(run)}{self._progress(run)}" for run in runs]
        lines.append(f"  {len(runs)} running · {waiting} waiting{self._time_left(len(runs) + waiting)}")
        self._live.update(Text("\n".join(lines), style="cyan"), refresh=True)

    def ended(self, run: FoundRun, outcome: Outcome, left: int) -> None:
        """A line for a run that has ended."""
        total = len(self._folder.plan.runs)
        mark, style = _MARKS[run.state]
        line = Text(f"  {mark} ", style=style)
        line.append(f"{total - left:>{len(str(total))}}/{total}  {self._label(run.planned)}  ", style="default")
        line.append(self._came_to(run, outcome), style="default" if run.state == "finished" else style)
        if run.state == "finished":
            self._seconds.append(outcome.seconds)
        line.append(f"  {duration_text(outcome.seconds)}{self._time_left(left)}", style="dim")
        self._console.print(line, soft_wrap=True)

    def _label(self, run: PlannedRun) -> str:
        return f"{clean(cell_label(self._folder.plan.variations, run.cell), 80)}  seed {run.seed}"

    def _progress(self, run: PlannedRun) -> str:
        path = self._folder.run(run).path
        status = RunReader(path).status() if path else None
        return f"  epoch {status.epoch:.1f}/{figure_text(status.total_epochs)}" if status else ""

    def _came_to(self, run: FoundRun, outcome: Outcome) -> str:
        if run.state == "finished" and run.path is not None:
            value = read_run(RunReader(run.path)).final(self._metric.name)
            shown = "none" if value is None else figure_text(value, self._metric.unit)
            return f"{self._metric.name} {shown}" + (" (a must failed)" if outcome.exit_code == 4 else "")
        why = run.why or outcome.message
        return run.state + (f": {clean(why)}" if why else "")

    def _time_left(self, left: int) -> str:
        """From the runs that finished so far; nothing before the first."""
        if not self._seconds or not left:
            return ""
        mean = sum(self._seconds) / len(self._seconds)
        rounds = -(-left // self._num_places)
        return f" · about {_rounded(mean * rounds)} left"


def _rounded(seconds: float) -> str:
    """An estimate without digits that it has not."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def planned_line(folder: AblationFolder, runs: Sequence[FoundRun], jobs: Sequence[Job], num_places: int) -> Text:
    """What there is to do, before the first run."""
    plan = folder.plan
    resumed = sum(job.resume is not None for job in jobs)
    kept = len(runs) - len(jobs)
    parts = [f"{len(jobs)} to run" + (f", {num_places} at a time" if num_places > 1 else "")]
    parts += [f"{resumed} of them from a checkpoint"] * bool(resumed) + [f"{kept} there already"] * bool(kept)
    line = Text(clean(plan.name), style="bold")
    factors = " × ".join(f"{len(variation.values)} {clean(variation.key, 60)}" for variation in plan.variations)
    seeds = f"{len(plan.seeds)} {'seed' if len(plan.seeds) == 1 else 'seeds'}"
    return line.append(
        f" · {factors} × {seeds} = {len(runs)} runs: {', '.join(parts)} · {folder.path}", style="not bold"
    )


def dry_run_lines(folder: AblationFolder, runs: Sequence[FoundRun], jobs: Sequence[Job]) -> list[Text]:
    """Every run with what would be done to it."""
    doing = {job.planned: "goes on from its checkpoint" if job.resume else "is trained" for job in jobs}
    width = max(len(run.planned.name) for run in runs)
    lines = []
    for run in runs:
        label = clean(cell_label(folder.plan.variations, run.planned.cell), 80)
        what = doing.get(run.planned, f"is {run.state}")
        lines.append(Text(f"  {run.planned.name:<{width}}  {label}  seed {run.planned.seed}  {what}"))
    return [*lines, Text("Nothing was run.", style="dim")]
