"""The objects of grids and their 23 features as a script would find them: scipy's labels, numpy's counts, grid by grid.

Knows nothing of how the built-in encoders find them; what both find is compared by peers.py before it is timed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from jepa_plugins.grids.object_features import NUM_FEATURES

Grids = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float64]


def features_by_scipy(grids: Grids, num_objects: int) -> Features:
    """Features (M, N, 23) of the N = `num_objects` largest objects of each of M grids, zeros where there are fewer."""
    features = np.zeros((len(grids), num_objects, NUM_FEATURES))
    for grid, row in zip(grids, features, strict=True):
        found = _objects_by_scipy(grid)[:num_objects]
        row[: len(found)] = found
    return features


def _objects_by_scipy(grid: Grids) -> Features:
    """Features of every object of a grid, largest first, ties in scan order."""
    from scipy import ndimage

    labels, colours = _labels_by_scipy(grid)
    if not len(colours):
        return np.zeros((0, NUM_FEATURES))
    flat, (y, x), (height, width) = labels.ravel(), np.indices(grid.shape), grid.shape
    areas, perimeters, sum_y, sum_x = (
        np.bincount(flat, weights=weights)[1:] for weights in (None, _open_sides(labels).ravel(), y.ravel(), x.ravel())
    )
    first = np.empty(len(colours) + 1, dtype=np.int64)
    # Of several writes to one place the last stays: a label's first cell.
    first[flat[::-1]] = np.arange(grid.size)[::-1]
    box = np.array([[(side.start, side.stop - 1) for side in sides] for sides in ndimage.find_objects(labels)])
    low, high, size = box[..., 0], box[..., 1], np.array(grid.shape)
    extent = high - low + 1
    columns = [areas / grid.size, perimeters / grid.size, *(extent / size).T, extent[:, 1] / extent[:, 0]]
    columns += [np.ones(len(colours)), colours / 9, sum_y / areas / height, sum_x / areas / width]
    columns += [*(low / size).T, *(high / size).T, *(colours == np.arange(10)[:, None])]
    return np.stack(columns, 1)[np.lexsort((first[1:], -areas))]


def _labels_by_scipy(grid: Grids) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Labels (H, W), 1, 2, … for objects and 0 for what is none, and the colour of each label."""
    from scipy import ndimage

    labels = np.zeros(grid.shape, dtype=np.int32)
    colours: list[int] = []
    for colour in np.unique(grid[(grid > 0) & (grid < 10)]):
        of_colour, count = ndimage.label(grid == colour)
        labels += np.where(of_colour > 0, of_colour + len(colours), 0)
        colours += [int(colour)] * count
    return labels, np.array(colours, dtype=np.int64)


def _open_sides(labels: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """For each cell, its sides that border another label or the edge, (H, W)."""
    framed = np.pad(labels, 1, constant_values=-1)
    neighbours = (framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:])
    return np.stack([labels != neighbour for neighbour in neighbours]).sum(0)
