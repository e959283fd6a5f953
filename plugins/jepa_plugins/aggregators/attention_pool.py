"""Attention over the tokens of the whole context, with time positions; the state starts as the last observation.

Cross-attention of few queries over many tokens is the Perceiver's (arXiv 2103.03206). The change from in₁ to out₁ is
looked up by the tokens of in₂, so a rule can be inferred and applied in one pass. Within an observation the order of
tokens does not matter; the order of observations does.

Shapes: B sequences, T context observations, N tokens of each, M = 1 + T·N tokens of the memory, Q queries, D dimension.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal, cast

import attrs
import torch
from torch import Tensor, nn

from jepa_core.errors import RecipeError
from jepa_core.facts import AggregatorFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_plugins.aggregators.masked_mean import masked_mean
from jepa_plugins.transformer import TransformerBlock

Queries = Literal["summary", "last", "all"]

_INITIAL_STEP = 0.01
"""Scale of the output layer at the start: the state is near the last observation, yet every layer has a gradient."""


@attrs.frozen(kw_only=True)
class AttentionPoolConfig:
    """Attention over all tokens of all observations with time positions; starts as the last observation's mean."""

    kind: ClassVar[str] = "attention_pool"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    queries: Queries = setting(
        "what looks at the tokens: a learned summary; also the last observation's tokens; or all (self-attention)",
        default="last",
        choices=("summary", "last", "all"),
    )
    layers: int = setting("attention blocks", default=2, at_least=1)
    heads: int = setting("attention heads; divides the embedding dimension", default=4, at_least=1)
    mlp_ratio: float = setting("width of a block's MLP, relative to the embedding's", default=2.0, above=0)
    dropout: float = setting("dropout in attention and MLP", default=0.0, at_least=0, below=1)

    def build(self, facts: AggregatorFacts) -> AttentionPool:
        if facts.embedding_dim % self.heads != 0:
            raise RecipeError(
                f"aggregator.heads must divide the embedding dimension {facts.embedding_dim} (got {self.heads}). "
                "Change aggregator.heads or the encoder's dimension."
            )
        return AttentionPool(self, facts.embedding_dim, facts.context_length)


class AttentionPool(nn.Module):
    """A learned summary token is always there, so a sequence without any real token has a state too."""

    def __init__(self, config: AttentionPoolConfig, embedding_dim: int, context_length: int) -> None:
        super().__init__()
        self.queries = config.queries
        self.summary = nn.Parameter(torch.randn(embedding_dim).mul_(0.02))
        self.time = nn.Parameter(torch.randn(context_length, embedding_dim).mul_(0.02))
        self.input_norm = nn.LayerNorm(embedding_dim)
        self.blocks = nn.ModuleList(
            TransformerBlock(embedding_dim, heads=config.heads, dropout=config.dropout, mlp_ratio=config.mlp_ratio)
            for _ in range(config.layers)
        )
        self.output_norm = nn.LayerNorm(embedding_dim)
        self.output = nn.Linear(embedding_dim, embedding_dim)
        with torch.no_grad():
            self.output.weight.mul_(_INITIAL_STEP)
            self.output.bias.zero_()

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Tokens (B, T, N, D) and mask (B, T, N) to the state (B, D)."""
        return masked_mean(values[:, -1], mask[:, -1]) + self.change(values, mask)

    def change(self, values: Tensor, mask: Tensor) -> Tensor:
        """(B, D): what attention adds to where the state starts."""
        memory_BMD, real_BM = self._memory(values, mask)
        stream_BQD, seen_BQ = self._stream(memory_BMD, real_BM, values.shape[2])
        for block in self.blocks:
            source_BMD = stream_BQD if self.queries == "all" else memory_BMD
            stream_BQD = block(stream_BQD, source_BMD, real_BM.unsqueeze(1))
        change: Tensor = self.output(self.output_norm(masked_mean(stream_BQD, seen_BQ)))
        return change

    def time_weights(self, values: Tensor, mask: Tensor) -> Tensor:
        """(B, T): attention that reaches each observation's tokens, averaged over blocks and queries, as shares.

        The summary token's own share and the residual from the last observation are left out. Uniform where no token is
        real.
        """
        memory_BMD, real_BM = self._memory(values, mask)
        stream_BQD, seen_BQ = self._stream(memory_BMD, real_BM, values.shape[2])
        reached = []
        for block in cast("Iterable[TransformerBlock]", self.blocks):
            source_BMD = stream_BQD if self.queries == "all" else memory_BMD
            weights_BQM = block.weights(stream_BQD, source_BMD, real_BM.unsqueeze(1))
            reached.append(masked_mean(weights_BQM, seen_BQ))
            stream_BQD = block(stream_BQD, source_BMD, real_BM.unsqueeze(1))
        per_token = torch.stack(reached).mean(0)[:, 1:]
        per_place_BT = per_token.unflatten(1, (values.shape[1], values.shape[2])).sum(-1)
        total = per_place_BT.sum(-1, keepdim=True)
        return torch.where(total > 0, per_place_BT / total.clamp(min=1e-12), 1 / values.shape[1])

    def _memory(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The summary and all tokens with their time positions, (B, M, D), and which are real, (B, M)."""
        tokens = self.input_norm(torch.where(mask.unsqueeze(-1), values, 0)) + self.time.unsqueeze(1)
        summary = self.summary.expand(values.shape[0], 1, -1).to(tokens.dtype)
        always = mask.new_ones(mask.shape[0], 1)
        return torch.cat([summary, tokens.flatten(1, 2)], 1), torch.cat([always, mask.flatten(1)], 1)

    def _stream(self, memory_BMD: Tensor, real_BM: Tensor, num_tokens: int) -> tuple[Tensor, Tensor]:
        """The tokens that ask, (B, Q, D), and those of them that the state is read from, (B, Q)."""
        if self.queries == "summary":
            return memory_BMD[:, :1], real_BM[:, :1]
        read_BM = real_BM.clone()
        read_BM[:, 1:-num_tokens].fill_(False)
        if self.queries == "all":
            return memory_BMD, read_BM
        kept = [memory_BMD[:, :1], memory_BMD[:, -num_tokens:]]
        return torch.cat(kept, 1), torch.cat([read_BM[:, :1], read_BM[:, -num_tokens:]], 1)
