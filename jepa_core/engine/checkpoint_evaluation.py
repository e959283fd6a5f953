"""Evaluating a run's checkpoint on its own data or on other: the run's validation, and probes for what data has labels.

Nothing is trained and nothing is written. Knows recipes and run directories; shows nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
from torch import Tensor

from jepa_core.contracts import NeedsInitialisation, Observations, SequenceDataset
from jepa_core.engine.device import Compute
from jepa_core.engine.evaluation import Validation, encoder_means, gather, num_codes
from jepa_core.engine.network import build_parts
from jepa_core.engine.nulls import ChosenNulls
from jepa_core.engine.objective import Objective, declared_views
from jepa_core.engine.opened_run import OpenedRun, faults_told, open_run
from jepa_core.engine.probe import Probe, Readouts, probes_of
from jepa_core.engine.retrieval import Retrieval
from jepa_core.engine.stored_model import StoredModel
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import Registry
from jepa_core.run_directory.reading import RunReader
from jepa_core.spaces import HasFeatures
from jepa_core.watch.nulls import RankedNulls


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


@attrs.frozen(kw_only=True, repr=False)
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

    def __repr__(self) -> str:
        strongest = self.nulls.strongest
        null = f", {strongest.name} {strongest.mrr:.3f}" if strongest else ""
        probes = ", ".join(sorted({probe.label for probe in self.probes}))
        return (
            f"<Evaluation of {self.run} at step {self.step} on {self.data.num_sequences:,} sequences: "
            f"MRR {self.model.mrr:.3f}{null}{f'; probes of {probes}' if probes else ''}>"
        )


def evaluate_run(run: Path, *, overrides: Sequence[str], step: str, device: str, registry: Registry) -> Evaluation:
    """Evaluate the checkpoint `step` (see `choose_checkpoint`) on the validation split of the run's data, or of other.

    `overrides` are `KEY=VALUE`, for `data.*`, `train.precision` and `train.batch_size` only.

    Raises:
        JepaError: the run, its recipe, the flags, the checkpoint, the data or the device is at fault.
    """
    return _evaluated(open_run(run, overrides=overrides, step=step, device=device, registry=registry))


@faults_told
def _evaluated(opened: OpenedRun) -> Evaluation:
    recipe, compute, model = opened.recipe, opened.compute, opened.model
    # The nulls see what the weights see.
    dataset = opened.dataset()
    validation = Validation(model.shape.space, dataset.validation, compute, chunk=recipe.train.batch_size)
    untrained = _untrained(opened.trained, model, compute)
    validation.rank_nulls(ChosenNulls.of(recipe, opened.registry), dataset, untrained)
    gathered = validation.look(model.objective, declared_views(model.objective.losses))
    figures = validation.figures(model.objective, gathered, with_hard=True)
    chunk = recipe.train.batch_size
    readouts = _readouts(
        model, untrained, dataset.validation.observations, gathered.z_context, compute=compute, chunk=chunk
    )
    return Evaluation(
        run=opened.reader.name,
        step=opened.chosen.checkpoint.step,
        epoch=model.epoch,
        why=opened.chosen.why,
        device=compute.describe(),
        data=_described(dataset, validation, opened.reader),
        model=Retrieval(*(figures[f"val.retrieval.{name}"] for name in ("mrr", "top1", "top10"))),
        nulls=validation.nulls.ranked,
        probes=probes_of(readouts, dataset.validation),
        num_codes=num_codes(model.objective),
        projection_dim=recipe.projector.dim,
        figures=figures,
        notes=(*opened.chosen.notes, *dataset.notes),
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


def _described(dataset: SequenceDataset, validation: Validation, run: RunReader) -> EvaluatedData:
    trained_on = run.environment().get("data_fingerprint")
    return EvaluatedData(
        description=dataset.description,
        fingerprint=dataset.fingerprint,
        same_as_run=dataset.fingerprint == trained_on if trained_on else None,
        num_sequences=len(dataset.validation),
        num_candidates=validation.candidates.size,
    )
