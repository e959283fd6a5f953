"""The pre-norm transformer block (arXiv 1706.03762, 2002.04745) that encoders and aggregators are made of.

Shapes: B sequences or observations, Q queries, K keys, D dimension, H heads. Knows nothing of positions or time.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_plugins.residual import added, added_and_normalised, normalised
from jepa_plugins.short_attention import is_short, short_attention


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
        keys_BKHd, values_BKHd = (self._heads(part) for part in self.keys_values(memory_BKD).chunk(2, dim=-1))
        queries_BQHd, dropout = self._heads(self.queries(queries_BQD)), self.dropout if self.training else 0.0
        if is_short(queries_BQHd, keys_BKHd):
            mixed_BQHd = short_attention(queries_BQHd, keys_BKHd, values_BKHd, allowed, dropout)
        else:
            mixed_BQHd = F.scaled_dot_product_attention(
                queries_BQHd.transpose(1, 2),
                keys_BKHd.transpose(1, 2),
                values_BKHd.transpose(1, 2),
                # Fused attention on CUDA refuses a mask that is broadcast over keys.
                attn_mask=allowed.expand(*allowed.shape[:-1], memory_BKD.shape[1]).contiguous().unsqueeze(1),
                dropout_p=dropout,
            ).transpose(1, 2)
        mixed: Tensor = self.output(mixed_BQHd.flatten(2))
        return mixed

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
        attended = self.attention(normed_stream, normed_memory, allowed)
        norm, inner, gelu, outer, _ = self.mlp
        assert isinstance(norm, nn.LayerNorm)
        dropout = self.dropout.p if self.training else 0.0
        stream_BQD, normed_stream = added_and_normalised(stream_BQD, attended, dropout, norm)
        return added(stream_BQD, outer(gelu(inner(normed_stream))), dropout)

    def weights(self, stream_BQD: Tensor, memory_BKD: Tensor, allowed: Tensor) -> Tensor:
        """(B, Q, K): the attention weights of this block, averaged over heads, without dropout."""
        return self.attention.weights(self.norm(stream_BQD), self.norm(memory_BKD), allowed)


def check_heads(dim: int, heads: int) -> None:
    """Raise `ValueError` unless the heads share the dimension evenly."""
    if dim % heads != 0:
        raise ValueError(f"heads must divide dim {dim} (got {heads})")
