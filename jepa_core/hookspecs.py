"""The contract with plugins: one hook per family. A hook takes nothing and returns configuration classes.

A plugin is a module (or object) behind an entry point of the group `jepa`, with functions of these names decorated by
`hookimpl`. A configuration class is a frozen attrs class with a class variable `kind` (the component's name), a
docstring whose first line says what it is, fields made by `jepa_core.settings.setting`, a class variable `metrics`
(declarations of what it reports; empty for most), and `build(facts)`.
"""

from __future__ import annotations

import pluggy

PROJECT = "jepa"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def jepa_datasets() -> list[type]:  # type: ignore[empty-body]  # a specification has no body
    """Datasets: `build(DatasetFacts)` gives a `GridDataset`."""


@hookspec
def jepa_encoders() -> list[type]:  # type: ignore[empty-body]  # a specification has no body
    """Encoders: `build(EncoderFacts)` gives a module from grids to tokens (`contracts.Encoder`)."""


@hookspec
def jepa_quantizers() -> list[type]:  # type: ignore[empty-body]  # a specification has no body
    """Quantizers: `build(QuantizerFacts)` gives a module from tokens to `Quantized` (`contracts.Quantizer`)."""


@hookspec
def jepa_aggregators() -> list[type]:  # type: ignore[empty-body]  # a specification has no body
    """Aggregators: `build(AggregatorFacts)` gives a module from (B, T, N, D) to (B, D) (`contracts.Aggregator`)."""


@hookspec
def jepa_predictors() -> list[type]:  # type: ignore[empty-body]  # a specification has no body
    """Predictors: `build(PredictorFacts)` gives a module from (B, D) to (B, D) (`contracts.Predictor`)."""


@hookspec
def jepa_losses() -> list[type]:  # type: ignore[empty-body]  # a specification has no body
    """Losses: `build(LossFacts)` gives a module from `Forward` to `LossTerm` (`contracts.Loss`)."""


@hookspec
def jepa_nulls() -> list[type]:  # type: ignore[empty-body]  # a specification has no body
    """Nulls: `build(NullFacts)` gives a method that learns nothing (`contracts.Null`), or None where the data is not
    of its kind."""


@hookspec
def jepa_observers() -> list[type]:  # type: ignore[empty-body]  # a specification has no body
    """Observers: `build(ObserverFacts)` gives who is told of rows and events (`contracts.Observer`)."""


@hookspec
def jepa_scenarios() -> list[type]:  # type: ignore[empty-body]  # a specification has no body
    """Scenarios: `build(ScenarioFacts)` gives the watch rules of a pathology, a tuple of `contracts.Scenario`."""


FAMILIES: dict[str, str] = {
    "dataset": "jepa_datasets",
    "encoder": "jepa_encoders",
    "quantizer": "jepa_quantizers",
    "aggregator": "jepa_aggregators",
    "predictor": "jepa_predictors",
    "loss": "jepa_losses",
    "null": "jepa_nulls",
    "observer": "jepa_observers",
    "scenario": "jepa_scenarios",
}
"""Family → hook."""
