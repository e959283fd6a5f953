"""Evaluating a run's checkpoint on its own data or on other: the run's validation, and probes for what data has labels.

Nothing is trained and nothing is written. Knows recipes and run directories; shows nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from torch import Tensor

from jepa_core.contracts import NeedsInitialisation, Observations, SequenceDataset
from jepa_core.engine.dataset import built_dataset
from jepa_core.engine.device import Compute, choose_compute, set_numerics
from jepa_core.engine.evaluation import Validation, encoder_means, gather, num_codes
from jepa_core.engine.network import build_parts
from jepa_core.engine.nulls import ChosenNulls
from jepa_core.engine.objective import Objective, declared_views
from jepa_core.engine.probe import Probe, Readouts, probes_of
from jepa_core.engine.retrieval import Retrieval
from jepa_core.engine.stored_model import StoredModel, choose_checkpoint, load_model
from jepa_core.recipes.faults import Fault, RecipeFaultsError
from jepa_core.recipes.layers import Layer, override_layers
from jepa_core.recipes.reading import load_recipe
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import Registry
from jepa_core.run_directory.layout import RECIPE
from jepa_core.run_directory.reading import RunReader
from jepa_core.spaces import HasFeatures
from jepa_core.watch.nulls import RankedNulls

_CHANGEABLE_TRAIN_KEYS = frozenset({"precision", "batch_size"})


@attrs.frozen(kw_only=True)
class EvaluatedData:
    """The validation split that was looked at."""

    description: str
    fingerprint: str
    same_as_run: bool | None
    """Whether it is the data that the run trained on; None when the run does not say."""
    num_sequences: int
    """Sequences of the validation split."""
    num_candidates: int
    """Distinct targets among them."""


@attrs.frozen(kw_only=True)
class Evaluation:
    """What a checkpoint is worth on some data."""

    run: str
    """Name of the run directory."""
    step: int
    epoch: float
    why: str
    """Why this checkpoint; empty when it was asked for by its step."""
    device: str
    data: EvaluatedData
    model: Retrieval
    nulls: RankedNulls
    """The same list ranked by what learns nothing."""
    probes: tuple[Probe, ...]
    num_codes: int
    """Size of the codebook; 0 without one."""
    projection_dim: int
    figures: Mapping[str, float]
    """Every figure of the run's validation, by metric name."""
    notes: tuple[str, ...]


def evaluate_run(run: Path, *, overrides: Sequence[str], step: str, device: str, registry: Registry) -> Evaluation:
    """Evaluate the checkpoint `step` (see `choose_checkpoint`) on the validation split of the run's data, or of other.

    `overrides` are `KEY=VALUE`, for `data.*`, `train.precision` and `train.batch_size` only.

    Raises:
        JepaError: the run, its recipe, the flags, the checkpoint, the data or the device is at fault.
    """
    _refuse_changes_to_the_model(override_layers(overrides))
    reader = RunReader(run)
    trained = load_recipe(run / RECIPE, registry=registry).recipe
    recipe = load_recipe(run / RECIPE, overrides=overrides, registry=registry).recipe
    chosen = choose_checkpoint(reader, step)
    compute = choose_compute(device, recipe.train.precision)
    set_numerics(deterministic=recipe.train.deterministic, tf32=recipe.train.tf32)
    model = load_model(trained, chosen.checkpoint, compute.device)
    given = built_dataset(recipe)
    # The nulls see what the weights see.
    dataset = dataclasses.replace(
        given, train=model.shape.fitted(given.train), validation=model.shape.fitted(given.validation)
    )
    validation = Validation(model.shape.space, dataset.validation, compute, chunk=recipe.train.batch_size)
    untrained = _untrained(trained, model, compute)
    validation.rank_nulls(ChosenNulls.of(recipe, registry), dataset, untrained)
    gathered = validation.look(model.objective, declared_views(model.objective.losses))
    figures = validation.figures(model.objective, gathered, with_hard=True)
    chunk = recipe.train.batch_size
    readouts = _readouts(
        model, untrained, dataset.validation.observations, gathered.z_context, compute=compute, chunk=chunk
    )
    return Evaluation(
        run=reader.name,
        step=chosen.checkpoint.step,
        epoch=model.epoch,
        why=chosen.why,
        device=compute.describe(),
        data=_described(dataset, validation, reader),
        model=Retrieval(*(figures[f"val.retrieval.{name}"] for name in ("mrr", "top1", "top10"))),
        nulls=validation.nulls.ranked,
        probes=probes_of(readouts, dataset.validation),
        num_codes=num_codes(model.objective),
        projection_dim=recipe.projector.dim,
        figures=figures,
        notes=(*chosen.notes, *dataset.notes),
    )


def _untrained(recipe: Recipe, model: StoredModel, compute: Compute) -> Objective | None:
    """The network as its training began; None where its start depends on the data that it was trained on."""
    parts = build_parts(recipe, model.shape, compute.device)
    if isinstance(parts.online.quantizer, NeedsInitialisation):
        return None
    return Objective(parts, {name: entry.weight for name, entry in recipe.losses.items()})


def _readouts(
    model: StoredModel,
    untrained: Objective | None,
    observations: Observations,
    predictions: Tensor,
    *,
    compute: Compute,
    chunk: int,
) -> Readouts:
    """Embeddings and plain features of sequences (V, T+1, …), on the device, from their context alone."""
    observations = observations.to(compute.device)
    beside: dict[str, Tensor] = {}
    if isinstance(model.shape.space, HasFeatures):
        beside |= model.shape.space.features(observations[:, -2])
    if untrained is not None:
        beside["untrained prediction"] = gather(untrained, observations, compute, chunk=chunk).z_context
        beside["untrained encoder"] = encoder_means(untrained, observations, compute, chunk=chunk)
    encoder = encoder_means(model.objective, observations, compute, chunk=chunk)
    return Readouts(prediction=predictions, encoder=encoder, beside=beside)


def _refuse_changes_to_the_model(layers: Sequence[Layer]) -> None:
    """
    Raises:
        RecipeFaultsError: a flag changes what the weights were trained with.
    """
    message = "not in an evaluation: the weights were trained with the run's own value"
    note = "can be set here: data.*, train.precision, train.batch_size"
    faults = [
        Fault(where=layer.where, key=key, message=message, notes=(note,), from_flag=True)
        for layer in layers
        for key in _keys_of_the_model(layer.table)
    ]
    if faults:
        raise RecipeFaultsError("The command line", faults)


def _keys_of_the_model(table: Mapping[str, Any]) -> list[str]:
    tables = [name for name in table if name not in ("data", "train")]
    train = table.get("train", {})
    if not isinstance(train, Mapping):
        return [*tables, "train"]
    return [*tables, *(f"train.{key}" for key in sorted(train.keys() - _CHANGEABLE_TRAIN_KEYS))]


def _described(dataset: SequenceDataset, validation: Validation, run: RunReader) -> EvaluatedData:
    trained_on = run.environment().get("data_fingerprint")
    return EvaluatedData(
        description=dataset.description,
        fingerprint=dataset.fingerprint,
        same_as_run=dataset.fingerprint == trained_on if trained_on else None,
        num_sequences=len(dataset.validation),
        num_candidates=validation.candidates.size,
    )
