"""What an audit comes to: figures of data, effects and steps, and findings. Plain data, for tables and JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import attrs

from jepa_core.spaces import SpaceAudit
from jepa_core.watch.findings import Finding
from jepa_core.watch.nulls import RankedNulls

Kind = Literal["part", "loss", "field"]
Verdict = Literal["none", "effect", "not testable"]


def largest_of(changes: Sequence[float]) -> float:
    """The largest; NaN where one is, since a change that breaks a figure is no small one."""
    return math.nan if any(map(math.isnan, changes)) else max(changes)


ONE_OBSERVATION = "there is only one observation of context"
"""Why an aggregator has nothing to do, as far as the data is to blame."""

ORDER_UNSEEN = "the aggregator does not see the order"
"""Why the order of the context has no effect, where the context changes."""


@attrs.frozen(kw_only=True)
class EffectRow:
    """What replacing a part, or moving a setting, does in the first three steps."""

    kind: Kind
    name: str
    """Such as "aggregator attention" or "quantizer.commitment"."""
    without: str
    """What it was replaced by, such as "mean" or "+20 %"."""
    verdict: Verdict
    embeddings: float = 0.0
    """Relative change of the projected context embeddings."""
    loss: float = 0.0
    """Relative change of the total loss."""
    gradient: float = 0.0
    """Relative change of the gradient at the encoder's output."""
    parameters: float = 0.0
    """Relative change of how the parameters moved, of the part where it is largest."""
    share: float | None = None
    """Of a loss: its share of the gradient at the encoder's output."""
    reason: str = ""
    """Why there is no effect, or why it cannot be tested here."""

    @property
    def largest(self) -> float:
        return largest_of((self.embeddings, self.loss, self.gradient, self.parameters))


@attrs.frozen(kw_only=True)
class DataFigures:
    """What the data is like."""

    description: str
    train_sequences: int
    validation_sequences: int
    audited_sequences: int
    """Of both splits, when there are too many to look at all."""
    context_length: int
    identical_context: float
    """Share of sequences whose context is the same observation all along; 0 for a context of one."""
    across_splits: float
    """Share of validation sequences that training has too, observation by observation."""
    repeated_in_train: float
    """Share of training sequences that repeat an earlier one."""
    shared_tasks: int
    """Tasks that are in both splits."""
    target_in_context: float
    """Share of sequences whose target equals an observation of its context."""
    of_space: SpaceAudit
    """What the space has to say of its observations."""
    nulls: RankedNulls
    """What learns nothing, on validation; empty in a brief audit."""


@attrs.frozen(kw_only=True)
class LossFigures:
    """A loss at the start."""

    name: str
    value: float
    """Weighted."""
    share: float
    """Of the gradient at the encoder's output."""
    degree: float | None
    """log2 of how it grows when all embeddings are doubled; None when it is zero, or changes its sign."""
    spread: float | None
    """How far it moves over random and real embeddings, relative to its size; None when it cannot be computed."""


@attrs.frozen(kw_only=True)
class StepFigures:
    """What a step is like."""

    grad_norms: tuple[float, ...]
    clip_norm: float | None
    padding: float
    """Share of context tokens that are masked."""
    temperatures: dict[str, tuple[float, float, float]]
    """Loss → temperature after the measured steps, lowest and highest."""
    seconds: float
    """Of an optimizer step of the recipe's own batch, without compilation."""
    total_steps: int
    memory_gib: float
    """Of weights, optimizer state, data and one micro-batch."""
    measured: str
    """How time and memory were measured."""

    @property
    def run_seconds(self) -> float:
        """Of all steps."""
        return self.seconds * self.total_steps


@attrs.frozen(kw_only=True)
class Audit:
    """All of it."""

    recipe: str
    device: str
    num_sequences: int
    num_steps: int
    seconds: float
    effects: tuple[EffectRow, ...]
    losses: tuple[LossFigures, ...]
    data: DataFigures
    step: StepFigures
    findings: tuple[Finding, ...]
    """The most severe first."""
