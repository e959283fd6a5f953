"""A comparison as plain data for scripts; non-finite figures are text, as in every file."""

from __future__ import annotations

from typing import Any

import attrs

from jepa_core.comparison.alignment import AlignedMetric
from jepa_core.comparison.comparing import Comparison, GroupTest
from jepa_core.comparison.recorded_run import RecordedRun
from jepa_core.comparison.seed_groups import SeedGroup
from jepa_core.metrics import Metric
from jepa_core.recorded_numbers import encode


def comparison_to_json(comparison: Comparison) -> dict[str, Any]:
    """Everything, with full series of the judged metrics; lists per run are in the order of `runs`."""
    metrics = comparison.metrics
    data = {
        "runs": [_run(run) for run in comparison.runs],
        "same_data": comparison.same_data,
        "recipe_difference": [attrs.asdict(change) for change in comparison.recipe_changes],
        "parting": [attrs.asdict(parting) for parting in comparison.partings],
        "metrics": [_metric(metric) for metric in metrics],
        "at_equal_steps": [_aligned(metric) for metric in comparison.judged],
        "groups": [_group(group, metrics) for group in comparison.groups],
        "tests": [_test(test) for test in comparison.tests],
        "notes": list(comparison.notes),
    }
    encoded: dict[str, Any] = encode(data)
    return encoded


def _run(run: RecordedRun) -> dict[str, Any]:
    return {
        "name": run.name,
        "path": run.path,
        "recipe": run.recipe_name,
        "seed": run.seed,
        "state": run.state,
        "data": run.data,
        "candidates": run.candidates,
        **run.nulls.to_environment(),
        "step": run.last_step,
        "final": {name: run.final(name) for name in run.series},
    }


def _metric(metric: Metric) -> dict[str, str]:
    return {"name": metric.name, "better": metric.better, "unit": metric.unit}


def _aligned(metric: AlignedMetric) -> dict[str, Any]:
    return {"metric": metric.name, "steps": list(map(int, metric.steps)), "values": metric.values.tolist()}


def _group(group: SeedGroup, metrics: tuple[Metric, ...]) -> dict[str, Any]:
    figures = {metric.name: group.figure(metric.name) for metric in metrics}
    return {
        "label": group.label,
        "runs": [run.name for run in group.runs],
        "seeds": [run.seed for run in group.runs],
        "figures": {name: attrs.asdict(figure) for name, figure in figures.items() if figure is not None},
    }


def _test(test: GroupTest) -> dict[str, Any]:
    return {"metric": test.metric, "left": test.left, "right": test.right, **attrs.asdict(test.test)}
