"""Attention over a handful of tokens, forward and backward, beside plain torch and torch's fused attention.

Shapes: B sequences, N tokens, H heads, d dimension of a head.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.contracts import BenchmarkCase
from jepa_core.facts import BenchmarkFacts
from jepa_core.metrics import Metric
from jepa_plugins.short_attention import is_short, short_self_attention

ON_CUDA = (
    (2_048, 16, 6, 64, 0.1),
    (8_192, 16, 6, 64, 0.1),
    (8_192, 16, 6, 64, 0.0),
    (8_192, 32, 6, 64, 0.1),
    (4_096, 48, 6, 64, 0.1),
)
ON_CPU = ((256, 16, 6, 64, 0.1),)
QUICK = ((8, 16, 2, 8, 0.0),)
"""Sequences, tokens, heads, dimension of a head, dropout."""
_TENSORS = 11
"""Forward reads queries, keys and values and writes the output; the way back reads these three and the output's
gradient, and writes three gradients."""


@attrs.frozen(kw_only=True)
class AttentionBenchmark:
    """Attention over a handful of tokens with a mask for each sequence, forward and backward."""

    kind: ClassVar[str] = "attention"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    def build(self, facts: BenchmarkFacts) -> Iterator[BenchmarkCase]:
        """A case of each size, in bf16 on CUDA and in fp32 elsewhere."""
        sizes = QUICK if facts.is_quick else ON_CUDA if facts.device.startswith("cuda") else ON_CPU
        return (attention(*size, facts.device) for size in sizes)


def attention(sequences: int, tokens: int, heads: int, dim: int, dropout: float, device: str) -> BenchmarkCase:  # noqa: PLR0917  # the sizes in the order of the tables above
    """From queries, keys and values in one tensor (B, N, 3, H, d), with seven keys of ten allowed."""
    dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
    qkv = torch.randn(sequences, tokens, 3, heads, dim, device=device, dtype=dtype)
    allowed = torch.rand(sequences, tokens, tokens, device=device) < 0.7
    allowed[..., 0] = True

    def as_built_in(qkv: Tensor, allowed: Tensor) -> Tensor:
        if is_short(qkv, qkv, 3 * heads):
            return short_self_attention(qkv, allowed, dropout)
        return fused(qkv, allowed)

    def plainly(qkv: Tensor, allowed: Tensor) -> Tensor:
        queries, keys, values = qkv.transpose(1, 3).unbind(2)
        scores = queries @ keys.transpose(-1, -2) / dim**0.5
        weights = scores.masked_fill(~allowed[:, None], -torch.inf).softmax(-1)
        return (F.dropout(weights, dropout) @ values).transpose(1, 2)

    def fused(qkv: Tensor, allowed: Tensor) -> Tensor:
        queries, keys, values = qkv.transpose(1, 3).unbind(2)
        mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=allowed[:, None], dropout_p=dropout)
        return mixed.transpose(1, 2)

    return BenchmarkCase(
        what=f"{sequences:,} × {tokens} tokens × {heads} heads × {dim}, dropout {dropout:g}, both ways",
        inputs=(qkv.requires_grad_(), allowed),
        ours=as_built_in,
        naive=plainly,
        others={"torch's fused attention": fused},
        num_bytes=_TENSORS * qkv.numel() / 3 * qkv.element_size(),
        floor="queries, keys, values, output and their gradients, each read and written once a way",
        items=sequences,
        unit="sequences",
    )
