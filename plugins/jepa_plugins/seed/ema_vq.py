"""The seed's codebook: moving averages over every slot of every grid, and a refresh of all codes below a share.

van den Oord, Vinyals & Kavukcuoglu, arXiv 1711.00937, appendix A.1. In contrast to `jepa_plugins.quantizers.ema_vq` the
codes start near zero whatever the tokens are, empty slots count as zero vectors, and dead is whatever has at most
`refresh_below` of all tokens: by default 1 %, where the mean code has 0.13 %, so that a refresh replaces nearly all.

There is one codebook, met at two places. Tokens without a last normalisation drift together, faster than the EMA target
follows: within a hundred steps the target's tokens are farther from the codes than codes from each other, and all go to
the same few. So the target's tokens are compared with where the codes were, averaged as the target network is.

Shapes: M tokens, D embedding dimension, K codes, R candidates for the refresh.
"""

from __future__ import annotations

from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from jepa_core.contracts import Quantized, Statistics
from jepa_core.facts import QuantizerFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_plugins.quantizers.nearest import code_sums, nearest_codes
from jepa_plugins.quantizers.straight_through import straight_through

RECENT = 50
"""Steps over which `vq.recent_usage` looks back: 100 micro-batches in the recipes."""


@attrs.frozen(kw_only=True)
class SeedEmaVqConfig:
    """The codebook of seed_pairs: empty slots count, and a refresh replaces nearly all codes at once."""

    kind: ClassVar[str] = "seed_ema_vq"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("vq.recent_usage", "share of codes chosen within the last 50 steps", unit="%", minimum=0, maximum=1),
    )

    codes: int = setting("codes in the codebook", default=768, at_least=2)
    commitment: float = setting("weight of the pull of tokens towards their codes", default=0.0, at_least=0)
    decay: float = setting(
        "decay of the moving averages per optimizer step; 0.49 is 0.95 in each of 14 calls of the encoder",
        default=0.49,
        at_least=0,
        below=1,
    )
    target_decay: float = setting(
        "decay per step of where the target's tokens meet the codes; as target.ema_decay",
        default=0.99,
        at_least=0,
        below=1,
    )
    epsilon: float = setting("Laplace smoothing of the codes' use, in tokens", default=1e-5, above=0)
    refresh_every: int = setting(
        "steps between refreshes; 210 is 3,000 calls of the encoder, those of validations among them",
        default=210,
        at_least=1,
        unit="steps",
        acts_later=True,
    )
    refresh_below: float = setting(
        "a code with at most this share of all tokens is replaced", default=0.01, at_least=0, at_most=1, acts_later=True
    )
    refresh_at_most: int | None = setting(
        "codes replaced at a time, the least used first; all that are due when not given",
        default=None,
        at_least=0,
        unit="codes",
        acts_later=True,
    )

    def build(self, facts: QuantizerFacts) -> SeedEmaVq:
        return SeedEmaVq(self, facts.embedding_dim)


