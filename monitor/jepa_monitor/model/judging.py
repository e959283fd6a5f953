"""What a run is judged by, and its rows judged a little at a time: a million rows take minutes to judge, not to show.

The same judge as the trainer's sees every row in order, so it finds the same; until it has caught up, what the trainer
told in its events stands in.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from jepa_core.metrics import Metric
from jepa_core.run_directory.baseline_runs import resolve_baseline
from jepa_core.run_directory.recorded_recipe import (
    recorded_baseline,
    recorded_epochs,
    recorded_metrics,
    recorded_watch,
)
from jepa_core.watch.baseline import BaselineValues
from jepa_core.watch.findings import Firing
from jepa_core.watch.judge import Judge
from jepa_core.watch.judgement import Judgement
from jepa_core.watch.rules import Watch
from jepa_monitor.history.run_history import RunHistory

_ROWS_AT_A_TIME = 200


@attrs.frozen(kw_only=True, eq=False)
class RulesInForce:
    """Rules that can be judged by; what cannot be read is left out and said."""

    watch: Watch = attrs.field(factory=Watch)
    metrics: Mapping[str, Metric] = attrs.field(factory=dict)
    baseline: BaselineValues | None = None
    epochs: float | None = None
    """How many the whole run has."""
    problems: tuple[str, ...] = ()

    def fresh_judge(self) -> Judge:
        """A judge who has seen nothing yet."""
        return Judge(self.watch, self.metrics.values(), self.baseline, self.epochs)


def rules_in_force(run: Path, recipe: Mapping[str, Any], environment: Mapping[str, Any]) -> RulesInForce:
    """Read them, and the rows of the baseline's run, which is looked for beside `run`."""
    recorded = recorded_watch(recipe)
    fingerprint = str(environment.get("data_fingerprint", ""))
    baseline = resolve_baseline(recorded_baseline(recorded.watch), run.parent, fingerprint, own=run.name)
    return RulesInForce(
        watch=recorded.watch,
        metrics={metric.name: metric for metric in recorded_metrics(recipe)},
        baseline=baseline.values,
        epochs=recorded_epochs(recipe),
        problems=recorded.problems,
    )


class Judging:
    """The judge of one run, and how far it has come."""

    def __init__(self) -> None:
        self.judge_by(RulesInForce())

    def judge_by(self, rules: RulesInForce) -> None:
        """Begin again, by other rules."""
        self.rules = rules
        self.begin_again()

    def begin_again(self) -> None:
        """Forget all rows."""
        self._judge = self.rules.fresh_judge()
        self.judged_rows = 0
        self.firings: tuple[Firing, ...] = ()
        """What has fired so far."""

    def judgements(self) -> tuple[Judgement, ...]:
        """Where every rule stands after the rows judged so far."""
        return self._judge.judgements()

    def advance(self, history: RunHistory, seconds: float) -> bool:
        """Judge rows for about that long; whether there were any."""
        until = time.monotonic() + seconds
        start = self.judged_rows
        while self.judged_rows < history.num_rows:
            rows = history.rows(self.judged_rows, self.judged_rows + _ROWS_AT_A_TIME)
            fired = [firing for row in rows for firing in self._judge.observe(row)]
            self.firings += tuple(fired)
            self.judged_rows += len(rows)
            if time.monotonic() >= until:
                break
        return self.judged_rows > start
