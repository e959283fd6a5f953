"""Runs in memory for tests of comparisons."""

from __future__ import annotations

from typing import Any

from jepa_core.comparison.recorded_run import RecordedRun, Series
from jepa_core.metrics import Metric


def recorded(
    name: str, series: dict[str, Series] | None = None, *, seed: int = 0, data: str = "d", **tables: Any
) -> RecordedRun:
    """A finished run of the recipe `mine`; `tables` are its recipe's."""
    return RecordedRun(
        name=name,
        path=f"runs/{name}",
        recipe_name="mine",
        recipe={"name": name, "train": {"seed": seed}, **tables},
        seed=seed,
        state="finished",
        data=data,
        series={} if series is None else series,
        declared={"val.retrieval.mrr": Metric("val.retrieval.mrr", "", "higher")},
    )
