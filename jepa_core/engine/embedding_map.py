"""Embeddings on a plane, and who is near whom. Knows arrays and groups as numbers, not models or labels' meaning.

Shapes: S embeddings of D dimensions, K neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.engine.representation import ROUNDING, ROWS_AT_A_TIME, unit_length
from jepa_core.errors import RecipeError


@attrs.frozen(kw_only=True, eq=False)
class PlaneMap:
    """Embeddings as points on a plane."""

    points: Tensor
    """(S, 2) float64."""
    axes: tuple[str, str]
    """What the two directions are called."""
    explained: tuple[float, float] | None = None
    """Shares of the embeddings' variance along the two directions, where they are such."""


@attrs.frozen(kw_only=True)
class Agreement:
    """How often a sequence's nearest of other tasks have its label."""

    share: float
    chance: float
    """The same for sequences of other tasks drawn at random."""


def principal_components(embeddings: Tensor) -> PlaneMap:
    """The plane along which embeddings (S, D) vary most; directions of mere rounding are zero.

    A direction's largest entry is positive, so that the same embeddings give the same picture.
    """
    values = embeddings.double()
    centred = values - values.mean(0)
    # Ascending. In float64 squares are exact enough, and this takes a third of the time of an SVD of the embeddings.
    variances, directions = torch.linalg.eigh(centred.T @ centred)
    total = variances.sum().clamp(min=torch.finfo(variances.dtype).tiny)
    leading, plane = variances[-2:].flip(0), directions[:, -2:].flip(1)
    plane = plane * plane.gather(0, plane.abs().argmax(0, keepdim=True)).sign()
    is_more_than_rounding = leading > ROUNDING**2 * values.square().sum()
    missing = 2 - len(leading)
    points = F.pad(torch.where(is_more_than_rounding, centred @ plane, 0.0), (0, missing))
    first, second = F.pad(torch.where(is_more_than_rounding, leading / total, 0.0), (0, missing)).tolist()
    return PlaneMap(points=points, axes=("PC 1", "PC 2"), explained=(first, second))


def umap_plane(embeddings: Tensor) -> PlaneMap:
    """A plane that keeps cosine neighbourhoods together (UMAP, McInnes et al., arXiv 1802.03426), under one seed.

    Raises:
        RecipeError: umap-learn is not installed, or these are too few embeddings (S, D) for it.
    """
    umap, num = require_umap(), len(embeddings)
    if num < _LEAST_FOR_UMAP:
        raise RecipeError(f"--map umap needs {_LEAST_FOR_UMAP} sequences, and there are {num}. Use --map pca.")
    # One job is what a seed makes of any number, with a warning; told so it gives none.
    fit = umap.UMAP(n_neighbors=min(15, num - 1), metric="cosine", random_state=0, n_jobs=1)
    points = torch.from_numpy(fit.fit_transform(embeddings.float().numpy())).double()
    return PlaneMap(points=points, axes=("UMAP 1", "UMAP 2"))


def require_umap() -> Any:
    """
    Raises:
        RecipeError: umap-learn is not installed.
    """
    try:
        import umap
    except ImportError as error:
        raise RecipeError("--map umap needs umap-learn: pip install umap-learn, or use --map pca.") from error
    return umap


MAPS: Mapping[str, Callable[[Tensor], PlaneMap]] = {"pca": principal_components, "umap": umap_plane}
_LEAST_FOR_UMAP = 8


def evenly(num: int, most: int) -> Tensor:
    """At most `most` of the positions 0 … num − 1, ascending: the middles of as many equal parts."""
    count = min(num, most)
    return (2 * torch.arange(count) + 1) * num // (2 * count)


def nearest_of_others(embeddings: Tensor, groups: Tensor, num: int) -> Tensor:
    """(S, K) int64, K = `num` or fewer: positions of the nearest by cosine to each of the embeddings (S, D) among those
    of other groups (S,), nearest first; −1 where there are no more."""
    unit = unit_length(embeddings)
    nearest = []
    for rows, own in zip(unit.split(ROWS_AT_A_TIME), groups.split(ROWS_AT_A_TIME), strict=True):
        similarity = (rows @ unit.T).masked_fill(own[:, None] == groups, -torch.inf)
        top = similarity.topk(min(num, len(unit)), dim=1)
        nearest.append(top.indices.masked_fill(top.values.isneginf(), -1))
    return torch.cat(nearest)


def agreement(nearest: Tensor, labels: Tensor, groups: Tensor) -> Agreement:
    """Of what `nearest_of_others` gives (S, K), for labels (S,) and the groups (S,) it was asked with. At least two
    groups are needed."""
    known = nearest >= 0
    same = (labels[nearest] == labels[:, None])[known].double().mean()
    num_same = num_others = 0
    for own_label, own in zip(labels.split(ROWS_AT_A_TIME), groups.split(ROWS_AT_A_TIME), strict=True):
        is_other = own[:, None] != groups
        num_same += int((is_other & (own_label[:, None] == labels)).sum())
        num_others += int(is_other.sum())
    return Agreement(share=float(same), chance=num_same / num_others)
