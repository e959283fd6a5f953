"""What the engine needs of components, and what they exchange.

Shapes: S sequences in a split, B sequences in a batch, T observations of context, M observations (any mix), N tokens of
an observation, D embedding dimension, P projection dimension. "…" stands for what one observation of a space is.

Randomness: components draw from torch's global generator of their device. The engine seeds it before every phase as a
function of (seed, step, phase), so a step can be repeated exactly and no generator travels.

Results are stdlib frozen dataclasses, where configuration is attrs: torch.compile traces only the former.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from torch import Tensor

from jepa_core.crew import ALONE as ALONE  # noqa: PLC0414  # it is part of the contract
from jepa_core.crew import Crew as Crew  # noqa: PLC0414  # likewise
from jepa_core.metrics import Metric
from jepa_core.observations import Observations as Observations  # noqa: PLC0414  # it is part of the contract
from jepa_core.sequences import SequenceDataset as SequenceDataset  # noqa: PLC0414  # likewise
from jepa_core.sequences import Sequences as Sequences  # noqa: PLC0414  # likewise
from jepa_core.spaces import Space as Space  # noqa: PLC0414  # likewise
from jepa_core.statistics import Statistics as Statistics  # noqa: PLC0414  # likewise
from jepa_core.watch.rules import Scenario as Scenario  # noqa: PLC0414  # it is part of the contract


@dataclass(frozen=True)
class Embeddings:
    """Tokens of observations and which of them are real. Masked-out tokens hold zeros."""

    values: Tensor
    """(..., N, D)."""
    mask: Tensor
    """(..., N) bool: True where a token is real. An observation may have none."""
    neighbours: Tensor | None = None
    """(..., N, N) bool: which tokens of an observation the encoder takes to be next to each other, for losses over
    pairs; None when it does not say."""


@dataclass(frozen=True)
class Quantized:
    """A quantizer's result."""

    values: Tensor
    """(..., N, D), with a straight-through gradient where codes are discrete; zeros where masked."""
    codes: Tensor | None
    """(..., N) int64, −1 where masked; None when there is no codebook. A quantizer of G > 1 codebooks side by side
    gives (..., N, G), the codes of all of them numbered through: 0 … num_codes − 1."""
    loss: Tensor
    """Scalar: the quantizer's own term, weighted (such as commitment); zero when it has none."""
    statistics: Statistics
    figures: Mapping[str, Tensor] = field(default_factory=dict)
    """Scalars for the metrics row, detached; each declared in the configuration's `metrics`."""
    count: Tensor | None = None
    """Scalar: how many tokens `loss` is a mean over, where ranks that share a batch may have different numbers."""


@dataclass(frozen=True)
class TargetView:
    """A transformed copy of the targets, encoded by the online network in the same pass, with gradient."""

    z_target: Tensor
    """(B, P): projected masked mean of the transformed target."""
    target: Tensor
    """(B, D): masked mean of the transformed target's quantized tokens."""


@dataclass(frozen=True)
class View(TargetView):
    """A transformed copy of the whole batch."""

    z_context: Tensor
    """(B, P): projected prediction from the transformed context."""
    state: Tensor
    """(B, D): output of the aggregator for the transformed context."""


@dataclass(frozen=True)
class Forward:
    """All that a loss may look at. Projections are not of unit length; losses normalise where their paper does."""

    z_context: Tensor
    """(B, P): projected prediction, with gradient."""
    z_target: Tensor
    """(B, P): projected target from the EMA network, without gradient."""
    predicted: Tensor
    """(B, D): output of the predictor."""
    state: Tensor
    """(B, D): output of the aggregator."""
    target: Tensor
    """(B, D): masked mean of the target's quantized tokens, EMA network, without gradient."""
    context_embeddings: Embeddings
    """(B, T, N, D): the encoder's output, before the quantizer."""
    context_quantized: Quantized
    """(B, T, N, D): after the quantizer."""
    target_tokens: Embeddings
    """(B, N, D): the target's quantized tokens, EMA network, without gradient."""
    views: Mapping[str, View] = field(default_factory=dict)
    """By name, what losses asked for."""
    target_views: Mapping[str, TargetView] = field(default_factory=dict)
    """Likewise, of the targets alone."""
    z_observed: Tensor | None = None
    """(B, T, P): the context's own observations as if they were targets: projected masked means of their quantized
    tokens, through the EMA projector, without gradient. They are of the target's task and make hard negatives. None
    only in a `Forward` made by hand."""
    is_target: Tensor | None = None
    """(B, T) bool: which of the context's observations equal the target: no negatives. None as `z_observed`."""
    crew: Crew = ALONE
    """The ranks that share the batch, of which this is one's part. A loss whose terms are each of one sequence need not
    ask: its gradient is averaged over ranks. One over the whole batch gathers: `crew.gathered(z)`."""


