"""Nearest codes with counts and sums, and a whole training step of a codebook, beside plain torch.

Shapes: M tokens, K codes, d dimensions; one group. All in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from jepa_core.contracts import BenchmarkCase, Statistics
from jepa_core.facts import BenchmarkFacts, QuantizerFacts
from jepa_core.metrics import Metric
from jepa_plugins.quantizers.ema_vq import EmaVqConfig
from jepa_plugins.quantizers.nearest import code_sums, nearest_codes

ON_CUDA = ((32_768, 384, 768), (262_144, 256, 8_192))
ON_CPU = ((4_096, 128, 768),)
QUICK = ((256, 16, 32),)
"""Tokens, dimensions, codes."""
DECAY = 0.95
COMMITMENT = 0.15

Tensors = tuple[Tensor, ...]


@attrs.frozen(kw_only=True)
class CodebookBenchmark:
    """Nearest code of every token, and a codebook's whole training step."""

    kind: ClassVar[str] = "codebook"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    def build(self, facts: BenchmarkFacts) -> Iterator[BenchmarkCase]:
        """Two cases of each size."""
        sizes = QUICK if facts.is_quick else ON_CUDA if facts.device.startswith("cuda") else ON_CPU
        for size in sizes:
            yield assignment(*size, facts.device)
            yield training_step(*size, facts.device)


def assignment(num_tokens: int, dim: int, num_codes: int, device: str) -> BenchmarkCase:
    """Tokens (M, d) and codebook (K, d) to counts (K,) and sums (K, d) of each code's tokens."""
    tokens_Md, codebook_Kd = (torch.randn(rows, dim, device=device) for rows in (num_tokens, num_codes))
    return BenchmarkCase(
        what=f"{num_tokens:,} tokens × {dim}, {num_codes:,} codes: nearest, counts and sums",
        inputs=(tokens_Md, codebook_Kd),
        ours=_assigned,
        naive=_assigned_plainly,
        flop=2.0 * num_tokens * dim * num_codes,
        floor="the product of tokens and codes",
        items=num_tokens,
        unit="tokens",
    )


def training_step(num_tokens: int, dim: int, num_codes: int, device: str) -> BenchmarkCase:
    """Tokens (M, d) to their codes with a straight-through gradient and commitment, and back; the codebook follows."""
    tokens_Md = torch.randn(num_tokens, dim, device=device, requires_grad=True)
    codebook_Kd = torch.randn(num_codes, dim, device=device)
    return BenchmarkCase(
        what=f"{num_tokens:,} tokens × {dim}, {num_codes:,} codes: a training step, both ways",
        inputs=(tokens_Md, codebook_Kd),
        ours=_our_step(codebook_Kd),
        naive=_plain_step(codebook_Kd),
        flop=2.0 * num_tokens * dim * num_codes,
        floor="the product of tokens and codes",
        items=num_tokens,
        unit="tokens",
    )


def _assigned(tokens_Md: Tensor, codebook_Kd: Tensor) -> Tensors:
    codes_GM = nearest_codes(tokens_Md[None], codebook_Kd[None])
    counts_GK, sums_GKd = code_sums(tokens_Md[None], codes_GM, torch.ones_like(tokens_Md[:, 0]), len(codebook_Kd))
    return counts_GK[0], sums_GKd[0]


def _assigned_plainly(tokens_Md: Tensor, codebook_Kd: Tensor) -> Tensors:
    codes_M = _nearest_plainly(tokens_Md, codebook_Kd)
    counts_K = torch.zeros_like(codebook_Kd[:, 0]).index_add(0, codes_M, torch.ones_like(tokens_Md[:, 0]))
    return counts_K, torch.zeros_like(codebook_Kd).index_add(0, codes_M, tokens_Md)


def _nearest_plainly(tokens_Md: Tensor, codebook_Kd: Tensor) -> Tensor:
    return (tokens_Md @ codebook_Kd.T - codebook_Kd.square().sum(-1) / 2).argmax(-1)


def _our_step(codebook_Kd: Tensor) -> Callable[[Tensor, Tensor], Tensors]:
    num_codes, dim = codebook_Kd.shape
    config = EmaVqConfig(codes=num_codes, decay=DECAY, commitment=COMMITMENT, revive_at_most=0)
    quantizer = config.build(QuantizerFacts(embedding_dim=dim)).to(codebook_Kd.device)
    for state in (quantizer.codebook, quantizer.ema_sums):
        state.copy_(codebook_Kd)

    seen: list[Statistics] = []

    def step(tokens_Md: Tensor, _first_codebook: Tensor) -> Tensors:
        # The way back, which the caller takes, needs the codebook of the way forward: the last call's is done now.
        for statistics in seen:
            quantizer.after_step(statistics)
        mask = torch.ones(1, len(tokens_Md), dtype=torch.bool, device=tokens_Md.device)
        quantized = quantizer(tokens_Md[None], mask, collect=True)
        seen[:] = [quantized.statistics]
        return quantized.values[0], quantized.loss

    return step


def _plain_step(codebook_Kd: Tensor) -> Callable[[Tensor, Tensor], Tensors]:
    codebook_Kd, sums_Kd = codebook_Kd.clone(), codebook_Kd.clone()
    counts_K = torch.ones_like(codebook_Kd[:, 0])

    def step(tokens_Md: Tensor, _first_codebook: Tensor) -> Tensors:
        codes_M = _nearest_plainly(tokens_Md.detach(), codebook_Kd)
        chosen_Md = codebook_Kd[codes_M]
        commitment = COMMITMENT * (tokens_Md - chosen_Md).square().mean()
        with torch.no_grad():
            found = torch.nn.functional.one_hot(codes_M, len(codebook_Kd)).float()
            counts_K.lerp_(found.sum(0), 1 - DECAY)
            sums_Kd.lerp_(found.T @ tokens_Md, 1 - DECAY)
            codebook_Kd.copy_(sums_Kd / counts_K.clamp(min=1e-5)[:, None])
        return tokens_Md + (chosen_Md - tokens_Md).detach(), commitment

    return step
