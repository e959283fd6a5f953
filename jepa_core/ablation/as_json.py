"""An ablation's result as plain data for scripts; non-finite figures are text, as in every file."""

from __future__ import annotations

from typing import Any

import attrs

from jepa_core.ablation.effects import AblationResult, CellResult, FactorResult, LevelResult, RunResult
from jepa_core.comparison.paired_test import PairedTest
from jepa_core.recorded_numbers import encode


def ablation_to_json(result: AblationResult) -> dict[str, Any]:
    """Everything that the table shows; differences are a level minus its factor's reference."""
    plan, metric = result.plan, result.metric
    data = {
        "name": plan.name,
        "folder": result.path,
        "fingerprint": plan.fingerprint,
        "recipe": plan.recipe,
        "overrides": plan.overrides,
        "variations": [attrs.asdict(variation) for variation in plan.variations],
        "seeds": plan.seeds,
        "metric": {
            "name": metric.name,
            "better": metric.better,
            "unit": metric.unit,
            "counts": f"last {metric.reported_in}",
        },
        "nulls": [attrs.asdict(null) for null in result.nulls],
        "factors": [_factor(factor) for factor in result.factors],
        "cells": [_cell(cell) for cell in result.cells],
        "best_cell": None if result.best_cell is None else result.cells[result.best_cell].cell.name,
        "notes": result.notes,
    }
    encoded: dict[str, Any] = encode(data)
    return encoded


def _factor(factor: FactorResult) -> dict[str, Any]:
    return {
        "key": factor.key,
        "reference": factor.levels[0].value,
        "levels": [_level(level) for level in factor.levels],
    }


def _level(level: LevelResult) -> dict[str, Any]:
    return {
        "value": level.value,
        "mean": attrs.asdict(level.mean) if level.mean else None,
        "finished": level.finished,
        "planned": level.planned,
        "equal_in_all": level.equal_in_all,
        "on_other_data": level.on_other_data,
        "test": _test(level.test),
    }


def _test(test: PairedTest | None) -> dict[str, Any] | None:
    return attrs.asdict(test) if test else None


def _cell(cell: CellResult) -> dict[str, Any]:
    return {
        "cell": cell.cell.name,
        "label": cell.label,
        "values": cell.cell.values,
        "final": attrs.asdict(cell.final) if cell.final else None,
        "best": attrs.asdict(cell.best) if cell.best else None,
        "against_reference": _test(cell.against_reference),
        "runs": [_run(run) for run in cell.runs],
    }


def _run(run: RunResult) -> dict[str, Any]:
    found = run.found
    return {
        "name": found.planned.name,
        "seed": run.seed,
        "run": str(found.path) if found.path else None,
        "state": found.state,
        "why": found.why,
        "final": run.final,
        "best": run.best,
    }
