"""Early stopping: a normal finish when validation no longer improves."""

from __future__ import annotations

import math
from typing import Any

from jepa_core.watch.rules import EarlyStop

HIGHER_IS_BETTER = frozenset({"val.retrieval.mrr"})


class EarlyStopping:
    """Counts validations without improvement."""

    def __init__(self, config: EarlyStop | None) -> None:
        self._config = config
        self.best: float | None = None
        self.without_improvement = 0

    def stop_after(self, row: dict[str, float]) -> str | None:
        """Why to stop now, given a row with validation figures; None to go on. A non-finite value is no improvement."""
        config = self._config
        if config is None or config.metric not in row:
            return None
        if self._improves(row[config.metric], config):
            self.best, self.without_improvement = row[config.metric], 0
        else:
            self.without_improvement += 1
        return self.reason

    @property
    def reason(self) -> str | None:
        """Why to stop, given what was seen so far; None to go on."""
        config = self._config
        if config is None or self.without_improvement < config.patience:
            return None
        return (
            f"{config.metric} did not improve on {self.best:.4g} by {config.min_delta:g} "
            f"in {config.patience} validations"
            if self.best is not None
            else f"{config.metric} was never finite in {config.patience} validations"
        )

    def _improves(self, value: float, config: EarlyStop) -> bool:
        if not math.isfinite(value):
            return False
        if self.best is None:
            return True
        gain = value - self.best if config.metric in HIGHER_IS_BETTER else self.best - value
        return gain > config.min_delta

    def state(self) -> dict[str, Any]:
        """For checkpoints."""
        return {"best": self.best, "without_improvement": self.without_improvement}

    def restore(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.best, self.without_improvement = state["best"], state["without_improvement"]
