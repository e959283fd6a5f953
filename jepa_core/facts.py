"""What a component is built from, beside its own settings: one frozen class of dimensions per family.

Modules are built on the CPU under the run's seed and moved to the device by the engine, so that one seed gives one
start on every device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import attrs

if TYPE_CHECKING:
    from jepa_core.crew import Crew
    from jepa_core.observations import Observations

Role = Literal["input", "output", "frame"]
"""What a place of a sequence holds: one side of a demonstration pair, or a moment of one course."""


def frames(num_places: int) -> tuple[Role, ...]:
    """The roles of one course."""
    frame: Role = "frame"
    return (frame,) * num_places


def _alone() -> Crew:
    from jepa_core.crew import ALONE

    return ALONE


@attrs.frozen(kw_only=True)
class DatasetFacts:
    """For datasets."""

    seed: int
    """The run's seed; a dataset's own seed fields take precedence for what they name."""
    space: Any = None
    """The space of the weights that the data is for, where they are trained already: what a dataset makes of its own
    training data, such as means to standardise by, is taken from there. None for a new run, and for one resumed."""


@attrs.frozen(kw_only=True)
class SpaceFacts:
    """Of the observations, for the families that look at them."""

    space: Any
    """What they are of: an instance of a space that the configuration names in `spaces`."""


@attrs.frozen(kw_only=True)
class EncoderFacts(SpaceFacts):
    """For encoders."""


@attrs.frozen(kw_only=True)
class QuantizerFacts:
    """For quantizers."""

    embedding_dim: int
    crew: Crew = attrs.field(factory=_alone)
    """The ranks that share a batch's tokens. To be asked only where statistics are collected."""


@attrs.frozen(kw_only=True)
class AggregatorFacts:
    """For aggregators."""

    embedding_dim: int
    context_length: int
    num_tokens: int
    roles: tuple[Role, ...] = ()
    """What each of the T + 1 places holds, the target's last; empty where all are frames."""


@attrs.frozen(kw_only=True)
class PredictorFacts:
    """For predictors."""

    embedding_dim: int
    context_length: int


@attrs.frozen(kw_only=True)
class LossFacts:
    """For losses."""

    embedding_dim: int
    projection_dim: int
    context_length: int
    num_tokens: int
    batch_size: int
    """Sequences in a micro-batch, those of all ranks together."""
    weight: float = 1.0
    """The term's factor in the objective, for losses with further weights that shall not be multiplied by it."""
    augmentations: Mapping[str, Callable[[Observations], Observations]] = attrs.field(factory=dict)
    """For losses that compare views: the recipe's enabled `[augmentation]` tables by name, and those that a loss names
    in a field `augmentations`, enabled or not."""


@attrs.frozen(kw_only=True)
class AugmentationFacts(SpaceFacts):
    """For augmentations."""

    roles: tuple[Role, ...]
    """What each of the T + 1 places holds, the target's last."""


@attrs.frozen(kw_only=True)
class NullFacts(SpaceFacts):
    """For nulls."""

    roles: tuple[Role, ...]
    """What each of the T + 1 places holds, the target's last."""

    @property
    def is_course(self) -> bool:
        """Whether the context makes a step that could be made once more: two places at least, and none an output."""
        return len(self.roles) >= 3 and "output" not in self.roles


@attrs.frozen(kw_only=True)
class ObserverFacts:
    """For observers."""

    run_path: Path
    """The run directory. An observer that keeps files keeps them in a folder of its own there."""
    resumed_at: int | None = None
    """The step after which a resumed run goes on."""


@attrs.frozen(kw_only=True)
class BenchmarkFacts:
    """For benchmarks."""

    device: str
    """Where the work is done, such as "cpu" or "cuda:0"."""
    is_quick: bool = False
    """Whether sizes are wanted that a CPU is done with in a second, for tests and a first look."""


@attrs.frozen(kw_only=True)
class ScenarioFacts:
    """For scenarios."""

    recipe: Mapping[str, Any]
    """The whole recipe as plain tables, all defaults filled in: limits and bounds, which losses there are."""
    metrics: frozenset[str]
    """Every name that a rule may use."""
