"""The pre-norm transformer block (arXiv 1706.03762, 2002.04745) that encoders and aggregators are made of.

Shapes: B sequences or observations, Q queries, K keys, D dimension, H heads. Knows nothing of positions or time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_plugins.activation import activated
from jepa_plugins.residual import added, added_and_normalised, normalised
from jepa_plugins.short_attention import is_short, short_attention, short_self_attention


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention of queries over a memory, or over themselves."""

    def __init__(self, dim: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        assert dim % heads == 0
        self.heads = heads
        self.dropout = dropout
        self.queries = nn.Linear(dim, dim)
        self.keys_values = nn.Linear(dim, 2 * dim)
        self.output = nn.Linear(dim, dim)

    def forward(self, queries_BQD: Tensor, memory_BKD: Tensor, allowed: Tensor) -> Tensor:
        """(B, Q, D). `allowed`, bool, broadcasts to (B, Q, K) and lets every query see at least one key."""
        mixed: Tensor = self.output(self.mixed(queries_BQD, memory_BKD, allowed))
        return mixed

    def mixed(self, queries_BQD: Tensor, memory_BKD: Tensor, allowed: Tensor) -> Tensor:
        """(B, Q, D): what `output` makes the attention's result of."""
        dropout = self.dropout if self.training else 0.0
        is_own, short = memory_BKD is queries_BQD, is_short(queries_BQD, memory_BKD, self.heads)
        if is_own and short:
            # One product, whose gradient is one tensor.
            weight = torch.cat([self.queries.weight, self.keys_values.weight])
            qkv = F.linear(queries_BQD, weight, torch.cat([self.queries.bias, self.keys_values.bias]))
            return short_self_attention(qkv.unflatten(-1, (3, self.heads, -1)), allowed, dropout).flatten(2)
        keys_BKHd, values_BKHd = (self._heads(part) for part in self.keys_values(memory_BKD).chunk(2, dim=-1))
        queries_BQHd = self._heads(self.queries(queries_BQD))
        if short:
            return short_attention(queries_BQHd, keys_BKHd, values_BKHd, allowed, dropout).flatten(2)
        mixed_BHQd = F.scaled_dot_product_attention(
            queries_BQHd.transpose(1, 2),
            keys_BKHd.transpose(1, 2),
            values_BKHd.transpose(1, 2),
            # Fused attention on CUDA refuses a mask that is broadcast over keys.
            attn_mask=allowed.expand(*allowed.shape[:-1], memory_BKD.shape[1]).contiguous().unsqueeze(1),
            dropout_p=dropout,
        )
        return mixed_BHQd.transpose(1, 2).flatten(2)

    def weights(self, queries_BQD: Tensor, memory_BKD: Tensor, allowed: Tensor) -> Tensor:
        """(B, Q, K): what `forward` weighs the memory with, averaged over heads, without dropout."""
        keys_BHKd = self._heads(self.keys_values(memory_BKD).chunk(2, dim=-1)[0]).transpose(1, 2)
        queries_BHQd = self._heads(self.queries(queries_BQD)).transpose(1, 2)
        scores_BHQK = queries_BHQd @ keys_BHKd.transpose(-1, -2) / queries_BHQd.shape[-1] ** 0.5
        possible_BHQK: Tensor = scores_BHQK.float().masked_fill(~allowed.unsqueeze(1), float("-inf"))
        return possible_BHQK.softmax(-1).mean(1)

    def _heads(self, tokens: Tensor) -> Tensor:
        """(B, N, D) to (B, N, H, d)."""
        heads: Tensor = tokens.unflatten(-1, (self.heads, -1))
        return heads


class TransformerBlock(nn.Module):
    """Attention, then an MLP with GELU, each on the normalised stream and added to it.

    `initial_step` scales what both add at the start; a stack of small steps starts near its input (arXiv 2103.17239).
    """

    def __init__(self, dim: int, *, heads: int, dropout: float, mlp_ratio: float, initial_step: float = 1.0) -> None:
        super().__init__()
        hidden_dim = max(1, round(mlp_ratio * dim))
        self.norm = nn.LayerNorm(dim)
        self.attention = MultiHeadAttention(dim, heads=heads, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        output = nn.Linear(hidden_dim, dim)
        self.mlp = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, hidden_dim), nn.GELU(), output, nn.Dropout(dropout))
        with torch.no_grad():
            for parameter in (*self.attention.output.parameters(), *output.parameters()):
                parameter.mul_(initial_step)

    def forward(self, stream_BQD: Tensor, memory_BKD: Tensor, allowed: Tensor) -> Tensor:
        """(B, Q, D). With the stream itself as memory this is self-attention."""
        normed_memory = normalised(memory_BKD, self.norm)
        normed_stream = normed_memory if memory_BKD is stream_BQD else normalised(stream_BQD, self.norm)
        return self.moved(stream_BQD, normed_stream, normed_memory, allowed)[0]

    def moved(
        self,
        stream_BQD: Tensor,
        normed_BQD: Tensor,
        normed_BKD: Tensor,
        allowed: Tensor,
        following: nn.LayerNorm | None = None,
        *,
        is_last: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """The stream after this block, and `following` of it; the stream twice without one.

        Args:
            stream_BQD: the stream as it was.
            normed_BQD: `norm` of it.
            normed_BKD: `norm` of the memory.
            allowed: as `forward` takes it.
            following: normalises what comes out; sum and normal form are one kernel so.
            is_last: nothing multiplies the normal form.
        """
        norm, inner, _, outer, _ = cast("tuple[nn.LayerNorm, nn.Linear, nn.GELU, nn.Linear, nn.Dropout]", self.mlp)
        dropout = self.dropout.p if self.training else 0.0
        mixed_BQD = self.attention.mixed(normed_BQD, normed_BKD, allowed)
        stream_BQD, normed_BQD = added_and_normalised(stream_BQD, mixed_BQD, self.attention.output, dropout, norm)
        hidden = activated(normed_BQD, inner)
        if following is None:
            return (added(stream_BQD, hidden, outer, dropout),) * 2
        return added_and_normalised(stream_BQD, hidden, outer, dropout, following, is_last=is_last)

    def weights(self, stream_BQD: Tensor, memory_BKD: Tensor, allowed: Tensor) -> Tensor:
        """(B, Q, K): the attention weights of this block, averaged over heads, without dropout."""
        return self.attention.weights(self.norm(stream_BQD), self.norm(memory_BKD), allowed)


def self_attended(
    blocks: Iterable[nn.Module], stream_BND: Tensor, allowed: Tensor, norm: nn.LayerNorm | None = None
) -> Tensor:
    """A stream (B, N, D) after blocks of self-attention, and after a last norm, if there is one."""
    stack = [cast("TransformerBlock", block) for block in blocks]
    norms = [*(block.norm for block in stack), norm]
    normed_BND = stream_BND if norms[0] is None else normalised(stream_BND, norms[0])
    for block, following in zip(stack, norms[1:], strict=True):
        stream_BND, normed_BND = block.moved(
            stream_BND, normed_BND, normed_BND, allowed, following, is_last=following is norm
        )
    return normed_BND


def check_heads(dim: int, heads: int) -> None:
    """Raise `ValueError` unless the heads share the dimension evenly."""
    if dim % heads != 0:
        raise ValueError(f"heads must divide dim {dim} (got {heads})")