@dataclass(frozen=True)
class LossTerm:
    """A loss's result for one micro-batch."""

    value: Tensor
    """Scalar, without the recipe's weight."""
    figures: Mapping[str, Tensor] = field(default_factory=dict)
    """Scalars for the metrics row, detached; each declared in the configuration's `metrics`."""
    statistics: Statistics | None = None
    """For `after_step`; None when there is nothing to hand over."""


ViewTransform = Callable[[Observations], Observations]
"""Observations (B, G, …) to the same names and shapes; draws are shared by all places of a sequence. G is T + 1, or 1
where a loss looks at targets alone."""

Reading = Mapping[str, Tensor]
"""What an encoder reads off observations before anything is learned, by name; leading dimensions are theirs."""

ReadingTransform = Callable[[Reading], Reading]
"""A reading (B, T+1, ...) to one of the same names, shapes and dtypes."""


class Encoder(Protocol):
    """Observations (M, …) to tokens (M, N, D). An `nn.Module`. Its configuration names the `spaces` that it takes."""

    embedding_dim: int
    num_tokens: int

    def __call__(self, observations: Observations) -> Embeddings: ...


class Quantizer(Protocol):
    """Tokens (..., N, D) and mask (..., N) to `Quantized`. Pure in `forward`; an `nn.Module`."""

    num_codes: int
    """Codes in all codebooks together; 0 when there is none."""

    def __call__(self, values: Tensor, mask: Tensor, *, collect: bool) -> Quantized:
        """`collect` asks for statistics: only tokens of the untransformed online context count."""
        ...


class Aggregator(Protocol):
    """Tokens (B, T, N, D) and mask (B, T, N) to a state (B, D). An `nn.Module`."""

    def __call__(self, values: Tensor, mask: Tensor) -> Tensor: ...


class Predictor(Protocol):
    """State (B, D) to predicted (B, D). An `nn.Module`."""

    def __call__(self, state: Tensor) -> Tensor: ...


class Loss(Protocol):
    """`Forward` to `LossTerm`. An `nn.Module`; may hold parameters (they are trained) and buffers."""

    def __call__(self, forward: Forward) -> LossTerm: ...


@runtime_checkable
class DeclaresViews(Protocol):
    """A loss that wants transformed copies of the batch encoded in the same pass."""

    def views(self) -> Mapping[str, ViewTransform]: ...


@runtime_checkable
class DeclaresTargetViews(Protocol):
    """A loss that wants transformed copies of the targets alone, (B, 1, …): that takes a fraction of the time."""

    def target_views(self) -> Mapping[str, ViewTransform]: ...


@runtime_checkable
class OffersViews(Protocol):
    """An encoder that first reads observations and then embeds what it has read, and can change it in between in ways
    that no observation would show. Its `forward` is `embed(read(observations))`."""

    def read(self, observations: Observations) -> Reading:
        """Observations (M, …) to tensors (M, ...), without gradient."""
        ...

    def embed(self, reading: Reading) -> Embeddings:
        """A reading of M observations to tokens (M, N, D)."""
        ...

    def reading_views(self) -> Mapping[str, ReadingTransform]:
        """The changes it offers, by name."""
        ...


@runtime_checkable
class AsksForEncoderViews(Protocol):
    """A loss that wants copies of the batch with changes that an `OffersViews` encoder offers."""

    def encoder_views(self) -> Sequence[str]:
        """Their names; each is in `forward.views` then."""
        ...


@runtime_checkable
class JudgesWholeSet(Protocol):
    """A loss defined over a whole candidate list: validation uses this instead of the mean over batches.

    It does so in the total, too, unless the loss has an attribute `total_from_batches` that is true: then the total
    keeps the mean over batches, with whatever the loss compares a batch with.
    """

    def over_candidates(self, z_context: Tensor, candidates: Tensor, positive: Tensor) -> Tensor:
        """Predictions (V, P), distinct candidates (C, P), index of each prediction's own (V,) to a scalar, without a
        queue."""
        ...


@runtime_checkable
class NeedsInitialisation(Protocol):
    """A component whose state starts from data: called once before step 0, never in `forward`."""

    def initialise(self, sample: Tensor) -> None:
        """`sample`: (K, D) real tokens of training contexts for a quantizer."""
        ...


@runtime_checkable
class HasState(Protocol):
    """A component with state outside the gradient, kept in buffers."""

    def after_step(self, statistics: Statistics) -> None:
        """Apply the merged statistics of one optimizer step, once. The engine undoes it on the device when the vote
        says so; nothing here needs to look at it."""
        ...


