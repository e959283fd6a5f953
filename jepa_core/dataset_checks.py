"""What a dataset promises of its sequences, checked on what it built: at a run's door, and in the conformance kit.

Each function raises ValueError with the split, what is wrong and the value that shows it.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from jepa_core.contracts import GridDataset, Sequences
from jepa_core.facts import OUTSIDE

_ROWS_AT_ONCE = 4096


def check_dataset(dataset: object) -> None:
    """All of it."""
    if not isinstance(dataset, GridDataset):
        raise ValueError(f"build returns {type(dataset).__name__}, not GridDataset")  # one kind of error
    check_form(dataset)
    check_content(dataset)
    check_split(dataset)


def check_form(dataset: GridDataset) -> None:
    """Grids are square bytes, everything else whole numbers, and both splits alike."""
    shapes = set()
    for name, split in _splits(dataset):
        _require_tensors(name, split)
        shape = tuple(split.grids.shape)
        _require(len(shape) == 4, f"grids of {name} are {shape}, not (sequences, context + target, side, side)")
        sequences, grids, height, width = shape
        _require(sequences > 0, f"{name} has no sequence")
        _require(grids >= 2, f"{name} has sequences of {grids} grid: context and target are two")
        _require(height == width, f"grids of {name} are {height} × {width}, not square")
        _require(split.grids.dtype == torch.uint8, f"grids of {name} are {split.grids.dtype}, not torch.uint8")
        for key, tensor in {"sizes": split.sizes, "tasks": split.tasks, **split.labels}.items():
            expected = (sequences, grids, 2) if key == "sizes" else (sequences,)
            _require(tensor.dtype == torch.int64, f"{key} of {name} are {tensor.dtype}, not torch.int64")
            _require(tuple(tensor.shape) == expected, f"{key} of {name} are {tuple(tensor.shape)}, not {expected}")
        shapes.add((grids, height))
    _require(len(shapes) == 1, f"training and validation differ in grids and side: {sorted(shapes)}")
    labels = [sorted(split.labels) for _, split in _splits(dataset)]
    _require(labels[0] == labels[1], f"training has the labels {labels[0]}, validation {labels[1]}")
    places = int(dataset.train.grids.shape[1])
    roles = len(dataset.roles)
    _require(roles in (0, places), f"{roles} roles are given for sequences of {places} grids")


def check_content(dataset: GridDataset) -> None:
    """Content stands top left, and the rest is outside."""
    for name, split in _splits(dataset):
        side = split.grids.shape[-1]
        smallest, largest = int(split.sizes.min()), int(split.sizes.max())
        _require(1 <= smallest <= largest <= side, f"sizes of {name} are {smallest} … {largest}, on a side of {side}")
        cells = torch.arange(side, device=split.sizes.device)
        num_wrong, first = 0, None
        for start in range(0, len(split), _ROWS_AT_ONCE):
            grids, sizes = (part[start : start + _ROWS_AT_ONCE] for part in (split.grids, split.sizes))
            is_inside = (cells[:, None] < sizes[..., :1, None]) & (cells < sizes[..., 1:, None])
            wrong = ((grids < OUTSIDE) != is_inside) | (grids > OUTSIDE)
            num_wrong += int(wrong.sum())
            if num_wrong and first is None:
                place = wrong.nonzero()[0].tolist()
                first = [start + place[0], *place[1:]]
        _require(first is None, f"{name} has {num_wrong:,} cells not as its sizes say, first grids{first}")


def check_split(dataset: GridDataset) -> None:
    """No task is on both sides, and every task has a name."""
    train, validation = (set(split.tasks.tolist()) for _, split in _splits(dataset))
    shared = sorted(train & validation)
    _require(not shared, f"task {shared[:1]} is in training and in validation: retrieval would be by heart")
    names = len(dataset.task_names)
    nameless = sorted(task for task in train | validation if not 0 <= task < names)
    _require(not nameless, f"task {nameless[:1]} has no name among {names}")


def _splits(dataset: GridDataset) -> Iterator[tuple[str, Sequences]]:
    yield "training", dataset.train
    yield "validation", dataset.validation


def _require_tensors(name: str, split: Sequences) -> None:
    for key, value in {"grids": split.grids, "sizes": split.sizes, "tasks": split.tasks, **split.labels}.items():
        _require(isinstance(value, Tensor), f"{key} of {name} are a {type(value).__name__}, not a tensor")


def _require(kept: bool, message: str) -> None:
    if not kept:
        raise ValueError(message)
