"""Ablations in memory: a plan, and runs with the figures that a test gives them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jepa_core.ablation.effects import AblationResult, ablation_result
from jepa_core.ablation.folder import FoundRun, RunState
from jepa_core.ablation.plan import AblationPlan
from jepa_core.ablation.variation import Variation
from jepa_core.comparison.recorded_run import RecordedRun
from jepa_core.metrics import Metric
from tests.comparison.recorded import recorded

MRR = Metric("val.retrieval.mrr", "", "higher")

Figures = Mapping[Any, float | RunState]
"""By (values of the cell, seed): the last validation of a finished run, or the state of one that is not."""


def a_plan(factors: Mapping[str, tuple[str, ...]], seeds: int = 3) -> AblationPlan:
    return AblationPlan(
        name="mine",
        fingerprint="0" * 64,
        recipe="mine.toml",
        overrides=(),
        variations=tuple(Variation(key, values) for key, values in factors.items()),
        seeds=tuple(range(seeds)),
        metric=MRR,
    )


def a_result(plan: AblationPlan, figures: Figures, data: Mapping[Any, str] | None = None) -> AblationResult:
    """What the plan's runs come to; each recorded 0.1 at step 1 and its figure at step 2."""
    runs = []
    for planned in plan.runs:
        values = planned.cell.values
        figure = figures[values, planned.seed]
        state: RunState = figure if isinstance(figure, str) else "finished"
        found = FoundRun(planned=planned, state=state, path=Path(planned.name))
        last = 0.05 if isinstance(figure, str) else figure
        runs.append((found, _run(planned.name, planned.seed, last, (data or {}).get(values, "d"))))
    return ablation_result(plan, "runs/ablate-mine", runs, MRR)


def _run(name: str, seed: int, last: float, data: str) -> RecordedRun:
    series = {"val.retrieval.mrr": {1: 0.1, 2: last}, "epoch": {1: 1.0, 2: 2.0}}
    return recorded(name, series, seed=seed, data=data)
