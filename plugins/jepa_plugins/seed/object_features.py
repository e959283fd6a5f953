"""Objects as the seed saw them, and its three ways to change what it saw, none of which a grid could show.

The 23 features are those of `jepa_plugins.grids.object_features`, but for

==== ================ =====================================================================
6    dominant colour  the colour's number, 0–9
13 … colours          ten: the area of each colour that the object has, in ascending order; so the first repeats the
                      area, and the others are zero: an object has one colour
==== ================ =====================================================================

A reading holds `features` (…, N, 23), `mask` (…, N) and `neighbours` (…, N, N), bool: boxes overlap or touch.
Shapes: B sequences, G grids of each, the target last, N objects.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from jepa_core.contracts import Reading, ReadingTransform
from jepa_plugins.grids.object_features import find_objects

AREA, COLOUR = 0, 6
CENTROID_Y, CENTROID_X, MIN_Y, MIN_X, MAX_Y, MAX_X = range(7, 13)
FIRST_COLUMN, NUM_COLUMNS = 13, 10
MAX_SHIFT = 0.1
"""Farthest move of an object, as a share of the grid's side."""

_PLACES = slice(CENTROID_Y, MAX_X + 1)
"""The six features of an object's place, y before x."""


@torch.no_grad()
def read_objects(grids: Tensor, sizes: Tensor, *, max_objects: int, one_column_per_colour: bool) -> Reading:
    """Grids (M, H, W) uint8 and sizes (M, 2) to a reading of their N = `max_objects` largest objects."""
    objects = find_objects(grids, sizes, max_objects=max_objects)
    features = objects.features
    if not one_column_per_colour:
        before, after = features[..., :COLOUR], features[..., COLOUR + 1 : FIRST_COLUMN]
        number = (9 * features[..., COLOUR, None]).round()
        area = features[..., AREA, None]
        absent = torch.zeros_like(features[..., FIRST_COLUMN + 1 :])
        features = torch.cat([before, number, after, area, absent], -1)
    return {"features": features, "mask": objects.mask, "neighbours": objects.adjacency()}


def context_and_target_apart(change: Callable[[Tensor], Tensor]) -> ReadingTransform:
    """A change of features (B, G, N, 23) that is drawn once for the context grids and once for the target."""

    def changed(reading: Reading) -> Reading:
        features = reading["features"]
        return {**reading, "features": torch.cat([change(features[:, :-1]), change(features[:, -1:])], 1)}

    return changed


def exchange_colours(features: Tensor) -> Tensor:
    """Permute the colour numbers, and the ten columns by another draw; one draw for all features (…, 23)."""
    number = features[..., COLOUR].long()
    exchanged = _permutation(features)[number].to(features.dtype)
    columns = features[..., FIRST_COLUMN:][..., _permutation(features)]
    return torch.cat(
        [features[..., :COLOUR], exchanged[..., None], features[..., COLOUR + 1 : FIRST_COLUMN], columns], -1
    )


def exchange_colours_together(features: Tensor) -> Tensor:
    """Permute the ten colours: their numbers, which are shares of 9, and their columns alike."""
    permutation = _permutation(features)
    number = (9 * features[..., COLOUR]).round().long()
    exchanged = permutation[number].to(features.dtype) / 9
    columns = features[..., FIRST_COLUMN:][..., permutation.argsort()]
    return torch.cat(
        [features[..., :COLOUR], exchanged[..., None], features[..., COLOUR + 1 : FIRST_COLUMN], columns], -1
    )


def move_objects(features: Tensor) -> Tensor:
    """Move each object on its own, by at most `MAX_SHIFT` of the grid, with centroid and box clamped to it."""
    shift_2 = (2 * torch.rand(*features.shape[:-1], 2, device=features.device) - 1) * MAX_SHIFT
    moved = (features[..., _PLACES] + shift_2.tile(3)).clamp(0, 1)
    return torch.cat([features[..., :CENTROID_Y], moved, features[..., MAX_X + 1 :]], -1)


def mirror_objects(features: Tensor) -> Tensor:
    """Mirror centroids and boxes, left and right or top and bottom; one draw for all features (…, 23)."""
    is_vertical = torch.rand((), device=features.device) < 0.5
    is_y_2 = torch.arange(2, device=features.device) == 0
    centroid, least, most = features[..., _PLACES].split(2, -1)
    # The lower edge mirrored is the upper one, so minima and maxima change their roles.
    pairs = ((centroid, centroid), (least, most), (most, least))
    changed = [torch.where(is_y_2 == is_vertical, 1 - mirrored, kept) for kept, mirrored in pairs]
    return torch.cat([features[..., :CENTROID_Y], *changed, features[..., MAX_X + 1 :]], -1)


def _permutation(features: Tensor) -> Tensor:
    """(10,) int64, uniformly drawn on the features' device."""
    return torch.rand(NUM_COLUMNS, device=features.device).argsort()
