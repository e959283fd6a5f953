"""VICReg: context near target, every dimension spread, dimensions uncorrelated.

Bardes, Ponce & LeCun, arXiv 2105.04906, with its weights. Variance and covariance terms look at `z_context` alone: the
target has no gradient here, where the paper's two branches both have. They are of all ranks that share the batch.

Shapes: B sequences, P projection dimension.
"""

from __future__ import annotations

from typing import ClassVar

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_core.contracts import Forward, LossTerm
from jepa_core.facts import LossFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting

VARIANCE_EPSILON = 1e-4
"""Added to variances under the root, as in the paper: keeps the gradient finite where a dimension is constant."""


@attrs.frozen(kw_only=True)
class VicregConfig:
    """Context near target, dimensions spread and uncorrelated."""

    kind: ClassVar[str] = "vicreg"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("vicreg.invariance", "mean squared difference of context and target", "lower", minimum=0),
        Metric("vicreg.variance", "mean shortfall of the dimensions' standard deviations", "lower", minimum=0),
        Metric("vicreg.covariance", "sum of squared covariances between dimensions, over P", "lower", minimum=0),
    )

    invariance: float = setting("weight of the squared difference of context and target", default=25.0, at_least=0)
    variance: float = setting("weight of the standard deviations' shortfall", default=25.0, at_least=0)
    covariance: float = setting("weight of the squared covariances between dimensions", default=1.0, at_least=0)
    spread: float = setting("standard deviation that each dimension shall reach", default=1.0, above=0)

    def build(self, facts: LossFacts) -> Vicreg:  # noqa: ARG002  # dimensions are read off the embeddings
        return Vicreg(self)


class Vicreg(nn.Module):
    """The weighted sum of the three terms."""

    def __init__(self, config: VicregConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, forward: Forward) -> LossTerm:
        """`z_context` and `z_target` (B, P), neither scaled to unit length."""
        with torch.autocast(device_type=forward.z_context.device.type, enabled=False):
            z_context, z_target = forward.z_context.float(), forward.z_target.detach().float()
            invariance = F.mse_loss(z_context, z_target)
            covariance_PP = _covariance(forward.crew.gathered(z_context))
            deviation_P = (covariance_PP.diagonal() + VARIANCE_EPSILON).sqrt()
            variance = F.relu(self.config.spread - deviation_P).mean()
            covariance = (covariance_PP.square().sum() - covariance_PP.diagonal().square().sum()) / len(covariance_PP)
            value = (
                self.config.invariance * invariance
                + self.config.variance * variance
                + self.config.covariance * covariance
            )
        return LossTerm(
            value=value,
            figures={
                "vicreg.invariance": invariance.detach(),
                "vicreg.variance": variance.detach(),
                "vicreg.covariance": covariance.detach(),
            },
        )


def _covariance(z_BP: Tensor) -> Tensor:
    """(P, P), unbiased; zeros for a single row."""
    centred = z_BP - z_BP.mean(0)
    return centred.T @ centred / max(len(z_BP) - 1, 1)
