"""The contract with plugins: one hook per family, and one for benchmarks. A hook takes nothing and returns
configuration classes.

A plugin is a module (or object) behind an entry point of the group `jepa`, with functions of these names decorated by
`hookimpl`. A configuration class is a frozen attrs class with a class variable `kind` (the component's name), a
docstring whose first line says what it is, fields made by `jepa_core.settings.setting`, a class variable `metrics`
(declarations of what it reports; empty for most), and `build(facts)`.
"""

from __future__ import annotations

import pluggy

PROJECT = "jepa"

CONTRACT_VERSION = 2
"""Of what plugins and jepa-core expect of each other. A plugin's module says which one it is written for, in a variable
of the name `VERSION_NAME`; one that says nothing is written for version 1."""

VERSION_NAME = "JEPA_CONTRACT"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def jepa_datasets() -> list[type]:  # type: ignore[empty-body]  # a specification has no body
    """Datasets: `build(DatasetFacts)` gives a `SequenceDataset`."""


@hookspec
def jepa_augmentations() -> list[type]:  # type: ignore[empty-body]  # a specification has no body
    """Augmentations: `build(AugmentationFacts)` gives a function from a batch of observations (B, T+1, …) to the same
    names, shapes and dtypes (`contracts.ViewTransform`)."""


@hookspec
def jepa_encoders() -> list[type]:  # type: ignore[empty-body]  # a specification has no body
    """Encoders: `build(EncoderFacts)` gives a module from observations to tokens (`contracts.Encoder`)."""


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
    """Nulls: `build(NullFacts)` gives a method that learns nothing (`contracts.Null`), or None where it says nothing
    about sequences of these roles."""


@hookspec
def jepa_observers() -> list[type]:  # type: ignore[empty-body]  # a specification has no body
    """Observers: `build(ObserverFacts)` gives an object that gets rows and events (`contracts.Observer`)."""


@hookspec
def jepa_scenarios() -> list[type]:  # type: ignore[empty-body]  # a specification has no body
    """Scenarios: `build(ScenarioFacts)` gives the watch rules of a pathology, a tuple of `contracts.Scenario`."""


@hookspec
def jepa_benchmarks() -> list[type]:  # type: ignore[empty-body]  # a specification has no body
    """Benchmarks: `build(BenchmarkFacts)` gives work of several sizes, each with ways to do it that `jepa bench` times
    beside each other, an iterable of `contracts.BenchmarkCase`. No part of a recipe."""


FAMILIES: dict[str, str] = {
    "dataset": "jepa_datasets",
    "augmentation": "jepa_augmentations",
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

BENCHMARK = "benchmark"

HOOKS = FAMILIES | {BENCHMARK: "jepa_benchmarks"}
"""The same, with what a plugin may offer beside components."""

FAMILIES_WITH_SPACES = frozenset({"augmentation", "encoder", "null"})
"""Families whose configurations name the spaces that they take; those of other families may."""

CHANGED_IN_2 = {
    "jepa_datasets": "Datasets: build returns SequenceDataset(space=GridSpace(side=…), …), Sequences take "
    "observations=Observations({'grid': grids, 'size': sizes}), and the configuration says "
    "`space: ClassVar[type[Space]] = GridSpace`",
    "jepa_encoders": "Encoders: forward and read take observations, with observations['grid'] and "
    "observations['size'], and the configuration says `spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)`; "
    "facts.height and facts.width are facts.space.side",
    "jepa_nulls": "Nulls: train.grids is train.observations['grid'], and the configuration says "
    "`spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)`",
    "jepa_losses": "Losses: forward.z_grids is forward.z_observed, and the configuration of a loss with views says "
    "`spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)`",
}
"""What a plugin of version 1 has to change, by hook."""
