"""Deep sets (Zaheer et al., arXiv 1703.06114; PointNet, arXiv 1612.00593) with attention as the pooling (Ilse et al.,
arXiv 1802.04712): every point goes through one network, then a few learned queries look at all of them.

The network begins with sines of random waves through space, which read places finely (arXiv 2006.10739, 2006.09661).

The order of the points has no influence, and neither have places without one.

Shapes: M sets of N points, K tokens, D dimension, F width for each point.
"""

from __future__ import annotations

import math
from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from jepa_core.contracts import Embeddings, Observations, Space
from jepa_core.facts import EncoderFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_points.space import PointSpace


@attrs.frozen(kw_only=True)
class PointEncoderConfig:
    """A network for each point, then learned queries that look at all of them, each a token."""

    kind: ClassVar[str] = "point_encoder"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (PointSpace,)

    dim: int = setting("embedding dimension", default=128, at_least=1)
    tokens: int = setting("learned queries; each gives a token", default=4, at_least=1)
    layers: int = setting("residual layers for each point", default=1, at_least=0)
    width: int = setting("width of what each point goes through, and number of waves", default=64, at_least=1)
    frequency: float = setting(
        "standard deviation of the waves' frequencies at the start: finer places at higher ones",
        default=1.5,
        above=0,
        unit="radians for each unit of length",
    )

    def build(self, facts: EncoderFacts) -> PointEncoder:  # noqa: ARG002  # the same for sets of every size
        return PointEncoder(self)


class PointEncoder(nn.Module):
    """Points of a set to tokens; a set without points has no real token."""

    def __init__(self, config: PointEncoderConfig) -> None:
        super().__init__()
        self.embedding_dim, self.num_tokens = config.dim, config.tokens
        self.waves = nn.Linear(3, config.width)
        nn.init.normal_(self.waves.weight, std=config.frequency)
        nn.init.uniform_(self.waves.bias, -math.pi, math.pi)
        self.embed = nn.Linear(config.width + 3, config.width)
        self.layers = nn.ModuleList(_residual(config.width) for _ in range(config.layers))
        # A query is a constant, so query · key is linear in the point, and a value may be mapped after the mean.
        self.logits = nn.Linear(config.width, config.tokens)
        self.values = nn.Linear(config.width, config.dim)
        self.change = _residual(config.dim)
        self.norm = nn.LayerNorm(config.dim)

    def forward(self, observations: Observations) -> Embeddings:
        """Observations `points` (M, N, 3) and `mask` (M, N) to tokens (M, K, D), zeros where masked."""
        mask_MN = observations["mask"]
        points_MN3 = torch.where(mask_MN.unsqueeze(-1), observations["points"], 0.0)
        stream_MNF: Tensor = self.embed(torch.cat([self._phases(points_MN3).sin(), points_MN3], -1))
        for layer in self.layers:
            stream_MNF = stream_MNF + layer(stream_MNF)
        pooled_MKD = self.values(self._attention(stream_MNF, mask_MN) @ stream_MNF)
        tokens_MKD: Tensor = self.norm(pooled_MKD + self.change(pooled_MKD))
        real_MK = mask_MN.any(1, keepdim=True).expand(-1, self.num_tokens)
        return Embeddings(torch.where(real_MK.unsqueeze(-1), tokens_MKD, 0.0), real_MK)

    def _phases(self, points_MN3: Tensor) -> Tensor:
        """(M, N, F) in float32: bfloat16 has steps of 0.03 radians from 4 on, and float16 no large ones."""
        with torch.autocast(device_type=points_MN3.device.type, enabled=False):
            phases: Tensor = self.waves(points_MN3.float())
            return phases

    def _attention(self, stream_MNF: Tensor, mask_MN: Tensor) -> Tensor:
        """(M, K, N): how much each query looks at each point; nothing at places without one."""
        logits_MKN = self.logits(stream_MNF).float().mT
        # A softmax over nothing is NaN: of a set without points all places are looked at, and its tokens are masked.
        seen_MN = mask_MN | ~mask_MN.any(1, keepdim=True)
        weights_MKN: Tensor = logits_MKN.masked_fill(~seen_MN.unsqueeze(1), -torch.inf).softmax(-1)
        return weights_MKN.to(stream_MNF.dtype)


def _residual(dim: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
