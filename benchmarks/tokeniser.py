"""Finding the objects of grids and their 23 features, beside scipy.

Ours on one core, and on CUDA as torch's operations and as one kernel.

The peer labels each colour with `scipy.ndimage.label` and counts with numpy's
`bincount`, one grid after another, as a script would. What each way finds is
compared with what the peer finds before it is timed. Without scipy there is no
peer and nothing is compared; without CUDA there are no rows of a GPU.

    python benchmarks/tokeniser.py
    python benchmarks/tokeniser.py --side 30 --colours 10 --grids 16384 --json
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator

import attrs
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from jepa_plugins.grids.object_features import NUM_FEATURES, Objects, objects_by_kernel, objects_by_torch

Find = Callable[[Tensor, Tensor], Objects]
Grids = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float64]

NUM_OBJECTS = 16
ROUNDS = 5
HAS_SCIPY = importlib.util.find_spec("scipy") is not None
HAS_TRITON = importlib.util.find_spec("triton") is not None


@attrs.frozen(kw_only=True)
class Row:
    """One way at one size of grids."""

    way: str
    side: int
    grids: int
    """Given in one call."""
    grids_per_s: float
    ratio: float | None
    """Times the peer's speed; None without a peer."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, action="append", help="height and width in cells (default: 10 and 30)")
    parser.add_argument("--colours", type=int, default=4, help="values drawn for a cell, background among them")
    parser.add_argument(
        "--grids", type=int, default=65_536, help="of one call on CUDA; a sixteenth on a core, a 256th for the peer"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="a sixteenth of the grids, one round")
    given = parser.parse_args()
    torch.set_num_threads(1)
    num_grids = max(256, given.grids // 16 if given.quick else given.grids)
    rounds = 1 if given.quick else ROUNDS
    rows = [row for side in given.side or (10, 30) for row in _rows(side, given.colours, num_grids, rounds)]
    (_print_json if given.json else _print_table)(_machine(), rows)


def _machine() -> dict[str, str]:
    machine = {"cpu": platform.processor() or platform.machine(), "torch": torch.__version__, "numpy": np.__version__}
    if HAS_SCIPY:
        import scipy

        machine["scipy"] = scipy.__version__
    if HAS_TRITON:
        import triton

        machine["triton"] = triton.__version__
    return machine | ({"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {})


def _print_json(machine: dict[str, str], rows: list[Row]) -> None:
    print(json.dumps({**machine, "objects": NUM_OBJECTS, "rows": [attrs.asdict(row) for row in rows]}))


def _print_table(machine: dict[str, str], rows: list[Row]) -> None:
    print(" · ".join(f"{name} {value}" for name, value in machine.items()))
    if not HAS_SCIPY:
        print("scipy is not installed, so there is no peer: pip install scipy")
    print(f"{'side':>4}  {'way':24}{'grids':>10}{'grids/s':>16}{'of scipy':>12}")
    for row in rows:
        ratio = "–" if row.ratio is None else f"{row.ratio:,.1f}×"
        print(f"{row.side:>4}  {row.way:24}{row.grids:>10,}{row.grids_per_s:>16,.0f}{ratio:>12}")


def _rows(side: int, num_colours: int, num_grids: int, rounds: int) -> Iterator[Row]:
    drawn = np.random.default_rng(0).integers(0, num_colours, (num_grids, side, side), dtype=np.uint8)
    fewest = drawn[: num_grids // 256]
    expected = peer = None
    if HAS_SCIPY:
        expected, peer = by_scipy(fewest), len(fewest) / _seconds(lambda: by_scipy(fewest), rounds)
        yield Row(way="scipy, one core", side=side, grids=len(fewest), grids_per_s=peer, ratio=1.0)
    for way, (find, device) in _ways().items():
        given = drawn[: num_grids // 16] if device == "cpu" else drawn
        grids = torch.from_numpy(given).to(device)
        sizes = torch.full((len(grids), 2), side, device=device)
        if expected is not None:
            found = find(grids, sizes).features[: len(expected)].cpu().numpy()
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6, err_msg=way)
        speed = len(grids) / _seconds_to_find(find, grids, sizes, rounds)
        yield Row(way=way, side=side, grids=len(grids), grids_per_s=speed, ratio=speed / peer if peer else None)


def _ways() -> dict[str, tuple[Find, str]]:
    """How objects are found here, and on which device."""
    ways: dict[str, tuple[Find, str]] = {"torch, one core": (_by_torch, "cpu")}
    if torch.cuda.is_available():
        ways["torch, CUDA"] = _by_torch, "cuda"
        ways["torch, CUDA, compiled"] = torch.compile(_by_torch), "cuda"
        if HAS_TRITON:
            ways["kernel, CUDA"] = _by_kernel, "cuda"
    return ways


def _by_torch(grids: Tensor, sizes: Tensor) -> Objects:
    with torch.no_grad():
        return objects_by_torch(grids, sizes, max_objects=NUM_OBJECTS)


def _by_kernel(grids: Tensor, sizes: Tensor) -> Objects:
    return objects_by_kernel(grids, sizes, max_objects=NUM_OBJECTS)


def _seconds_to_find(find: Find, grids: Tensor, sizes: Tensor, rounds: int) -> float:
    def work() -> None:
        find(grids, sizes)
        if grids.is_cuda:
            torch.cuda.synchronize()

    return _seconds(work, rounds)


def _seconds(work: Callable[[], object], rounds: int) -> float:
    """Median of some rounds, after one that does not count."""
    times = []
    for _ in range(1 + rounds):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times[1:])


def by_scipy(grids: Grids) -> Features:
    """Features (M, N, 23) of the N largest objects of each of M grids, zeros where there are fewer."""
    features = np.zeros((len(grids), NUM_OBJECTS, NUM_FEATURES))
    for grid, row in zip(grids, features, strict=True):
        found = _objects_by_scipy(grid)[:NUM_OBJECTS]
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


if __name__ == "__main__":
    main()
