"""Relational: the target observation's objects shall lie to each other as the context observations' objects do.

Relational knowledge distillation (Park et al., arXiv 1904.05068) compares distances between embeddings instead of the
embeddings. With d²_ij the squared distance of an observation's quantized tokens i and j, two observations X and Y
differ by

    normalized      ∫ |q_X(u) − q_Y(u)| du, with q the quantile function of d²_ij / mean d² over the pairs i < j:
                    the Wasserstein-1 distance, within 0 … 2 whatever the scale, order and number of objects;
    not normalized  the mean of (d²_X,ij − d²_Y,ij)² over pairs whose tokens are real in both: grows with the fourth
                    power of the scale, and takes objects of one index to be the same object.

The objective gains `weight` times the mean over all context observations against the target, and
`context_self_weight` times the mean over consecutive context observations: two weights side by side. Without its weight
the value is that sum over `weight`. Observations with fewer than two distinct objects count in neither; of the others
ranks that share a batch may have different numbers, and the mean is over those of all.

Shapes: B sequences, T context observations, N tokens, D embedding dimension, Q points of a quantile function.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeVar

import attrs
import torch
from torch import Tensor, nn

from jepa_core.contracts import ALONE, Crew, Forward, LossTerm
from jepa_core.facts import LossFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting

QUANTILES = 64
"""Points at which quantile functions are compared."""

DISTINCT = 1e-8
"""Tokens whose mean squared distance is below this share of their mean square are one point: rounding, not geometry."""

_Index = tuple[slice | None, ...]


@attrs.frozen(kw_only=True)
class RelationalConfig:
    """Distances among objects that stay alike from observation to observation."""

    kind: ClassVar[str] = "relational"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("relational.context", "relational difference of consecutive context observations", "lower", minimum=0),
    )

    normalized: bool = setting("compare distances whatever their scale and the order of objects", default=True)
    context_self_weight: float = setting(
        "factor of consecutive context observations in the objective, where `weight` is that of context against target",
        default=0.25,
        at_least=0,
    )
    max_tokens: int = setting(
        "tokens of an observation that are compared, evenly spaced where it has more: the cost grows with the square",
        default=32,
        at_least=2,
    )

    def build(self, facts: LossFacts) -> Relational:
        return Relational(self, self.context_self_weight / facts.weight if facts.weight else 0.0)


class Relational(nn.Module):
    """Compares the geometry of observations, with a gradient through the context observations."""

    def __init__(self, config: RelationalConfig, context_share: float) -> None:
        super().__init__()
        self.config = config
        self.context_share = context_share

    def forward(self, forward: Forward) -> LossTerm:
        """Quantized context tokens (B, T, N, D) against each other and against target tokens (B, N, D)."""
        with torch.autocast(device_type=forward.z_context.device.type, enabled=False):
            if self.config.normalized:
                to_target, to_next = self._differences(Profiles, forward)
            else:
                to_target, to_next = self._differences(PairedDistances, forward)
            value = to_target + self.context_share * to_next
        return LossTerm(value=value, figures={"relational.context": to_next.detach()})

    def _differences(self, kind: type[_Geometry], forward: Forward) -> tuple[Tensor, Tensor]:
        """Of context observations from the target, and of consecutive ones. Each observation is measured once."""
        context = kind.of(*self._thinned(forward.context_quantized.values, forward.context_embeddings.mask))
        target = kind.of(*self._thinned(forward.target_tokens.values.detach(), forward.target_tokens.mask))
        to_target = context.difference(target[:, None], forward.crew)
        return to_target, context[:, :-1].difference(context[:, 1:], forward.crew)

    def _thinned(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """At most `max_tokens` tokens of each observation, float32, zeros where masked."""
        num_tokens = mask.shape[-1]
        if num_tokens > self.config.max_tokens:
            kept = torch.linspace(0, num_tokens - 1, self.config.max_tokens, device=mask.device).long()
            values, mask = values[..., kept, :], mask[..., kept]
        return torch.where(mask[..., None], values.float(), 0.0), mask


@dataclass(frozen=True)
class Profiles:
    """Quantile functions of the relative squared distances within observations (...)."""

    values: Tensor
    """(..., Q), of d²_ij / mean d²; zeros where there are none."""
    counts: Tensor
    """(...) bool: whether there are two distinct tokens."""

    @classmethod
    def of(cls, values: Tensor, mask: Tensor) -> Profiles:
        """Of tokens (..., N, D), zeros where masked."""
        is_pair = _is_pair(mask).flatten(-2)
        distances = _squared_distances(values, mask).flatten(-2)
        num_pairs = is_pair.sum(-1)
        mean = torch.where(is_pair, distances, 0.0).sum(-1) / num_pairs.clamp(min=1)
        mean_square = values.detach().square().sum((-2, -1)) / mask.sum(-1).clamp(min=1)
        counts = mean.detach() > DISTINCT * mean_square
        relative = distances / torch.where(counts, mean, 1.0)[..., None]
        ascending = torch.where(is_pair, relative, torch.inf).sort(-1).values
        points = (torch.arange(QUANTILES, device=values.device) + 0.5) / QUANTILES
        profiles = ascending.gather(-1, (points * num_pairs[..., None]).long())
        return cls(torch.where(counts[..., None], profiles, 0.0), counts)

    def __getitem__(self, observations: _Index) -> Profiles:
        return Profiles(self.values[observations], self.counts[observations])

    def difference(self, other: Profiles, crew: Crew = ALONE) -> Tensor:
        """Mean Wasserstein-1 distance from others, which broadcast; scalar."""
        return _mean_where(self.counts & other.counts, (self.values - other.values).abs().mean(-1), crew)


@dataclass(frozen=True)
class PairedDistances:
    """Squared distances within observations (...), of objects that are known by their index."""

    values: Tensor
    """(..., N, N)"""
    mask: Tensor
    """(..., N) bool: tokens that are real."""

    @classmethod
    def of(cls, values: Tensor, mask: Tensor) -> PairedDistances:
        """Of tokens (..., N, D), zeros where masked."""
        return cls(_squared_distances(values, mask), mask)

    def __getitem__(self, observations: _Index) -> PairedDistances:
        return PairedDistances(self.values[observations], self.mask[observations])

    def difference(self, other: PairedDistances, crew: Crew = ALONE) -> Tensor:
        """Mean squared difference from others', which broadcast, over pairs that are real in both; scalar."""
        is_pair = _is_pair(self.mask & other.mask)
        difference = (self.values - other.values).square()
        num_pairs = is_pair.sum((-2, -1))
        per_observation = torch.where(is_pair, difference, 0.0).sum((-2, -1)) / num_pairs.clamp(min=1)
        return _mean_where(num_pairs > 0, per_observation, crew)


_Geometry = TypeVar("_Geometry", Profiles, PairedDistances)


def _squared_distances(values: Tensor, mask: Tensor) -> Tensor:
    """(..., N, N), through the Gram matrix of the centred tokens: centring keeps its rounding small."""
    mean = values.sum(-2, keepdim=True) / mask.sum(-1).clamp(min=1)[..., None, None]
    centred = values - mean
    gram = centred @ centred.transpose(-2, -1)
    squares = gram.diagonal(dim1=-2, dim2=-1)
    return (squares[..., :, None] + squares[..., None, :] - 2 * gram).clamp(min=0)


def _is_pair(mask: Tensor) -> Tensor:
    """(..., N, N) bool: i < j, and both tokens real."""
    return (mask[..., :, None] & mask[..., None, :]).triu(1)


def _mean_where(counts: Tensor, values: Tensor, crew: Crew) -> Tensor:
    """This rank's part of the mean of all values that count; zero, with a gradient of zero, when none does."""
    return crew.share(torch.where(counts, values, 0.0).sum(), counts.sum())
