"""Objects and their features against a plain loop over scipy's components."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import scipy.ndimage
import torch

from jepa_plugins.grids.object_features import NUM_FEATURES, Objects, find_objects

Grid = npt.NDArray[np.uint8]
Cells = npt.NDArray[np.bool_]


def objects_of(rows: list[str], *, max_objects: int = 4) -> Objects:
    """Objects of one grid written as rows of digits."""
    grid = torch.tensor([[int(cell) for cell in row] for row in rows], dtype=torch.uint8)
    return find_objects(grid.unsqueeze(0), torch.tensor([grid.shape]), max_objects=max_objects)


def reference_components(content: Grid) -> list[tuple[int, Cells]]:
    """Colour and cells of each object, largest first, ties in scan order."""
    found: list[tuple[int, Cells]] = []
    for colour in range(1, 10):
        components, count = scipy.ndimage.label(content == colour)
        found += [(colour, components == component) for component in range(1, count + 1)]
    return sorted(found, key=lambda item: (-item[1].sum(), int(np.flatnonzero(item[1])[0])))


def reference_features(content: Grid, colour: int, cells: Cells) -> list[float]:
    """The 23 features, one cell at a time."""
    height, width = content.shape
    y, x = np.nonzero(cells)
    framed = np.pad(cells, 1)
    perimeter = sum(
        4 - int(framed[r, c + 1]) - int(framed[r + 2, c + 1]) - int(framed[r + 1, c]) - int(framed[r + 1, c + 2])
        for r, c in zip(y, x, strict=True)
    )
    box_height, box_width = np.ptp(y) + 1, np.ptp(x) + 1
    scalars = [len(y) / (height * width), perimeter / (height * width), box_height / height, box_width / width]
    scalars += [box_width / box_height, 1.0, colour / 9, y.mean() / height, x.mean() / width]
    scalars += [y.min() / height, x.min() / width, y.max() / height, x.max() / width]
    return scalars + [float(colour == one) for one in range(10)]


def random_batch(num_colours: int) -> tuple[Grid, npt.NDArray[np.int64]]:
    """Grids of mixed sizes on a 9 × 8 canvas."""
    draw = np.random.default_rng(num_colours)
    grids = np.full((20, 9, 8), 10, dtype=np.uint8)
    sizes = np.stack([draw.integers(1, 10, 20), draw.integers(1, 9, 20)], 1)
    for grid, (height, width) in zip(grids, sizes, strict=True):
        grid[:height, :width] = draw.integers(0, num_colours, (height, width))
    return grids, sizes


@pytest.mark.parametrize("num_colours", [1, 2, 3, 10])
@pytest.mark.parametrize("max_objects", [1, 5, 100])
def test_features_equal_the_reference(num_colours: int, max_objects: int) -> None:
    grids, sizes = random_batch(num_colours)
    objects = find_objects(torch.from_numpy(grids), torch.from_numpy(sizes), max_objects=max_objects)

    assert objects.features.shape == (20, max_objects, NUM_FEATURES)
    for i, (height, width) in enumerate(sizes):
        content = grids[i, :height, :width]
        expected = np.zeros((max_objects, NUM_FEATURES))
        components = reference_components(content)[:max_objects]
        for slot, (colour, cells) in enumerate(components):
            expected[slot] = reference_features(content, colour, cells)
        np.testing.assert_array_equal(objects.mask[i].numpy(), np.arange(max_objects) < len(components))
        np.testing.assert_allclose(objects.features[i].numpy(), expected, rtol=1e-5, atol=1e-7)


def test_one_object_has_the_features_that_its_picture_shows() -> None:
    features = objects_of(["0330", "0300", "0000"]).features[0, 0].tolist()

    bins = [0.0, 0.0, 0.0, 1.0] + [0.0] * 6
    expected = [3 / 12, 8 / 12, 2 / 3, 2 / 4, 1.0, 1.0, 3 / 9, (1 / 3) / 3, (4 / 3) / 4, 0.0, 1 / 4, 1 / 3, 2 / 4]
    assert features == pytest.approx(expected + bins)


def test_larger_objects_come_first_and_ties_in_scan_order() -> None:
    objects = objects_of(["1020", "0033", "4033"])

    colours = (objects.features[0, :, 6] * 9).round().int().tolist()
    assert colours == [3, 1, 2, 4]
    assert objects.boxes[0, 0].tolist() == [1, 2, 2, 3]


def test_diagonal_neighbours_are_two_objects() -> None:
    assert objects_of(["10", "01"]).mask.sum() == 2


def test_objects_do_not_depend_on_the_canvas() -> None:
    grid = torch.randint(0, 3, (1, 6, 5), dtype=torch.uint8)
    size = torch.tensor([[6, 5]])
    on_a_larger_canvas = torch.nn.functional.pad(grid, (0, 4, 0, 2), value=10)
    small, large = (find_objects(g, size, max_objects=8) for g in (grid, on_a_larger_canvas))

    assert torch.equal(small.features, large.features)
    assert torch.equal(small.boxes, large.boxes)


@pytest.mark.parametrize("value", [0, 10])
def test_a_grid_of_background_or_outside_has_no_object(value: int) -> None:
    objects = find_objects(torch.full((1, 3, 3), value, dtype=torch.uint8), torch.tensor([[0, 0]]), max_objects=4)

    assert not objects.mask.any()
    assert not objects.adjacency().any()
    assert (objects.features == 0).all()


@pytest.mark.parametrize(
    ("rows", "adjacent"),
    [
        (["1200", "0000"], True),
        (["1000", "0200"], True),
        (["1020", "0000"], False),
        (["1110", "1020", "1110"], True),
        (["1000", "0000", "2000"], False),
    ],
    ids=["side", "corner", "gap", "overlap", "row between"],
)
def test_adjacent_objects_have_boxes_that_overlap_or_touch(rows: list[str], adjacent: bool) -> None:
    adjacency = objects_of(rows).adjacency()[0]

    assert adjacency[0, 1] == adjacent
    assert adjacency[1, 0] == adjacent
    assert not adjacency[2:].any()
    assert not adjacency[:, 2:].any()


def test_it_compiles_without_a_graph_break() -> None:
    grids, sizes = (torch.from_numpy(part) for part in random_batch(3))
    compiled: Callable[..., Objects] = torch.compile(find_objects, fullgraph=True, backend="aot_eager")
    eager, traced = (find(grids, sizes, max_objects=5) for find in (find_objects, compiled))

    torch.testing.assert_close(traced.features, eager.features)
    assert torch.equal(traced.mask, eager.mask)
