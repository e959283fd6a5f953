"""What a run is judged by: the rules, declarations and baseline that its recorded recipe names."""

from __future__ import annotations

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
from jepa_core.watch.judge import Judge
from jepa_core.watch.rules import Watch


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
    baseline = resolve_baseline(recorded_baseline(recorded.watch), run.parent, fingerprint)
    return RulesInForce(
        watch=recorded.watch,
        metrics={metric.name: metric for metric in recorded_metrics(recipe)},
        baseline=baseline.values,
        epochs=recorded_epochs(recipe),
        problems=recorded.problems,
    )
