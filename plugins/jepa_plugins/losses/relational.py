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

from typing import ClassVar

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

Measured = tuple[Tensor, Tensor]
"""What observations are compared by, and where there is any."""


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
            measured, difference = (
                (distance_profiles, profile_difference) if self.config.normalized else (distances, paired_difference)
            )
            # Each observation is measured once, whatever it is compared with.
            context = measured(*self._thinned(forward.context_quantized.values, forward.context_embeddings.mask))
            target = measured(*self._thinned(forward.target_tokens.values.detach(), forward.target_tokens.mask))
            to_target = difference(context, _at(target, None), forward.crew)
            to_next = difference(_at(context, slice(None, -1)), _at(context, slice(1, None)), forward.crew)
            value = to_target + self.context_share * to_next
        return LossTerm(value=value, figures={"relational.context": to_next.detach()})

    def _thinned(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """At most `max_tokens` tokens of each observation, float32, zeros where masked."""
        num_tokens = mask.shape[-1]
        if num_tokens > self.config.max_tokens:
            kept = torch.linspace(0, num_tokens - 1, self.config.max_tokens, device=mask.device).long()
            values, mask = values[..., kept, :], mask[..., kept]
        return torch.where(mask[..., None], values.float(), 0.0), mask


def distance_profiles(values: Tensor, mask: Tensor) -> Measured:
    """Quantile functions (..., Q) of d²_ij / mean d² for tokens (..., N, D), zeros where masked; and (...) bool: where
    there is one, of two distinct tokens or more."""
    is_pair = _is_pair(mask).flatten(-2)
    squared = _squared_distances(values, mask).flatten(-2)
    num_pairs = is_pair.sum(-1)
    mean = torch.where(is_pair, squared, 0.0).sum(-1) / num_pairs.clamp(min=1)
    mean_square = values.detach().square().sum((-2, -1)) / mask.sum(-1).clamp(min=1)
    has_profile = mean.detach() > DISTINCT * mean_square
    relative = squared / torch.where(has_profile, mean, 1.0)[..., None]
    ascending = torch.where(is_pair, relative, torch.inf).sort(-1).values
    points = (torch.arange(QUANTILES, device=values.device) + 0.5) / QUANTILES
    profiles = ascending.gather(-1, (points * num_pairs[..., None]).long())
    return torch.where(has_profile[..., None], profiles, 0.0), has_profile


def profile_difference(x: Measured, y: Measured, crew: Crew = ALONE) -> Tensor:
    """Mean Wasserstein-1 distance of profiles, which broadcast; scalar."""
    (x_profiles, x_counts), (y_profiles, y_counts) = x, y
    return _mean_where(x_counts & y_counts, (x_profiles - y_profiles).abs().mean(-1), crew)


def distances(values: Tensor, mask: Tensor) -> Measured:
    """Squared distances (..., N, N) of tokens (..., N, D), zeros where masked; and their mask (..., N)."""
    return _squared_distances(values, mask), mask


def paired_difference(x: Measured, y: Measured, crew: Crew = ALONE) -> Tensor:
    """Mean squared difference of squared distances, objects paired by index; observations broadcast; scalar."""
    (x_distances, x_mask), (y_distances, y_mask) = x, y
    is_pair = _is_pair(x_mask & y_mask)
    difference = (x_distances - y_distances).square()
    num_pairs = is_pair.sum((-2, -1))
    per_observation = torch.where(is_pair, difference, 0.0).sum((-2, -1)) / num_pairs.clamp(min=1)
    return _mean_where(num_pairs > 0, per_observation, crew)


def _at(measured: Measured, times: slice | None) -> Measured:
    """Some of the observations (B, T, ...); None puts a dimension of time where there is none."""
    values, where = measured
    return values[:, times], where[:, times]


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
