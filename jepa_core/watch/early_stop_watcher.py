"""Early stopping while a run goes on: a normal finish when validation no longer improves."""

from __future__ import annotations

import math
from collections.abc import Mapping

from jepa_core.figures import figure_text
from jepa_core.metrics import Metric
from jepa_core.watch.findings import Firing
from jepa_core.watch.history import History
from jepa_core.watch.rules import EarlyStop


class EarlyStopWatcher:
    """Counts values without improvement; fires once, when patience is at its end."""

    def __init__(self, config: EarlyStop, metric: Metric) -> None:
        """`metric` declares which way the one that is watched is better."""
        self._config = config
        self._metric = metric
        self._best: float | None = None
        self._best_step: float | None = None
        self._without_improvement = 0
        self._has_fired = False

    def observe(self, row: Mapping[str, float], history: History) -> Firing | None:
        """Take in a row that the history holds already. A value that is not finite is no improvement."""
        value = row.get(self._config.metric)
        if value is None or self._has_fired:
            return None
        if self._improves(value):
            self._best, self._best_step, self._without_improvement = value, history.step, 0
        else:
            self._without_improvement += 1
        self._has_fired = self._without_improvement >= self._config.patience
        return self._firing(history) if self._has_fired else None

    def begin_anew(self) -> None:
        """The next value is the first that later ones have to improve on."""
        self._best = self._best_step = None
        self._without_improvement = 0

    def _improves(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        if self._best is None:
            return True
        gain = value - self._best if self._metric.better == "higher" else self._best - value
        return gain > self._config.min_delta

    def _firing(self, history: History) -> Firing:
        config = self._config
        period = f"in {config.patience} {self._metric.reported_in}s"
        message = (
            f"{config.metric} was never finite {period}"
            if self._best is None
            else f"{config.metric} did not improve on {figure_text(self._best, of=config.metric)} "
            f"by {config.min_delta:g} {period}"
        )
        return Firing(
            name=config.metric,
            kind="early stop",
            severity="info",
            message=message,
            step=None if math.isnan(history.step) else history.step,
            epoch=None if math.isnan(history.epoch) else history.epoch,
            evidence={"best": self._best, "best_step": self._best_step, "patience": config.patience},
        )
