"""SIGReg: embeddings shall look like an isotropic Gaussian in every direction.

Balestriero & LeCun, "LeJEPA", arXiv 2511.08544: along random unit directions, the Epps–Pulley statistic of the
projected embeddings x_1 … x_n against a standard normal,

    n ∫ |(1/n) Σ exp(i t x_j) − exp(−t²/2)|² exp(−t²/2) dt,

by the trapezoidal rule over −5 … 5, averaged over the directions. Embeddings keep their length: on unit-length vectors
the statistic is nearly constant and teaches nothing. Looks at `z_context` alone, since the target has no gradient. Of
ranks that share a batch the n are all embeddings, and the directions are one draw.
"""

from __future__ import annotations

from typing import ClassVar

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_core.contracts import ALONE, Crew, Forward, LossTerm
from jepa_core.draws import draw_key, keyed_normal
from jepa_core.facts import LossFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting

REACH = 5.0
"""The integral runs from −REACH to REACH; beyond it the weight is below 4e-6."""


@attrs.frozen(kw_only=True)
class SigregConfig:
    """Embeddings like an isotropic Gaussian, along random directions."""

    kind: ClassVar[str] = "sigreg"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    slices: int = setting("random directions of each step", default=1024, at_least=1)
    points: int = setting("points of the integral, odd", default=17, at_least=3)

    def __attrs_post_init__(self) -> None:
        if self.points % 2 == 0:
            raise ValueError(f"points must be odd, so that 0 is among them (got {self.points})")

    def build(self, facts: LossFacts) -> Sigreg:  # noqa: ARG002  # dimensions are read off the embeddings
        return Sigreg(self)


class Sigreg(nn.Module):
    """The Epps–Pulley statistic, mean over random directions."""

    def __init__(self, config: SigregConfig) -> None:
        super().__init__()
        self.slices = config.slices
        self.points = config.points

    def forward(self, forward: Forward) -> LossTerm:
        """`z_context` (B, P) at its own length."""
        with torch.autocast(device_type=forward.z_context.device.type, enabled=False):
            z = forward.z_context.float()
            directions_PS = random_directions(z.shape[1], self.slices, forward.crew, z.device)
            return LossTerm(value=epps_pulley(z @ directions_PS, self.points, forward.crew).mean())


def random_directions(dim: int, num: int, crew: Crew, device: torch.device) -> Tensor:
    """(P, S): columns of unit length, the same on all ranks whatever else each has drawn."""
    key = crew.shared(draw_key(device))
    return F.normalize(keyed_normal(key, dim * num).view(dim, num), dim=0)


def epps_pulley(samples: Tensor, points: int, crew: Crew = ALONE) -> Tensor:
    """(S,): statistic of each column of all ranks' samples, of which (n, S) are here, against a standard normal.

    The integrand is even, so only t ≥ 0 is computed and counts twice.
    """
    t = torch.linspace(0.0, REACH, points // 2 + 1, device=samples.device)
    normal = (-t.square() / 2).exp()
    step = REACH / (points // 2)
    weight = torch.full_like(t, 2 * step)
    # The trapezoid's end at REACH has half weight; so has t = 0 in each half of the line.
    weight[0].fill_(step)
    weight[-1].fill_(step)
    angles_nSt = samples[..., None] * t
    real, imaginary = crew.mean(torch.stack([angles_nSt.cos().mean(0), angles_nSt.sin().mean(0)])).unbind()
    difference_St = (real - normal).square() + imaginary.square()
    return crew.size * len(samples) * (difference_St * normal * weight).sum(-1)
