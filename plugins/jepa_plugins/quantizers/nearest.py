"""The nearest code of each token, by squared Euclidean distance, in float32, and what each code is nearest to.

On CUDA with Triton, `jepa_plugins.quantizers.nearest_kernels` finds codes without a table of distances: its memory
grows with tokens plus codes, where the table has their product.

Shapes: G codebooks side by side, M tokens, K codes in a codebook, d dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_plugins.triton_use import has_kernels, operator

MAX_SCORES = 2**26
"""Scores held at a time, 256 MiB: beyond it tokens are taken in several parts."""
WIDEST = 4_096
"""Dimensions of a token that a program of the kernel holds."""

_FORMATS = (torch.float32, torch.bfloat16, torch.float16)


def nearest_codes(tokens_GMd: Tensor, codebook_GKd: Tensor) -> Tensor:
    """(G, M) int64: index of the nearest of each codebook's K codes; the first of equally near ones.

    |x − c|² is smallest where x·c − |c|²/2 is largest: |x|² is the same for all codes and never computed. Which of
    two codes is taken whose distances differ by less than float32 tells apart is left to rounding. The kernel tells
    distances apart to about 2⁻²² of the farthest code's distance from the codes' mean, squared: a code ten thousand
    times as far as the others costs them their precision.
    """
    if _is_for_kernel(tokens_GMd, codebook_GKd):
        codes: Tensor = fused_nearest_codes(tokens_GMd, codebook_GKd)
        return codes
    return tabled_nearest_codes(tokens_GMd, codebook_GKd)


def tabled_nearest_codes(tokens_GMd: Tensor, codebook_GKd: Tensor) -> Tensor:
    """`nearest_codes` by a table of scores, on any device."""
    num_groups, num_codes, _ = codebook_GKd.shape
    half_squares_G1K = codebook_GKd.square().sum(-1)[:, None, :] / 2
    rows = max(1, MAX_SCORES // (num_groups * num_codes))
    parts = [
        (torch.bmm(part_GMd.to(codebook_GKd.dtype), codebook_GKd.transpose(1, 2)) - half_squares_G1K).argmax(-1)
        for part_GMd in torch.split(tokens_GMd, rows, dim=1)
    ]
    return torch.cat(parts, dim=1)


@operator("nearest_codes")
def fused_nearest_codes(tokens_GMd: Tensor, codebook_GKd: Tensor) -> Tensor:
    """`nearest_codes` by the kernel; one operator, so that torch.compile and CUDA graphs take it as it is."""
    from jepa_plugins.quantizers.nearest_kernels import fused_nearest

    return fused_nearest(tokens_GMd, codebook_GKd)


@fused_nearest_codes.register_fake
def _(tokens_GMd: Tensor, codebook_GKd: Tensor) -> Tensor:  # noqa: ARG001  # the operator's arguments
    return torch.empty(tokens_GMd.shape[:2], dtype=torch.int64, device=tokens_GMd.device)


def _is_for_kernel(tokens_GMd: Tensor, codebook_GKd: Tensor) -> bool:
    is_fit = tokens_GMd.dtype in _FORMATS and codebook_GKd.dtype in _FORMATS and tokens_GMd.shape[-1] <= WIDEST
    return has_kernels(tokens_GMd) and tokens_GMd.numel() > 0 and is_fit


def code_sums(tokens_GMd: Tensor, codes_GM: Tensor, weights_M: Tensor, num_codes: int) -> tuple[Tensor, Tensor]:
    """Of each code, the weight (G, K) and the sum (G, K, d) of its tokens, in float32.

    Args:
        tokens_GMd: float32, already multiplied by their weights: those that do not count are zeros.
        codes_GM: in 0 … K − 1 for each group.
        weights_M: float32; what a token counts for.
        num_codes: K.

    Repeats bit by bit where torch is asked for deterministic algorithms: `index_add` sorts there. Elsewhere CUDA adds
    in the order of arrival.
    """
    num_groups, num_tokens, dim = tokens_GMd.shape
    first_G1 = torch.arange(0, num_groups * num_codes, num_codes, device=codes_GM.device)[:, None]
    codes = (codes_GM + first_G1).flatten()
    counts = weights_M.new_zeros(num_groups * num_codes)
    counts = counts.index_add(0, codes, weights_M.expand(num_groups, num_tokens).flatten())
    sums = tokens_GMd.new_zeros(num_groups * num_codes, dim).index_add(0, codes, tokens_GMd.flatten(0, 1))
    return counts.view(num_groups, num_codes), sums.view(num_groups, num_codes, dim)