class SeedEmaVq(nn.Module):
    """Tokens to their nearest codes, with a straight-through gradient."""

    codebook: Tensor
    """(K, D)."""
    codebook_of_target: Tensor
    """(K, D): moving average of the codes' places."""
    last_used: Tensor
    """(K,) int64: the step that a code was last chosen in, −`RECENT` before the first."""
    ema_counts: Tensor
    """(K,): moving average of the slots a step assigns to each code."""
    ema_sums: Tensor
    """(K, D): moving average of the sum of those slots' tokens."""
    num_steps: Tensor
    """Scalar int64: calls of `after_step`."""

    def __init__(self, config: SeedEmaVqConfig, embedding_dim: int) -> None:
        super().__init__()
        self.config = config
        self.num_codes = config.codes
        codebook = (2 * torch.rand(config.codes, embedding_dim) - 1) / config.codes
        self.register_buffer("codebook", codebook)
        self.register_buffer("codebook_of_target", codebook.clone())
        self.register_buffer("last_used", torch.full((config.codes,), -RECENT))
        self.register_buffer("ema_counts", torch.zeros(config.codes))
        self.register_buffer("ema_sums", codebook.clone())
        self.register_buffer("num_steps", torch.zeros((), dtype=torch.int64))

    def forward(self, values: Tensor, mask: Tensor, *, collect: bool) -> Quantized:
        """Values (..., N, D) and mask (..., N)."""
        return self._quantized(values, mask, self.codebook, collect=collect)

    def of_target(self, values: Tensor, mask: Tensor) -> Quantized:
        """Values (..., N, D) and mask (..., N) of the target network."""
        return self._quantized(values, mask, self.codebook_of_target, collect=False)

    def _quantized(self, values: Tensor, mask: Tensor, codebook: Tensor, *, collect: bool) -> Quantized:
        with torch.autocast(device_type=values.device.type, enabled=False):
            tokens_MD = torch.where(mask[..., None], values.detach(), 0.0).flatten(0, -2)
            codes_1M = nearest_codes(tokens_MD[None], codebook[None])
            quantized, error = straight_through(values, mask, codes_1M, codebook[None])
            num_tokens = mask.sum()
            commitment = torch.where(mask, error, 0.0).sum() / num_tokens.clamp(min=1)
        return Quantized(
            values=quantized,
            codes=torch.where(mask, codes_1M.view(mask.shape), -1),
            loss=self.config.commitment * commitment,
            statistics=self._statistics(tokens_MD.float(), codes_1M[0], error.detach().flatten())
            if collect
            else Statistics(),
            figures={"vq.recent_usage": (self.num_steps - self.last_used < RECENT).float().mean()},
            count=num_tokens,
        )

    @torch.no_grad()
    def after_step(self, statistics: Statistics) -> None:
        """Move averages and codes by the slots of one optimizer step; replace codes when it is their turn."""
        self.num_steps.add_(1)
        weight = 1 - self.config.decay
        self.ema_counts.lerp_(statistics.sums["counts"], weight)
        self.ema_sums.lerp_(statistics.sums["sums"], weight)
        total = self.ema_counts.sum()
        epsilon = self.config.epsilon
        smoothed_K = (self.ema_counts + epsilon) * (total / (total + self.num_codes * epsilon))
        self.codebook.copy_(self.ema_sums / smoothed_K[:, None])
        self.last_used.copy_(torch.where(statistics.sums["counts"] > 0, self.num_steps, self.last_used))
        # A plain mean at first: an average that starts at the codes of step 0 would remember them for long.
        self.codebook_of_target.lerp_(self.codebook, (1 / self.num_steps).clamp(min=1 - self.config.target_decay))
        self._refresh(statistics.rows["tokens"], statistics.rows["errors"])

    def _statistics(self, tokens_MD: Tensor, codes_M: Tensor, errors_M: Tensor) -> Statistics:
        """Count and sum of the slots of each code, and the tokens of the largest error."""
        errors_R, chosen_R = errors_M.topk(min(self.num_codes, len(errors_M)))
        counts_1K, sums_1KD = code_sums(tokens_MD[None], codes_M[None], torch.ones_like(errors_M), self.num_codes)
        return Statistics(
            sums={"counts": counts_1K[0], "sums": sums_1KD[0]},
            rows={"tokens": tokens_MD[chosen_R], "errors": errors_R},
        )

    def _refresh(self, tokens_RD: Tensor, errors_R: Tensor) -> None:
        """Move the k-th code that is due onto the token of the k-th largest error, and give it the mean count."""
        candidates_RD = tokens_RD[errors_R.topk(min(self.num_codes, len(errors_R))).indices]
        is_turn = self.num_steps % self.config.refresh_every == 0
        is_due_K = (self.ema_counts <= self.config.refresh_below * self.ema_counts.sum()) & is_turn
        if self.config.refresh_at_most is not None:
            by_use_K = self.ema_counts.argsort(stable=True).argsort()
            is_due_K &= by_use_K < self.config.refresh_at_most
        place_K = is_due_K.cumsum(0) - 1
        is_replaced_K = is_due_K & (place_K < len(candidates_RD))
        tokens_KD = candidates_RD[place_K.clamp(0, len(candidates_RD) - 1)]
        mean_count = self.ema_counts.mean()
        for state, replacement in (
            (self.codebook, tokens_KD),
            (self.codebook_of_target, tokens_KD),
            (self.ema_sums, tokens_KD * mean_count),
        ):
            state.copy_(torch.where(is_replaced_K[:, None], replacement, state))
        self.ema_counts.copy_(torch.where(is_replaced_K, mean_count, self.ema_counts))
