"""Runs in memory for tests of comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jepa_core.comparison.recorded_run import RecordedRun
from jepa_core.comparison.series import series_of
from jepa_core.metrics import Metric
from jepa_core.run_directory.columns import columns_of


def recorded(
    name: str, series: Mapping[str, Mapping[int, float]] | None = None, *, seed: int = 0, data: str = "d", **tables: Any
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
        series=series_of(columns_of(_rows(series or {}))),
        declared={"val.retrieval.mrr": Metric("val.retrieval.mrr", "", "higher")},
    )


def _rows(series: Mapping[str, Mapping[int, float]]) -> list[dict[str, float]]:
    """A row for each step, with the metrics in the order of `series`."""
    steps = sorted({step for one in series.values() for step in one})
    return [{"step": step, **{name: one[step] for name, one in series.items() if step in one}} for step in steps]
