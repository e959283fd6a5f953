"""Figures of a representation: ranks, spread, alignment, retrieval, use of codes. Pure functions of tensors, float32.

Shapes: V embeddings, P projection dimension, C candidates. Results are tensors on the inputs' device and nothing waits
for it, except eigenvalues and `unique_candidates`, which CUDA computes with a wait of its own.

Knows nothing of models, batches or metric names.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS_AT_A_TIME = 1024
"""Rows of a similarity matrix held at once."""

TIE = 1e-6
"""Scores nearer than this tie. Cosines of equal embeddings differ by the rounding of a matrix product, about 1e-7."""


SOLVED_ON_HOST = 128
"""Largest side of a matrix whose eigenvalues the host finds. Of a side of 256 an H200 finds them in 2 ms, its host in
4.5, and in many times that while a checkpoint is written beside it."""

ROUNDING = 1e-6
"""Spread of embeddings, relative to their length, that is rounding."""

LIDAR_RIDGE, LIDAR_SHARE = 1e-4, 1e-7
"""δ, added to the spread within groups in every direction, and ε, added to the share of each eigenvalue."""


@dataclass(frozen=True)
class CodeUsage:
    """How a sample of tokens uses the codes. Everything but `counts` is a scalar."""

    usage: Tensor
    """Share of codes chosen at least once; 0 when there is no token."""
    perplexity: Tensor
    """Exponential of the entropy of code use: 1 for a single code or none, the number of codes for even use."""
    dead: Tensor
    """Number of codes never chosen."""
    counts: Tensor
    """(num_codes,): tokens of each code."""


@dataclass(frozen=True)
class Candidates:
    """Distinct observations of a list."""

    index: Tensor
    """(V,) int64: which distinct one each observation is."""
    representatives: Tensor
    """(C,) int64: the first of the list that is each distinct one."""


def eigenvalues(z: Tensor) -> Tensor:
    """(P,) float64: eigenvalues of the covariance matrix of z (V, P), descending, never negative; NaN when z is not
    finite."""
    with torch.autocast(device_type=z.device.type, enabled=False):
        z = z.float()
        is_finite = z.isfinite().all()
        # Squares of large values would overflow, and the solver does not converge on what is left.
        scale = torch.where(is_finite, z.abs().max(), 1.0).clamp(min=torch.finfo(z.dtype).tiny)
        z = torch.where(is_finite, z / scale, 0.0)
        centred = z - z.mean(0)
        # Whichever product is smaller: Z'Z and ZZ' share the eigenvalues that are not zero.
        product = centred.T @ centred if z.shape[0] >= z.shape[1] else centred @ centred.T
        # In float32 the solver fails where directions have collapsed: the squares of what is left are too small for it.
        covariance = product.double() / max(len(z) - 1, 1)
        ascending: Tensor = torch.linalg.eigvalsh(where_solved(covariance))
        ascending = ascending.to(z.device)
        ascending = F.pad(ascending, (z.shape[1] - len(ascending), 0))
        # Equal embeddings that went through a matrix product differ by rounding, whose spectrum is flat.
        floor = ROUNDING**2 * z.square().sum(1).mean()
        values: Tensor = torch.where(ascending > floor, ascending, 0.0).flip(0).double() * scale.double().square()
        return values.masked_fill(~is_finite, torch.nan)


def where_solved(symmetric: Tensor) -> Tensor:
    """A matrix (…, P, P) where its eigenvalues are found sooner: small ones on the host, since a device would be waited
    for, too."""
    return symmetric.cpu() if symmetric.shape[-1] <= SOLVED_ON_HOST else symmetric


def effective_rank(z: Tensor) -> Tensor:
    """Scalar from 1 to P: exponential of the entropy of the normalised eigenvalues (Roy & Vetterli 2007).

    1 when all embeddings are equal.
    """
    return rank_of_spectrum(eigenvalues(z))


def rank_of_spectrum(spectrum: Tensor) -> Tensor:
    """Effective rank for eigenvalues (P,) at hand; 1 when all are zero."""
    return _perplexity(spectrum / spectrum.sum().clamp(min=torch.finfo(spectrum.dtype).tiny))


def lidar(z: Tensor, groups: Tensor) -> Tensor:
    """Scalar from 1 to about min(P, groups − 1): LiDAR (Thilak et al., arXiv 2312.04000), how many directions tell
    groups apart.

    The effective rank of Σ_w^(−1/2) Σ_b Σ_w^(−1/2) over z (V, P) at unit length: Σ_b is the covariance of the groups'
    means, Σ_w the mean of the covariances within groups, plus δ. In the paper a group is the views of one image; here
    `groups` (V,) int64 say it, such as the sequences of one task. Groups of a single embedding are left out; NaN where
    fewer than two are left, and when z is not finite.

    A direction of noise, in which groups differ by chance alone, still has an eigenvalue of about 1 / members, and one
    that tells groups apart far more. So compare runs on the same data.
    """
    with torch.autocast(device_type=z.device.type, enabled=False):
        unit = unit_length(z).double()
        groups, members = groups.to(z.device).unique(return_inverse=True, return_counts=True)[1:]
        has_others = members[groups] > 1
        unit, (group, size) = unit[has_others], groups[has_others].unique(return_inverse=True, return_counts=True)[1:]
        is_measured = unit.isfinite().all() & (len(size) > 1)
        unit = torch.where(is_measured, unit, 0.0)
        means = unit.new_zeros(len(size), z.shape[1]).index_add(0, group, unit) / size[:, None]
        # Each group counts the same, however many members it has.
        within = (unit - means[group]) / (len(size) * size[group, None]).sqrt()
        between = (means - means.mean(0)) / max(len(size), 1) ** 0.5
        covariance = within.T @ within + LIDAR_RIDGE * torch.eye(z.shape[1], dtype=unit.dtype, device=unit.device)
        # Σ_w = LL' turns Σ_b = B'B into (BL'⁻¹)'(BL'⁻¹), which has the same eigenvalues.
        whitened = torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), between.T, upper=False)
        spectrum = torch.linalg.svdvals(whitened).square()
        spectrum = torch.where(spectrum > ROUNDING**2 / LIDAR_RIDGE, spectrum, 0.0)
        spectrum = F.pad(spectrum, (0, z.shape[1] - len(spectrum)))
        rank = _perplexity(spectrum / spectrum.sum().clamp(min=torch.finfo(spectrum.dtype).tiny) + LIDAR_SHARE)
        return rank.masked_fill(~is_measured, torch.nan)


def mean_std(z: Tensor) -> Tensor:
    """Scalar: standard deviation over the V unit-length embeddings, mean over dimensions; 1/√P for an even spread."""
    return unit_length(z).std(0, correction=0).mean()


def alignment(z_context: Tensor, z_target: Tensor) -> Tensor:
    """Scalar: mean squared distance of pairs, unit length (Wang & Isola, arXiv 2005.10242)."""
    return (unit_length(z_context) - unit_length(z_target)).square().sum(-1).mean()


def uniformity(z: Tensor) -> Tensor:
    """Scalar: log of the mean of exp(−2 |a − b|²) over pairs of distinct rows, unit length (arXiv 2005.10242).

    0 when all embeddings are equal, −4 at the lowest; NaN for fewer than two rows.
    """
    with torch.autocast(device_type=z.device.type, enabled=False):
        z = unit_length(z)
        potential = torch.zeros((), device=z.device)
        for rows in torch.split(z, ROWS_AT_A_TIME):
            potential = potential + (4 * (rows @ z.T - 1)).exp().sum()
        # Each row's pair with itself has distance zero and potential one.
        num_rows = len(z)
        return ((potential - num_rows) / (num_rows * (num_rows - 1)) if num_rows > 1 else potential * torch.nan).log()


def retrieval_ranks(similarity: Tensor, positive_index: Tensor, tie: float = TIE) -> Tensor:
    """(V,): rank of the right candidate: 1 + candidates that score higher + half of those that tie.

    `similarity` is (V, C), `positive_index` (V,) int64. A score that is not a number ranks last.
    """
    positive = similarity.gather(1, positive_index[:, None])
    num_candidates = similarity.shape[1]
    not_higher = similarity <= positive + tie
    lower = similarity < positive - tie
    num_higher = num_candidates - not_higher.sum(1)
    num_ties = (not_higher & ~lower).sum(1) - 1
    ranks = 1 + num_higher + num_ties.clamp(min=0) / 2
    return ranks.clamp(max=num_candidates)


def rank_by_cosine(z_context: Tensor, candidates: Tensor, positive_index: Tensor) -> Tensor:
    """(V,): rank of the right one of candidates (C, P) for each context (V, P), by cosine."""
    with torch.autocast(device_type=z_context.device.type, enabled=False):
        candidates = unit_length(candidates)
        return torch.cat(
            [
                retrieval_ranks(rows @ candidates.T, index)
                for rows, index in zip(
                    torch.split(unit_length(z_context), ROWS_AT_A_TIME),
                    torch.split(positive_index, ROWS_AT_A_TIME),
                    strict=True,
                )
            ]
        )


def mean_reciprocal_rank(ranks: Tensor) -> Tensor:
    """Scalar: mean of 1 / rank."""
    return ranks.float().reciprocal().mean()


def share_within(ranks: Tensor, top: int) -> Tensor:
    """Scalar: share of ranks up to `top`, such as top-1 and top-10."""
    return (ranks <= top).float().mean()


def code_usage(codes: Tensor, num_codes: int) -> CodeUsage:
    """Use of `num_codes` ≥ 1 codes by codes of any shape, −1 where masked.

    Codes of grouped quantizers are numbered through all groups, and so are they counted.
    """
    codes = codes.flatten()
    is_token = codes >= 0
    counts = torch.zeros(num_codes, dtype=torch.int64, device=codes.device)
    counts = counts.scatter_add(0, codes.clamp(min=0), is_token.long())
    used = (counts > 0).sum()
    return CodeUsage(
        usage=used / num_codes,
        perplexity=_perplexity(counts / counts.sum().clamp(min=1)),
        dead=num_codes - used,
        counts=counts,
    )


def unique_candidates(keys: Tensor) -> Candidates:
    """Distinct ones among the keys (V,) of observations: equal targets are one candidate."""
    distinct, index = torch.unique(keys, return_inverse=True)
    position = torch.arange(len(keys), device=keys.device)
    first = torch.full((len(distinct),), len(keys), dtype=torch.int64, device=keys.device)
    return Candidates(index=index, representatives=first.scatter_reduce(0, index, position, "amin"))


def _perplexity(shares: Tensor) -> Tensor:
    entropy: Tensor = torch.special.entr(shares).sum()
    return entropy.exp()


def unit_length(z: Tensor) -> Tensor:
    """(V, P) float32 of length one, as cosines see embeddings: a few long ones would make up a spectrum."""
    return F.normalize(z.float(), dim=-1)
