"""The kernel that finds objects against torch's operations: on a GPU, or on the CPU through Triton's interpreter.

`test_object_features.py` holds those operations against scipy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from jepa_plugins.grids.object_features import (
    NUM_FEATURES,
    Objects,
    find_objects,
    is_small,
    objects_by_kernel,
    objects_by_torch,
)
from tests.grids.test_connected_components import comb, folded_staircases, serpentine, spiral, staircase
from tests.triton_kernels import DEVICE, IS_ON_GPU, needs_triton

Grid = npt.NDArray[np.uint8]

SIDES = (7, 30, 64) if IS_ON_GPU else (7,)

needs_gpu = pytest.mark.skipif(not IS_ON_GPU, reason="needs a GPU")


def checkerboard(size: int) -> Grid:
    """No cell has an equal neighbour: as many objects as a grid can have."""
    y, x = np.indices((size, size))
    return (1 + (y + x) % 2).astype(np.uint8)


def of_one_value(value: int) -> Callable[[int], Grid]:
    return lambda size: np.full((size, size), value, dtype=np.uint8)


def batch(grids: npt.NDArray[Any]) -> tuple[Tensor, Tensor]:
    """Grids (M, H, W) that fill their canvas, and their sizes, on the device."""
    on_device = torch.from_numpy(grids.astype(np.uint8)).to(DEVICE)
    return on_device, torch.tensor([grids.shape[1:]], device=DEVICE).repeat(len(grids), 1)


def assert_equal(ours: Objects, expected: Objects) -> None:
    torch.testing.assert_close(ours.features, expected.features, rtol=1e-6, atol=1e-7)
    assert torch.equal(ours.boxes, expected.boxes)
    assert torch.equal(ours.mask, expected.mask)


def assert_kernel_equals_torch(grids: Tensor, sizes: Tensor, *, max_objects: int) -> None:
    ours, expected = (find(grids, sizes, max_objects=max_objects) for find in (objects_by_kernel, objects_by_torch))
    assert_equal(ours, expected)


@needs_triton
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    "make",
    [serpentine, spiral, comb, staircase, folded_staircases, checkerboard, *map(of_one_value, (0, 3, 9, 10, 255))],
    ids=["serpentine", "spiral", "comb", "staircase", "folded", "checkerboard", *"039", "outside", "far outside"],
)
def test_hard_and_plain_grids_have_the_same_objects(make: Callable[[int], Grid], side: int) -> None:
    grid = make(side)
    turned = np.stack([grid, np.rot90(grid), np.rot90(grid, 2)] if IS_ON_GPU else [np.rot90(grid)])
    # What was background becomes an object that winds around the other.
    assert_kernel_equals_torch(*batch(turned), max_objects=3)
    assert_kernel_equals_torch(*batch(np.where(turned == 0, 4, turned)), max_objects=3)


@needs_triton
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 13), (12, 5), (8, 8)])
@pytest.mark.parametrize("num_colours", [2, 4])
def test_random_grids_of_any_shape_have_the_same_objects(shape: tuple[int, int], num_colours: int) -> None:
    drawn = np.random.default_rng(0).integers(0, num_colours, (500 if IS_ON_GPU else 2, *shape))
    assert_kernel_equals_torch(*batch(drawn), max_objects=5)


@needs_triton
@settings(max_examples=200 if IS_ON_GPU else 8, deadline=None)
@given(
    hnp.arrays(np.uint8, st.tuples(st.just(1), st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 11)),
    st.integers(1, 40),
)
def test_any_small_grid_has_the_same_objects(grids: Grid, max_objects: int) -> None:
    assert_kernel_equals_torch(*batch(grids), max_objects=max_objects)


@needs_triton
def test_features_are_shares_of_each_grids_own_size() -> None:
    grids = torch.full((3, 6, 7), 10, dtype=torch.uint8, device=DEVICE)
    sizes = torch.tensor([[4, 5], [6, 2], [0, 0]], device=DEVICE)
    for grid, (height, width) in zip(grids, sizes.tolist(), strict=True):
        grid[:height, :width] = torch.randint(0, 3, (height, width), device=DEVICE)
    assert_kernel_equals_torch(grids, sizes, max_objects=6)


@needs_triton
def test_grids_may_be_a_view() -> None:
    grids, sizes = batch(np.random.default_rng(1).integers(0, 3, (2, 5, 6)))
    turned, turned_sizes = grids.transpose(1, 2), sizes.flip(1)
    assert not turned.is_contiguous()
    assert_kernel_equals_torch(turned, turned_sizes, max_objects=4)


@needs_triton
def test_no_grids_have_no_objects() -> None:
    grids, sizes = batch(np.zeros((0, 5, 6)))
    assert objects_by_kernel(grids, sizes, max_objects=4).features.shape == (0, 4, NUM_FEATURES)


@needs_triton
def test_it_compiles_without_a_graph_break() -> None:
    grids, sizes = batch(np.random.default_rng(2).integers(0, 3, (2, 4, 5)))
    compiled: Callable[..., Objects] = torch.compile(objects_by_kernel, fullgraph=True, backend="aot_eager")
    assert_equal(compiled(grids, sizes, max_objects=3), objects_by_torch(grids, sizes, max_objects=3))


def test_a_program_holds_grids_of_4096_padded_cells() -> None:
    for shape, is_held in {(30, 30): True, (64, 64): True, (1, 512): True, (65, 33): False, (1, 513): False}.items():
        assert is_small(torch.zeros(1, *shape)) == is_held


@needs_triton
@needs_gpu
@pytest.mark.parametrize("side", [30, 65])
def test_on_the_gpu_objects_are_those_of_the_cpu(side: int) -> None:
    grids, sizes = batch(np.random.default_rng(3).integers(0, 4, (64, side, side)))
    found, expected = find_objects(grids, sizes, max_objects=16), find_objects(grids.cpu(), sizes.cpu(), max_objects=16)
    moved = Objects(features=found.features.cpu(), boxes=found.boxes.cpu(), mask=found.mask.cpu())
    assert_equal(moved, expected)


@needs_triton
@needs_gpu
def test_a_cuda_graph_finds_the_objects_of_what_is_in_its_input() -> None:
    grids, sizes = batch(np.random.default_rng(4).integers(0, 4, (64, 10, 10)))
    find_objects(grids, sizes, max_objects=16)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = find_objects(grids, sizes, max_objects=16)
    grids.copy_(grids.flip(0, 1))
    graph.replay()
    assert_equal(captured, objects_by_torch(grids, sizes, max_objects=16))
