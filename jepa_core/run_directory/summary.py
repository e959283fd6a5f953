"""A run in a few figures, for lists."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import attrs

from jepa_core.errors import RunDirectoryError
from jepa_core.metrics import ANEW
from jepa_core.run_directory.children import with_child
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_core.run_directory.layout import ENVIRONMENT, METRICS, STATUS, VERDICT, is_run
from jepa_core.run_directory.naming import started_at
from jepa_core.run_directory.reading import NewRows, RowsReader, RunReader
from jepa_core.run_directory.status import ShownState, read_status, shown_state
from jepa_core.run_directory.tags import recorded_tags
from jepa_core.run_directory.watched_file import Signature, WatchedFile, signature
from jepa_core.watch.nulls import RankedNulls


@attrs.frozen(kw_only=True)
class RunSummary:
    """One line in a list of runs."""

    name: str
    path: str
    state: ShownState
    epoch: float | None
    total_epochs: float | None
    best_mrr: float | None
    """Highest retrieval on validation so far."""
    null_mrr: float | None
    """The strongest method that learns nothing, on the same list; None where there is none."""
    null: str
    """Its name; empty where it is not known."""
    outcome: str
    """The verdict's; empty before there is one, "damaged" when it cannot be read."""
    baseline: str
    """What the verdict compares with; may be empty."""
    exit_code: int | None
    started: float = 0.0
    """Seconds since 1970; 0 where nothing says."""
    recipe: str = ""
    """Name of the recipe."""
    tags: tuple[str, ...] = ()
    folded: int = 0
    """How many runs of an ablation this line stands for; 0 for a run."""


Order = Literal["date", "name", "recipe", "state", "epoch", "best", "gain", "verdict"]
"""What a list of runs is sorted by; a gain is over the strongest null."""

TELLING: tuple[ShownState, ...] = (
    "running", "starting", "failed", "crashed", "aborted", "stale", "interrupted", "unknown", "rolled_back", "finished",
)  # fmt: skip
"""States of runs, those that most want a look first."""


def gain_of(run: RunSummary) -> float | None:
    """How far the best figure is above the strongest null; None where one of both is not known."""
    return None if run.best_mrr is None or run.null_mrr is None else run.best_mrr - run.null_mrr


_ORDERS: dict[Order, tuple[Callable[[RunSummary], Any], bool]] = {
    "date": (lambda run: run.started, True),
    "name": (lambda run: run.name, False),
    "recipe": (lambda run: run.recipe, False),
    "state": (lambda run: TELLING.index(run.state), False),
    "epoch": (lambda run: _known(run.epoch), True),
    "best": (lambda run: _known(run.best_mrr), True),
    "gain": (lambda run: _known(gain_of(run)), True),
    "verdict": (lambda run: (not run.outcome, run.outcome), False),
}
"""What runs are sorted by, and whether the most comes first."""


def _known(value: float | None) -> float:
    return float("-inf") if value is None else value


def in_order(runs: Iterable[RunSummary], order: Order) -> list[RunSummary]:
    """Dates and figures from the highest down, states as in `TELLING`, words as in a dictionary; of equals the newest
    first."""
    key, most_first = _ORDERS[order]
    return sorted(sorted(runs, key=_ORDERS["date"][0], reverse=True), key=key, reverse=most_first)


def words_of(run: RunSummary) -> tuple[str, ...]:
    """What a run is found by: name, recipe, state, verdict, tags."""
    return (run.name, run.recipe, run.state.replace("_", " "), run.outcome, *run.tags)


def summarise(path: Path, clock: Clock = SYSTEM_CLOCK) -> RunSummary:
    """Read what a list shows of the run in `path`.

    Raises:
        RunDirectoryError: there is no run directory there.
    """
    return SummaryReader(path, clock).summary()


class SummaryReader:
    """The summary of one run, asked again and again: a file is read only when it changed, rows only when new."""

    def __init__(self, path: Path, clock: Clock = SYSTEM_CLOCK) -> None:
        """
        Raises:
            RunDirectoryError: there is no run directory there.
        """
        self._reader = RunReader(path)
        self._clock = clock
        self._rows = RowsReader(path / METRICS, containing=("val.retrieval.mrr", f'"{ANEW}"'))
        self._status = WatchedFile(path / STATUS, lambda _: read_status(path))
        self._verdict = WatchedFile(path / VERDICT, lambda _: _verdict(self._reader))
        self._environment = WatchedFile(path / ENVIRONMENT, lambda _: _Environment.of(self._reader))
        self._rows_seen: Signature = None
        self._validation = _Validation()

    def summary(self) -> RunSummary:
        """The run now; its state also by the time since its last sign of life.

        Raises:
            RunDirectoryError: there is no run directory any more.
        """
        if not is_run(self._reader.path):
            raise RunDirectoryError(f"{self._reader.path} is no run directory any more.")
        self._read_what_changed()
        status = with_child(self._reader.path, self._status.content)
        (outcome, baseline), validation = self._verdict.content, self._validation
        strongest = self._environment.content.nulls.strongest
        return RunSummary(
            name=self._reader.name,
            path=str(self._reader.path),
            state=shown_state(status, self._clock),
            epoch=status.epoch if status else validation.epoch,
            total_epochs=(status.total_epochs or None) if status else None,
            best_mrr=validation.best,
            null_mrr=validation.null_mrr if strongest is None else strongest.mrr,
            null=validation.null if strongest is None else strongest.name,
            outcome=outcome,
            baseline=baseline,
            exit_code=status.exit_code if status else None,
            started=started_at(self._reader.path),
            recipe=status.recipe if status else "",
            tags=self._environment.content.tags,
        )

    def _read_what_changed(self) -> None:
        self._status.refresh()
        self._verdict.refresh()
        self._environment.refresh()
        before, self._rows_seen = self._rows_seen, signature(self._reader.path / METRICS)
        more = before != self._rows_seen
        while more:
            new = self._rows.poll()
            self._validation = (_Validation() if new.restarted else self._validation).after(new)
            more = new.more


@attrs.frozen(kw_only=True)
class _Validation:
    """What the rows so far say of validation."""

    best: float | None = None
    null_mrr: float | None = None
    null: str = ""
    epoch: float | None = None

    def after(self, new: NewRows) -> _Validation:
        best, null_mrr, null, epoch = self.best, self.null_mrr, self.null, self.epoch
        for row in new.rows:
            if ANEW in row:
                best = None  # what was reached before was reached by another model
            mrr = row.get("val.retrieval.mrr", math.nan)
            if not math.isnan(mrr):
                best = mrr if best is None else max(best, mrr)
            counted = RankedNulls.from_first_row(row).strongest
            if "val.retrieval.null_mrr" in row:
                null_mrr, null = row["val.retrieval.null_mrr"], ""
            elif counted is not None:
                null_mrr, null = counted.mrr, counted.name
            epoch = row.get("epoch", epoch)
        return _Validation(best=best, null_mrr=null_mrr, null=null, epoch=epoch)


@attrs.frozen(kw_only=True)
class _Environment:
    """What of environment.json is shown; nothing of a run that an earlier version made."""

    nulls: RankedNulls
    tags: tuple[str, ...]

    @classmethod
    def of(cls, reader: RunReader) -> _Environment:
        environment = reader.environment()
        return cls(nulls=RankedNulls.from_environment(environment) or RankedNulls(), tags=recorded_tags(environment))


def _verdict(reader: RunReader) -> tuple[str, str]:
    """Outcome and baseline."""
    try:
        headline = reader.headline()
    except RunDirectoryError:
        return "damaged", ""
    return (headline.outcome, headline.baseline) if headline else ("", "")
