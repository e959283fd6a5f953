"""Which metrics a recipe's run may report: the engine's, its losses', its parts' and its components'.

Together they are the closed set of names that the recipe's watch rules may use.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from jepa_core.metrics import ENGINE_METRICS, Metric, declaration_of, loss_metrics, part_metrics
from jepa_core.recipes.tables import Recipe

PARTS = ("encoder", "quantizer", "aggregator", "predictor", "projector")

_ALSO_ON_VALIDATION = ("rank.", "std.", "align", "uniform", "order.sensitivity", "attention.entropy", "vq.")
"""Figures of embeddings and codes that are measured on the validation split too."""


def declared_metrics(recipe: Recipe) -> tuple[Metric, ...]:
    """Every metric that may stand in a row of the run, each name once."""
    metrics: dict[str, Metric] = {}
    for metric in _all_metrics(recipe):
        metrics.setdefault(metric.name, metric)
    return tuple(metrics.values())


def undeclared(names: Iterable[str], metrics: Iterable[Metric]) -> list[str]:
    """The names that no declaration covers, in order."""
    known = tuple(metrics)
    return sorted(name for name in names if declaration_of(name, known) is None)


def _all_metrics(recipe: Recipe) -> Iterator[Metric]:
    yield from ENGINE_METRICS
    for metric in ENGINE_METRICS:
        if metric.name.startswith(_ALSO_ON_VALIDATION):
            yield attrs.evolve(metric, name=f"val.{metric.name}", doc=f"{metric.doc}, on validation")
    for name in (*recipe.losses, "quantizer"):
        yield from loss_metrics(name)
    for part in (*PARTS, *recipe.losses):
        yield from part_metrics(part)
    configs = [recipe.data, recipe.encoder, recipe.quantizer, recipe.aggregator, recipe.predictor]
    for config in (*configs, *(entry.config for entry in recipe.losses.values())):
        yield from config.metrics
