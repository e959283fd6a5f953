"""What holds for datasets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attrs
import torch

from jepa_core.conformance.trial import Trial
from jepa_core.conformance.violation import NotApplicable, require
from jepa_core.contracts import GridDataset, Sequences
from jepa_core.facts import OUTSIDE, DatasetFacts


def built(trial: Trial) -> None:
    """`build` gives a `GridDataset`."""
    dataset = trial.subject.dataset
    require(isinstance(dataset, GridDataset), f"build returns {type(dataset).__name__}, not GridDataset")


def typed(trial: Trial) -> None:
    """Grids are square bytes, everything else whole numbers, and both splits alike."""
    shapes = set()
    for name, split in _splits(trial):
        sequences, grids, height, width = split.grids.shape
        require(sequences > 0, f"{name} has no sequence")
        require(grids >= 2, f"{name} has sequences of {grids} grid: context and target are two")
        require(height == width, f"grids of {name} are {height} × {width}, not square")
        tensors = {"sizes": split.sizes, "tasks": split.tasks, **split.labels}
        require(split.grids.dtype == torch.uint8, f"grids of {name} are {split.grids.dtype}, not torch.uint8")
        for key, tensor in tensors.items():
            shape = (sequences, grids, 2) if key == "sizes" else (sequences,)
            require(tensor.dtype == torch.int64, f"{key} of {name} are {tensor.dtype}, not torch.int64")
            require(tuple(tensor.shape) == shape, f"{key} of {name} are {tuple(tensor.shape)}, not {shape}")
        shapes.add((grids, height))
    require(len(shapes) == 1, f"training and validation differ in grids and side: {sorted(shapes)}")
    labels = [sorted(split.labels) for _, split in _splits(trial)]
    require(labels[0] == labels[1], f"training has the labels {labels[0]}, validation {labels[1]}")


def content_top_left(trial: Trial) -> None:
    """Content stands top left, and the rest is outside."""
    for name, split in _splits(trial):
        side = split.grids.shape[-1]
        smallest, largest = int(split.sizes.min()), int(split.sizes.max())
        require(1 <= smallest <= largest <= side, f"sizes of {name} are {smallest} … {largest}, on a side of {side}")
        cells = torch.arange(side)
        is_inside = (cells[:, None] < split.sizes[..., :1, None]) & (cells < split.sizes[..., 1:, None])
        wrong = ((split.grids < OUTSIDE) != is_inside) | (split.grids > OUTSIDE)
        where = wrong.nonzero()[:1].tolist()
        require(not where, f"{name} has {int(wrong.sum())} cells not as its sizes say, first grids{where and where[0]}")


def split_by_task(trial: Trial) -> None:
    """No task is on both sides, and every task has a name."""
    train, validation = (set(split.tasks.tolist()) for _, split in _splits(trial))
    shared = sorted(train & validation)
    require(not shared, f"task {shared[:1]} is in training and in validation: retrieval would be by heart")
    names = len(trial.subject.dataset.task_names)
    nameless = sorted(task for task in train | validation if not 0 <= task < names)
    require(not nameless, f"task {nameless[:1]} has no name among {names}")


def says_what_it_is(trial: Trial) -> None:
    """A description on one line, and notes that say something."""
    dataset = trial.subject.dataset
    require(bool(dataset.description.strip()), "the description is empty")
    require("\n" not in dataset.description, "the description has several lines")
    require(all(note.strip() for note in dataset.notes), "a note is empty")


def fingerprinted(trial: Trial) -> None:
    """Equal settings give equal data and fingerprints, other data another fingerprint."""
    dataset, again = trial.subject.dataset, trial.config.build(DatasetFacts(seed=0))
    is_sha = re.fullmatch(r"[0-9a-f]{64}", dataset.fingerprint) is not None
    require(is_sha, f"the fingerprint {dataset.fingerprint!r} is no SHA-256 in hexadecimal")
    require(again.fingerprint == dataset.fingerprint, "built again, it has another fingerprint")
    for split, same in ((dataset.train, again.train), (dataset.validation, again.validation)):
        for key in ("grids", "sizes", "tasks"):
            equal = torch.equal(getattr(split, key), getattr(same, key))
            require(equal, f"built again, it has other {key} under the same fingerprint")
    shorter = _with_fewer_grids(trial.config)
    if shorter is not None:
        other = shorter.build(DatasetFacts(seed=0)).fingerprint
        require(other != dataset.fingerprint, f"context_length = {shorter.context_length} has the same fingerprint")


def _splits(trial: Trial) -> Iterator[tuple[str, Sequences]]:
    dataset = trial.subject.dataset
    if not isinstance(dataset, GridDataset):
        raise NotApplicable("it builds no GridDataset")
    yield "training", dataset.train
    yield "validation", dataset.validation


def _with_fewer_grids(config: Any) -> Any:
    """The configuration with fewer context grids, as few as it takes; None when it takes no other number."""
    for context_length in range(1, getattr(config, "context_length", 1)):
        try:
            return attrs.evolve(config, context_length=context_length)
        except ValueError:
            continue
    return None
