"""Vector quantization with a codebook that follows its tokens by moving averages.

van den Oord, Vinyals & Kavukcuoglu, "Neural Discrete Representation Learning", arXiv 1711.00937, appendix A.1; Razavi,
van den Oord & Vinyals, arXiv 1906.00446. With several groups: product quantization (Jégou, Douze & Schmid 2011), each
slice of the embedding with a codebook of its own, so that G groups of K codes tell K^G tokens apart.

Shapes: M tokens, D embedding dimension, G groups, d = D / G, K codes in a group's codebook, R candidates for revival.

The codebook is a buffer: `forward` never writes it, and one module serves the online and the target side. Knows
nothing of who calls it, nor of the vote that may undo a step.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs
import torch
from torch import Tensor, nn

from jepa_core.contracts import ALONE, Crew, Quantized, Statistics
from jepa_core.draws import draw_key, keyed_uniform
from jepa_core.errors import RecipeError
from jepa_core.facts import QuantizerFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_plugins.quantizers.k_means import k_means
from jepa_plugins.quantizers.nearest import code_sums, nearest_codes
from jepa_plugins.quantizers.straight_through import straight_through


@attrs.frozen(kw_only=True)
class EmaVqConfig:
    """Nearest code of a codebook that follows its tokens by moving averages."""

    kind: ClassVar[str] = "ema_vq"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    codes: int = setting("codes in a codebook", default=768, at_least=2)
    groups: int = setting("slices of the embedding, each with a codebook of its own", default=1, at_least=1)
    commitment: float = setting("weight of the pull of tokens towards their codes", default=0.15, at_least=0)
    decay: float = setting("decay of the moving averages per optimizer step", default=0.95, at_least=0, below=1)
    epsilon: float = setting("Laplace smoothing of the codes' use, in tokens", default=1e-5, above=0)
    initial: Literal["kmeans++", "data"] = setting(
        "how codes start: k-means of training tokens, or a random draw of them",
        default="kmeans++",
        choices=("kmeans++", "data"),
    )
    revive_every: int = setting(
        "steps between revivals of dead codes", default=20, at_least=1, unit="steps", acts_later=True
    )
    revive_below: float = setting(
        "a code is dead below this share of the mean use of codes", default=0.01, at_least=0, at_most=1, acts_later=True
    )
    revive_at_most: int = setting(
        "dead codes of a codebook revived at a time; 0 revives none",
        default=8,
        at_least=0,
        unit="codes",
        acts_later=True,
    )

    def build(self, facts: QuantizerFacts) -> EmaVq:
        """Raises RecipeError when the groups do not divide the embedding."""
        if facts.embedding_dim % self.groups:
            raise RecipeError(
                f"quantizer.groups = {self.groups} does not divide the encoder's embedding dimension "
                f"{facts.embedding_dim}. Choose a divisor, or another width of the encoder."
            )
        return EmaVq(self, facts.embedding_dim, facts.crew)


class EmaVq(nn.Module):
    """Tokens to their nearest codes, with a straight-through gradient."""

    codebook: Tensor
    """(G, K, d)."""
    ema_counts: Tensor
    """(G, K): moving average of the tokens a step assigns to each code."""
    ema_sums: Tensor
    """(G, K, d): moving average of the sum of those tokens."""
    num_steps: Tensor
    """Scalar int64: calls of `after_step`."""

    def __init__(self, config: EmaVqConfig, embedding_dim: int, crew: Crew = ALONE) -> None:
        super().__init__()
        self.config = config
        self.crew = crew
        self.num_codes = config.groups * config.codes
        codebook = torch.randn(config.groups, config.codes, embedding_dim // config.groups)
        self.register_buffer("codebook", codebook)
        self.register_buffer("ema_counts", torch.ones(config.groups, config.codes))
        self.register_buffer("ema_sums", codebook.clone())
        self.register_buffer("num_steps", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def initialise(self, sample: Tensor) -> None:
        """Start the codebook from real tokens (K, D) of training contexts."""
        rows = self._split(sample.float())
        if self.config.initial == "kmeans++":
            codes, counts = k_means(rows, self.config.codes)
        else:
            chosen = torch.randint(rows.shape[1], self.codebook.shape[:2], device=rows.device)
            codes = rows.gather(1, chosen[..., None].expand_as(self.codebook))
            counts = torch.ones_like(self.ema_counts)
        self.codebook.copy_(codes)
        # A code that starts unused keeps its place until its average has decayed.
        self.ema_counts.copy_(counts.clamp(min=1))
        self.ema_sums.copy_(self.codebook * self.ema_counts[..., None])

    def forward(self, values: Tensor, mask: Tensor, *, collect: bool) -> Quantized:
        """Values (..., N, D) and mask (..., N); codes of group g are numbered from g·K on."""
        with torch.autocast(device_type=values.device.type, enabled=False):
            is_token_M = mask.flatten()
            tokens_GMd = self._split(torch.where(mask[..., None], values.detach(), 0.0).flatten(0, -2))
            nearest_GM = nearest_codes(tokens_GMd, self.codebook)
            quantized, error = straight_through(values, mask, nearest_GM, self.codebook)
            error_M = torch.where(mask, error, 0.0).flatten()
            num_tokens = is_token_M.sum()
            commitment = error_M.sum() / num_tokens.clamp(min=1)
        codes_MG = torch.where(is_token_M[:, None], (nearest_GM + self._first_codes()).T, -1)
        return Quantized(
            values=quantized,
            codes=codes_MG.view(mask.shape if self.config.groups == 1 else (*mask.shape, -1)),
            loss=self.config.commitment * commitment,
            statistics=self._statistics(tokens_GMd.float(), nearest_GM, is_token_M, error_M.detach())
            if collect
            else Statistics(),
            count=num_tokens,
        )

    @torch.no_grad()
    def after_step(self, statistics: Statistics) -> None:
        """Move averages and codes by the tokens of one optimizer step; revive dead codes when it is their turn."""
        self.num_steps.add_(1)
        weight = 1 - self.config.decay
        self.ema_counts.lerp_(statistics.sums["counts"].view_as(self.ema_counts), weight)
        self.ema_sums.lerp_(statistics.sums["sums"].view_as(self.ema_sums), weight)
        self.codebook.copy_(self.ema_sums / self._smoothed_counts()[..., None])
        self._revive(statistics.rows["tokens"], statistics.rows["keys"])

    def _split(self, tokens_MD: Tensor) -> Tensor:
        """(M, D) to (G, M, d)."""
        num_groups, _, group_dim = self.codebook.shape
        return tokens_MD.reshape(-1, num_groups, group_dim).transpose(0, 1)

    def _first_codes(self) -> Tensor:
        """(G, 1): the number of each group's first code."""
        return torch.arange(0, self.num_codes, self.config.codes, device=self.codebook.device)[:, None]

    def _smoothed_counts(self) -> Tensor:
        """(G, K): use of codes with `epsilon` added to each, scaled to the same total."""
        total = self.ema_counts.sum(1, keepdim=True)
        epsilon = self.config.epsilon
        return (self.ema_counts + epsilon) * (total / (total + self.config.codes * epsilon))

    def _statistics(self, tokens_GMd: Tensor, nearest_GM: Tensor, is_token_M: Tensor, error_M: Tensor) -> Statistics:
        """Count and sum of the tokens of each code, and candidates for revival."""
        # Masked tokens are zeros by now, and add nothing.
        counts_GK, sums_GKd = code_sums(tokens_GMd, nearest_GM, is_token_M.float(), self.config.codes)
        return Statistics(
            sums={"counts": counts_GK.flatten(), "sums": sums_GKd.flatten(0, 1)},
            rows=self._candidates(tokens_GMd, error_M),
        )

    def _candidates(self, tokens_GMd: Tensor, error_M: Tensor) -> dict[str, Tensor]:
        """Tokens drawn without replacement in proportion to their squared error, as k-means++ draws its seeds.

        The draw takes the largest of log(error) + Gumbel noise (Efraimidis & Spirakis 2006), so the largest of
        several micro-batches' and ranks' keys are a draw from all their tokens. Masked and exactly met tokens have key
        −∞.
        """
        if self.config.revive_at_most == 0:
            return {"tokens": tokens_GMd[:, :0].transpose(0, 1).flatten(1), "keys": error_M[:0]}
        num_candidates = min(self.config.revive_at_most, len(error_M))
        draw, first = self.crew.shared(draw_key(error_M.device)), self.crew.rank * len(error_M)
        gumbel_M = -(-keyed_uniform(draw, len(error_M), first=first).log()).log()
        keys_R, chosen_R = (error_M.log() + gumbel_M).topk(num_candidates)
        return {"tokens": tokens_GMd[:, chosen_R].transpose(0, 1).flatten(1), "keys": keys_R}

    def _revive(self, tokens_RD: Tensor, keys_R: Tensor) -> None:
        """Move the least used dead codes onto candidates, and give them mean use to prove themselves with."""
        num = min(self.config.revive_at_most, self.config.codes, len(keys_R))
        keys_r, chosen_r = keys_R.topk(num)
        candidates_Grd = self._split(tokens_RD[chosen_r])
        mean_G1 = self.ema_counts.mean(1, keepdim=True)
        counts_Gr, codes_Gr = self.ema_counts.topk(num, dim=1, largest=False)
        is_due = self.num_steps % self.config.revive_every == 0
        is_revived_Gr = (counts_Gr < self.config.revive_below * mean_G1) & keys_r.isfinite() & is_due
        index_Grd = codes_Gr[..., None].expand_as(candidates_Grd)
        for state, revived_Grd in (
            (self.codebook, candidates_Grd),
            (self.ema_sums, candidates_Grd * mean_G1[..., None]),
        ):
            kept_Grd = state.gather(1, index_Grd)
            state.scatter_(1, index_Grd, torch.where(is_revived_Gr[..., None], revived_Grd, kept_Grd))
        self.ema_counts.scatter_(1, codes_Gr, torch.where(is_revived_Gr, mean_G1, counts_Gr))