@runtime_checkable
class QuantizesTargets(Protocol):
    """A quantizer that meets the target's tokens in a way of their own: they come from weights that lag behind."""

    def of_target(self, values: Tensor, mask: Tensor) -> Quantized:
        """Tokens (B, N, D) and mask (B, N) of the target network, without statistics."""
        ...


@runtime_checkable
class ShowsWeights(Protocol):
    """An aggregator whose weights over time can be shown."""

    def time_weights(self, values: Tensor, mask: Tensor) -> Tensor:
        """(B, T), each row non-negative and summing to one."""
        ...


class Null(Protocol):
    """A method that learns nothing: by a rule, or with a few weights fitted in closed form or by a short search.

    Never by gradient through a network: a run is only worth its training where it beats the strongest of these.
    """

    def fit(self, train: Sequences) -> Mapping[str, float]:
        """Fit what there is to fit on a sample of training sequences, in a second or so; what was found, by name."""
        ...

    def scores(self, context: Observations, candidates: Observations) -> Tensor:
        """How well each candidate goes on from each context (V, T, …): (V, C), higher is better.

        Candidates are (C, …), one list for all, or (V, C, …), each context's own.
        """
        ...


class Observer(Protocol):
    """Is told what a run records, while it goes on. Any of the methods may be missing.

    Called on a thread of its own, in order, one call at a time, with copies of plain data. So it may be slow for a
    moment, and it may raise: the run goes on, and after a few such calls the observer is switched off and an event
    says so. What it must leave alone is torch, whose random state belongs to the training.
    """

    def start(self, run_path: Path, recipe_table: Mapping[str, Any]) -> None:
        """Before the first step: the run directory, and the resolved recipe."""
        ...

    def row(self, row: Mapping[str, float]) -> None:
        """A metrics row, as in metrics.jsonl: figures by name, `step` and `epoch` among them."""
        ...

    def event(self, event: Mapping[str, Any]) -> None:
        """An event, as in events.jsonl: name, severity, message, step, …"""
        ...

    def checkpoint(self, path: Path, step: int) -> None:
        """A checkpoint is written. Later ones replace it: it may be gone when this is called."""
        ...

    def end(self, verdict: Mapping[str, Any] | None) -> None:
        """Training has ended: what verdict.json says; None when there is no verdict. The last call."""
        ...


@dataclass(frozen=True, kw_only=True)
class BenchmarkCase:
    """Work of one size, and ways to do it that are timed beside each other.

    A way takes `inputs`. Where the tensors that it returns, one or a tuple of them, require a gradient, the way back is
    part of the work.
    """

    what: str
    """The size, in a few words."""
    inputs: tuple[Tensor, ...]
    ours: Callable[..., Any]
    """As it is done in training."""
    naive: Callable[..., Any]
    """As one writes it first, in plain torch; timed as it is, and compiled."""
    others: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    """Further ways by name, such as a library's."""
    flop: float = 0.0
    """Floating-point operations of matrix products that no way can spare."""
    num_bytes: float = 0.0
    """Bytes that every way reads and writes."""
    floor: str = ""
    """What these two count, in words; together with what the device reaches they give the least time."""
    items: int = 0
    """How many of `unit` are worked on, for a figure per second; 0 where that says nothing."""
    unit: str = ""
    """In the plural, such as "grids"."""


class ComponentConfig(Protocol):
    """A configuration class: frozen attrs, fields made by `setting`, docstring's first line says what it is."""

    kind: ClassVar[str]
    metrics: ClassVar[tuple[Metric, ...]]

    def build(self, facts: Any) -> Any: ...


@runtime_checkable
class DatasetConfig(ComponentConfig, Protocol):
    """A dataset's configuration."""

    @property
    def space(self) -> type[Space]:
        """The kind of space that it builds observations of: a class variable, or what its settings make of it.

        Raises:
            JepaError: that depends on data which cannot be read.
        """
        ...


@runtime_checkable
class InfersSpace(Protocol):
    """A dataset's configuration that may infer from the data what it holds."""

    def inferred(self) -> tuple[str, ...]:
        """What the data was taken for, then how the recipe says otherwise, a sentence each; none where the recipe says
        it. A recipe that pairs other parts with the data is refused with them.

        Raises:
            JepaError: the data cannot be read.
        """
        ...


@runtime_checkable
class SaysSize(Protocol):
    """A dataset's configuration that knows by itself how much it makes: what no memory holds is refused before."""

    def num_bytes(self) -> int:
        """Of its observations, at the least; what it reads is not opened for that.

        Raises:
            JepaError: that depends on data which is not there.
        """
        ...


def spaces_of(config: Any) -> tuple[type[Space], ...]:
    """The spaces that a component's configuration names in `spaces`; none where it takes any."""
    return tuple(getattr(config, "spaces", ()))
