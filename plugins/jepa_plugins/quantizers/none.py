"""No quantizer: embeddings pass through unchanged. The reference that discrete codes are judged against."""

from __future__ import annotations

from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from jepa_core.contracts import Quantized, Statistics
from jepa_core.facts import QuantizerFacts
from jepa_core.metrics import Metric


@attrs.frozen(kw_only=True)
class NoneConfig:
    """Continuous embeddings, without a codebook."""

    kind: ClassVar[str] = "none"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    def build(self, facts: QuantizerFacts) -> NoQuantizer:  # noqa: ARG002  # every dimension passes through
        return NoQuantizer()


class NoQuantizer(nn.Module):
    """The identity on real tokens, zeros where masked."""

    num_codes = 0

    def forward(self, values: Tensor, mask: Tensor, *, collect: bool) -> Quantized:  # noqa: ARG002  # nothing to collect
        """Values (..., N, D) and mask (..., N); no codes, no loss, no statistics."""
        return Quantized(
            values=torch.where(mask[..., None], values, 0.0),
            codes=None,
            loss=torch.zeros((), device=values.device),
            statistics=Statistics(),
        )
