"""Audited recipes for tests, on generated data, and losses with the faults that an audit has to find."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_core.audit.bench import Bench
from jepa_core.contracts import Forward, LossTerm, SequenceDataset, Sequences
from jepa_core.engine.device import Compute
from jepa_core.facts import DatasetFacts
from jepa_core.metrics import Metric
from jepa_core.recipes.tables import LossEntry, Recipe

COMPUTE = Compute(torch.device("cpu"), "fp32")


def data_of(recipe: Recipe) -> SequenceDataset:
    """What the recipe's dataset builds."""
    dataset: SequenceDataset = recipe.data.build(DatasetFacts(seed=0))
    return dataset


def repeated(dataset: SequenceDataset) -> SequenceDataset:
    """The same with copies of the last context grid in the place of all."""
    return dataset_like(dataset, _copied(dataset.train), _copied(dataset.validation))


def dataset_like(dataset: SequenceDataset, train: Sequences, validation: Sequences) -> SequenceDataset:
    """A dataset of these splits."""
    return SequenceDataset(
        space=dataset.space,
        train=train,
        validation=validation,
        task_names=dataset.task_names,
        description=dataset.description,
        fingerprint=dataset.fingerprint,
    )


def _copied(sequences: Sequences) -> Sequences:
    """Last but one everywhere in the context."""
    places = [-2] * (sequences.num_places - 1) + [-1]
    return Sequences(observations=sequences.observations[:, places], tasks=sequences.tasks)


def recorded(recipe: Recipe, dataset: SequenceDataset | None = None) -> Bench:
    """A bench that has taken its steps."""
    bench = Bench(recipe, dataset or data_of(recipe), COMPUTE, sequences=8)
    bench.record()
    return bench


def encoded(recipe: Recipe, dataset: SequenceDataset | None = None) -> Bench:
    """A bench whose first batches are encoded."""
    bench = Bench(recipe, dataset or data_of(recipe), COMPUTE, sequences=8)
    bench.encode()
    return bench


def with_loss(recipe: Recipe, name: str, config: Any, weight: float = 1.0) -> Recipe:
    """The recipe with one more loss."""
    entry = LossEntry(name=name, weight=weight, config=config)
    return attrs.evolve(recipe, losses={**recipe.losses, name: entry})


@attrs.frozen(kw_only=True)
class ScaledLossConfig:
    """A loss by one formula; `factor` multiplies it, and `idle` is read by nothing."""

    kind: ClassVar[str] = "scaled"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    module: type[nn.Module]
    factor: float = 1.0
    idle: float = 0.5

    def build(self, facts: Any) -> nn.Module:
        return self.module(self.factor)


class FourthPower(nn.Module):
    """Mean of z⁴."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, forward: Forward) -> LossTerm:
        return LossTerm(value=self.factor * forward.z_context.float().pow(4).mean())


class LengthAfterNormalising(nn.Module):
    """Length of what was just given unit length: constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, forward: Forward) -> LossTerm:
        unit: Tensor = F.normalize(forward.z_context.float(), dim=-1)
        return LossTerm(value=self.factor * unit.square().sum(-1).mean())


class Detached(nn.Module):
    """Mean square without a gradient."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, forward: Forward) -> LossTerm:
        return LossTerm(value=self.factor * forward.z_context.detach().float().square().mean())
