"""What the input becomes as the demonstrations did: in₂ + (out₁ − in₁), and a learned change on top.

Vector offsets as analogies are word2vec's (Mikolov et al., arXiv 1301.3781) and, between images, those of visual
analogy making (Reed et al., 2015). In-pairs and out-pairs are read from the roles of the context's places, so any
number of demonstrations will do; their mean counts. What is learned: for each dimension how much of the analogy, of the
question, of the outputs and of the inputs the state holds, and a further change. Both start near zero and are read by
a transformer from all observations at once.

With `blocks` > 1 the embedding is that many parts of equal width that mean the same of different things, such as
colours: the same weights treat every block, and attention goes between blocks.

Shapes: B sequences, T context observations, N tokens of an observation, D embedding dimension, G blocks, K = D / G.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from jepa_core.errors import RecipeError
from jepa_core.facts import AggregatorFacts, Role
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_plugins.aggregators.masked_mean import masked_mean
from jepa_plugins.transformer import TransformerBlock, check_heads

_INITIAL_STEP = 0.01
"""Scale of the output layers at the start: the state is near the analogy, yet every layer has a gradient."""

_NUM_SOURCES = 4
"""The analogy, the question, the mean output, the mean input."""


@attrs.frozen(kw_only=True)
class AnalogyConfig:
    """Last observation + mean of (output − input) of the demonstrations, with learned gates and a learned change."""

    kind: ClassVar[str] = "analogy"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    blocks: int = setting(
        "equal parts of the embedding that the same weights treat, such as the 10 of the encoder colour_blocks",
        default=1,
        at_least=1,
    )
    dim: int = setting("width of the transformer that reads the context", default=128, at_least=1)
    layers: int = setting("transformer layers; 0 leaves the plain analogy", default=2, at_least=0)
    heads: int = setting("attention heads; divides dim", default=4, at_least=1)
    dropout: float = setting("dropout in attention and MLP", default=0.0, at_least=0, below=1)

    def __attrs_post_init__(self) -> None:
        check_heads(self.dim, self.heads)

    def build(self, facts: AggregatorFacts) -> Analogy:
        if facts.embedding_dim % self.blocks != 0:
            raise RecipeError(
                f"aggregator.blocks must divide the embedding dimension {facts.embedding_dim} (got {self.blocks}). "
                "Set it to the encoder's number of blocks (10 for colour_blocks), or to 1."
            )
        return Analogy(self, facts)


class Analogy(nn.Module):
    """Without a demonstration in the context the analogy is the last observation."""

    def __init__(self, config: AnalogyConfig, facts: AggregatorFacts) -> None:
        super().__init__()
        self.num_blocks = config.blocks
        self.inputs, self.outputs = demonstrations(facts.roles, facts.context_length)
        block_dim = facts.embedding_dim // config.blocks
        num_described = facts.context_length + 3
        self.input_norm = nn.LayerNorm(num_described * block_dim)
        self.input = nn.Linear(num_described * block_dim, config.dim)
        self.layers = nn.ModuleList(_layer(config) for _ in range(config.layers))
        self.output_norm = nn.LayerNorm(config.dim)
        self.output = nn.Linear(config.dim, (_NUM_SOURCES + 1) * block_dim)
        with torch.no_grad():
            self.output.weight.mul_(_INITIAL_STEP)
            self.output.bias.zero_()

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Tokens (B, T, N, D) and mask (B, T, N) to the state (B, D)."""
        grids_BTGK = masked_mean(values, mask).unflatten(-1, (self.num_blocks, -1))
        analogy, question, mean_output, mean_input, disagreement = self._sources(grids_BTGK)
        if not self.layers:
            return analogy.flatten(1)

        described = [*grids_BTGK.unbind(1), analogy, question - mean_input, disagreement]
        stream_BGd = self.input(self.input_norm(torch.cat(described, -1)))
        for layer in self.layers:
            stream_BGd = layer(stream_BGd)
        *gates, change = self.output(self.output_norm(stream_BGd)).chunk(_NUM_SOURCES + 1, dim=-1)
        sources = (analogy, question, mean_output, mean_input)
        gated = sum((gate * source for gate, source in zip(gates, sources, strict=True)), analogy)
        # The change is of the length of an embedding with entries near one, spread over the blocks.
        state: Tensor = (gated + change * self.num_blocks**-0.5).flatten(1)
        return state

    def _sources(self, grids_BTGK: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """(B, G, K) each: analogy, question, mean output, mean input, and how far first and last change differ."""
        question = grids_BTGK[:, -1]
        if not self.inputs:
            nothing = torch.zeros_like(question)
            return question, question, nothing, nothing, nothing
        inputs = torch.stack([grids_BTGK[:, place] for place in self.inputs], 1)
        outputs = torch.stack([grids_BTGK[:, place] for place in self.outputs], 1)
        changes = outputs - inputs
        disagreement = changes[:, 0] - changes[:, -1]
        mean_output, mean_input = outputs.mean(1), inputs.mean(1)
        return question + changes.mean(1), question, mean_output, mean_input, disagreement


class AmongBlocks(nn.Module):
    """A transformer block whose stream is its own memory, all of it visible."""

    def __init__(self, config: AnalogyConfig) -> None:
        super().__init__()
        self.block = TransformerBlock(config.dim, heads=config.heads, dropout=config.dropout, mlp_ratio=2.0)

    def forward(self, stream_BGd: Tensor) -> Tensor:
        changed: Tensor = self.block(stream_BGd, stream_BGd, stream_BGd.new_ones(1, 1, 1, dtype=torch.bool))
        return changed


class ResidualMlp(nn.Module):
    """The same without attention, which has nothing to choose from in an embedding that is one block."""

    def __init__(self, config: AnalogyConfig) -> None:
        super().__init__()
        hidden = [nn.Linear(config.dim, 2 * config.dim), nn.GELU(), nn.Linear(2 * config.dim, config.dim)]
        self.change = nn.Sequential(nn.LayerNorm(config.dim), *hidden, nn.Dropout(config.dropout))

    def forward(self, stream_BGd: Tensor) -> Tensor:
        changed: Tensor = stream_BGd + self.change(stream_BGd)
        return changed


def _layer(config: AnalogyConfig) -> nn.Module:
    return AmongBlocks(config) if config.blocks > 1 else ResidualMlp(config)


def demonstrations(roles: Sequence[Role], context_length: int) -> tuple[list[int], list[int]]:
    """Places of the context's inputs and of the outputs that follow them at once; none where places have no roles."""
    context = list(roles[:context_length])
    inputs = [place for place, pair in enumerate(pairwise(context)) if pair == ("input", "output")]
    return inputs, [place + 1 for place in inputs]
