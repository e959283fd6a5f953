"""Everything that is shown of a run at one moment, as frozen values. `run_model` makes it, off the screen's thread.

Foreign text in it is as recorded: whoever shows it cleans it (`jepa_core.visible_text.clean`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, Protocol

import attrs

from jepa_core.metrics import Metric
from jepa_core.run_directory.events import Event
from jepa_core.run_directory.status import ShownState, Status
from jepa_core.watch.baseline import BaselineValues
from jepa_core.watch.findings import Firing
from jepa_core.watch.judgement import Judgement
from jepa_core.watch.nulls import RankedNulls
from jepa_core.watch.rules import Watch
from jepa_core.watch.verdict import Verdict
from jepa_monitor.history.series import Series
from jepa_monitor.model.ranks import NO_RANKS, Ranks

Prospect = Literal["pending", "passing", "at risk", "failed", "fired"]
"""How a rule stands: `at risk` passes still, and its trend crosses the limit before the run ends."""


class HistoryView(Protocol):
    """The rows so far; what it gives out never changes, however many rows come later."""

    @property
    def num_rows(self) -> int: ...

    @property
    def names(self) -> Sequence[str]:
        """Names of the metrics that have a value, sorted."""
        ...

    def series(self, name: str) -> Series | None:
        """None while there is no value."""
        ...


@attrs.frozen(kw_only=True)
class Outlook:
    """One rule as the verdict bar shows it."""

    judgement: Judgement
    prospect: Prospect
    metric: str
    """The metric that the rule compares; empty where it is not one comparison."""
    crossing_step: float | None = None
    """Where the trend of the newest values meets the limit; None when it does not before the run ends."""

    @property
    def nearness(self) -> float:
        """How near to trouble, for sorting: lower is nearer; infinite where it cannot be told."""
        if self.prospect in ("failed", "fired"):
            return float("-inf")
        margin = self.judgement.margin
        return float("inf") if margin is None else margin


@attrs.frozen(kw_only=True, eq=False)
class RunView:
    """A run at one moment."""

    name: str
    path: str
    state: ShownState
    status: Status | None
    heartbeat_age: float | None
    """Seconds since the last sign of life; None when there was none."""
    history: HistoryView
    finals: Mapping[str, float]
    """The newest value of every metric, step and epoch among them."""
    metrics: Mapping[str, Metric]
    """Declarations by name."""
    watch: Watch
    outlooks: tuple[Outlook, ...]
    """Every must, nice, abort, rollback and scenario rule, in the recipe's order."""
    firings: tuple[Firing, ...]
    """In the order in which they came."""
    events: tuple[Event, ...]
    """The newest thousand, oldest first."""
    diagnosis: Mapping[str, Any]
    """The newest row of diagnostics.jsonl; empty when there is none."""
    console: tuple[str, ...]
    """The newest lines of console.log."""
    verdict: Verdict | None
    recipe: Mapping[str, Any]
    """The resolved recipe as plain tables."""
    environment: Mapping[str, Any]
    baseline: BaselineValues | None
    damaged: int
    """Lines that could not be read."""
    problems: tuple[str, ...]
    """What else could not be read, in words."""
    judged_rows: int | None = None
    """Rows put before the rules so far while that is behind: `outlooks` stand as of there, or as the verdict has them,
    and `firings` are also those that the trainer told of. None when all rows are judged."""
    replay_position: str = ""
    """While a run is replayed: where the replay stands, such as "×20, paused"; empty when the run is followed live."""
    ranks: Ranks = NO_RANKS
    """The processes of the run beside each other; without lanes where it has one."""

    @cached_property
    def nulls(self) -> RankedNulls:
        """What learns nothing, on the run's validation candidates; counting equal cells in runs that say no more."""
        return RankedNulls.from_environment(self.environment) or RankedNulls.from_first_row(self.finals)

    @property
    def step(self) -> float:
        return max(self.finals.get("step", 0.0), float(self.status.step) if self.status else 0.0)

    @property
    def epoch(self) -> float:
        return max(self.finals.get("epoch", 0.0), self.status.epoch if self.status else 0.0)
