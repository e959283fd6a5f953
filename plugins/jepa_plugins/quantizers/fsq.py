"""Finite scalar quantization: a few bounded dimensions, each rounded to a few levels. No codebook is learned.

Mentzer, Minnen, Agustsson & Tschannen, "Finite Scalar Quantization: VQ-VAE Made Simple", arXiv 2309.15505.

Shapes: D embedding dimension, G groups side by side, L dimensions in a group, one for each entry of `levels`.
"""

from __future__ import annotations

import math
from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from jepa_core.contracts import Quantized, Statistics
from jepa_core.facts import QuantizerFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting

SLACK = 1e-3
"""Share by which the bound exceeds the outermost levels, so that these are reached at a finite input."""


@attrs.frozen(kw_only=True)
class FsqConfig:
    """A few bounded dimensions, each rounded to a few levels."""

    kind: ClassVar[str] = "fsq"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    levels: tuple[int, ...] = setting(
        "levels of each dimension; their product is the number of codes", default=(8, 5, 5, 5), at_least=3
    )
    groups: int = setting("sets of such dimensions side by side, each with its own codes", default=1, at_least=1)

    def __attrs_post_init__(self) -> None:
        if not self.levels:
            raise ValueError("levels must name at least one dimension (got none)")

    def build(self, facts: QuantizerFacts) -> Fsq:
        return Fsq(self, facts.embedding_dim)


class Fsq(nn.Module):
    """Projects tokens to the quantized dimensions, rounds with a straight-through gradient, and projects back."""

    levels: Tensor
    strides: Tensor

    def __init__(self, config: FsqConfig, embedding_dim: int) -> None:
        super().__init__()
        self.groups = config.groups
        self.codes_per_group = math.prod(config.levels)
        self.num_codes = config.groups * self.codes_per_group
        num_dims = config.groups * len(config.levels)
        self.project_in = nn.Linear(embedding_dim, num_dims)
        self.project_out = nn.Linear(num_dims, embedding_dim)
        strides = [math.prod(config.levels[:place]) for place in range(len(config.levels))]
        self.register_buffer("levels", torch.tensor(config.levels), persistent=False)
        self.register_buffer("strides", torch.tensor(strides), persistent=False)

    def forward(self, values: Tensor, mask: Tensor, *, collect: bool) -> Quantized:  # noqa: ARG002  # no state to feed
        """Values (..., N, D) and mask (..., N); codes of group g are numbered from g·K on, K codes in a group."""
        projected = self.project_in(torch.where(mask[..., None], values, 0.0))
        with torch.autocast(device_type=values.device.type, enabled=False):
            places_GL = self._rounded(projected.float().reshape(*mask.shape, self.groups, -1))
            codes_G = self._codes(places_GL.detach())
            normalised = (places_GL / (self.levels // 2)).flatten(-2)
        quantized = self.project_out(normalised).to(values.dtype)
        codes_G = torch.where(mask[..., None], codes_G, -1)
        return Quantized(
            values=torch.where(mask[..., None], quantized, 0.0),
            codes=codes_G.squeeze(-1) if self.groups == 1 else codes_G,
            loss=torch.zeros((), device=values.device),
            statistics=Statistics(),
        )

    def _rounded(self, z_GL: Tensor) -> Tensor:
        """(..., G, L): whole numbers from −⌊level / 2⌋ on, one for each level, with the gradient of the bound."""
        half = (self.levels - 1) * (1 + SLACK) / 2
        offset = torch.where(self.levels % 2 == 0, 0.5, 0.0)
        bounded = torch.tanh(z_GL + torch.atanh(offset / half)) * half - offset
        return bounded.round().detach() + (bounded - bounded.detach())

    def _codes(self, places_GL: Tensor) -> Tensor:
        """(..., G) int64: places read as digits of a mixed-radix number, the first dimension lowest."""
        digits = places_GL.long() + self.levels // 2
        first_codes = torch.arange(0, self.num_codes, self.codes_per_group, device=digits.device)
        return (digits * self.strides).sum(-1) + first_codes
