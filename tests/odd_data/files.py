"""Odd files of every kind that the built-in datasets read: each writes its data into a folder, and returns `[data]`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Data = dict[str, Any]
"""The table `data` of a recipe."""

Grid = list[list[int]]


def _grids(num: int, height: int, width: int, *, seed: int = 0) -> list[Grid]:
    drawn: list[Grid] = np.random.default_rng(seed).integers(0, 10, (num, height, width)).tolist()
    return drawn


def _blank(num: int, height: int, width: int) -> list[Grid]:
    return [[[0] * width for _ in range(height)] for _ in range(num)]


def arc(folder: Path, training: Sequence[Sequence[Grid]], evaluation: Sequence[Sequence[Grid]]) -> Data:
    """Tasks as lists of grids, an input and an output in turn; the last pair is the test."""
    for side, tasks in (("training", training), ("evaluation", evaluation)):
        (folder / side).mkdir()
        for number, grids in enumerate(tasks):
            pairs = [{"input": grids[i], "output": grids[i + 1]} for i in range(0, len(grids) - 1, 2)]
            task = {"train": pairs[:-1], "test": pairs[-1:]}
            (folder / side / f"{side[0]}{number}.json").write_text(json.dumps(task))
    return {"kind": "arc", "path": str(folder)}


def manifest(folder: Path, records: Sequence[Mapping[str, Any]], **settings: Any) -> Data:
    path = folder / "grids.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return {"kind": "manifest", "path": str(path), "validation_share": 0.4, **settings}


def arrays(folder: Path, observations: Any, observed_as: str, holds: str, **others: Any) -> Data:
    """An .npz; others are arrays of it, or settings."""
    path = folder / "arrays.npz"
    beside: dict[str, Any] = {
        name.replace("__", "."): value for name, value in others.items() if isinstance(value, np.ndarray)
    }
    settings = {name: value for name, value in others.items() if not isinstance(value, np.ndarray)}
    with np.errstate(all="ignore"):
        np.savez(path, observations=observations, **beside)
    share = {"validation_share": 0.4, "context_length": 1}
    return {"kind": "arrays", "path": str(path), "observed_as": observed_as, "holds": holds, **share, **settings}


def images(folder: Path, sizes: Sequence[Sequence[tuple[int, int]]], mode: str = "L", **settings: Any) -> Data:
    """Recordings of frames of some sizes, all black."""
    from PIL import Image

    for number, frames in enumerate(sizes):
        (folder / f"recording {number}").mkdir()
        for time, size in enumerate(frames):
            Image.new(mode, size).save(folder / f"recording {number}" / f"{time}.png")
    return {"kind": "images", "path": str(folder), "context_length": 1, "validation_share": 0.4, **settings}


def _normal(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def _with(value: float) -> np.ndarray[Any, Any]:
    drawn = _normal(6, 3, 4, 2)
    drawn[1, 1, 1, 1] = value
    return drawn


def _series(observations: Callable[[], Any], **others: Any) -> Callable[[Path], Data]:
    return lambda folder: arrays(folder, observations(), "series", "sequences", **others)


def _recording(observations: Callable[[], Any], observed_as: str = "series", **others: Any) -> Callable[[Path], Data]:
    return lambda folder: arrays(folder, observations(), observed_as, "recording", **others)


def _vectors(observations: Callable[[], Any], **others: Any) -> Callable[[Path], Data]:
    return lambda folder: arrays(folder, observations(), "vectors", "sequences", **others)


def _pictures(observations: Callable[[], Any], **others: Any) -> Callable[[Path], Data]:
    return lambda folder: arrays(folder, observations(), "images", "sequences", **others)


def _bytes(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


ODD_FILES: Mapping[str, Mapping[str, Callable[[Path], Data]]] = {
    "grid": {
        "blank tasks": lambda folder: arc(folder, [_blank(4, 3, 3)] * 8, [_blank(4, 3, 3)] * 3),
        "one task": lambda folder: arc(folder, [_grids(4, 2, 3)], [_grids(4, 2, 3, seed=1)]),
        "one pair": lambda folder: arc(folder, [_grids(2, 2, 3)], [_grids(2, 2, 3, seed=1)]) | {"context_length": 1},
        "single cells": lambda folder: arc(folder, [_grids(4, 1, 1, seed=i) for i in range(4)], [_grids(4, 1, 1)] * 2),
        "strips": lambda folder: arc(folder, [_grids(4, 1, 30, seed=i) for i in range(4)], [_grids(4, 30, 1)] * 2),
        "mixed sizes": lambda folder: arc(
            folder,
            [_grids(2, 1, 5, seed=i) + _grids(2, 6, 2) for i in range(4)],
            [_blank(2, 1, 1) + _grids(2, 3, 30)] * 3,
        ),
        "a task without pairs": lambda folder: arc(folder, [[], _grids(4, 2, 2)], [[], _grids(4, 2, 2)]),
        "largest colours": lambda folder: arc(folder, [[[[9] * 3] * 3] * 4] * 3, [[[[9, 8, 9]] * 3] * 4] * 3),
        "two records": lambda folder: manifest(folder, [{"input": [[1]], "output": [[2]]}] * 2, context_length=1),
        "repeated grids": lambda folder: manifest(
            folder, [{"input": g, "output": g} for g in _grids(8, 2, 2)], short_context="repeat"
        ),
        "one rule": lambda folder: manifest(
            folder,
            [{"input": [[i]], "output": [[1]], "rule_trace": [{"primitive": ""}]} for i in range(6)],
            context_length=1,
        ),
        "no rule": lambda folder: manifest(
            folder, [{"input": [[i]], "output": [[1]], "rule_trace": []} for i in range(6)], context_length=1
        ),
    },
    "series": {
        "one huge": _series(lambda: _with(1e30)),
        "all huge": _series(lambda: _normal(6, 3, 4, 2) * np.float32(1e30)),
        "tiny": _series(lambda: _normal(6, 3, 4, 2) * np.float32(1e-30)),
        "denormal": _series(lambda: _normal(6, 3, 4, 2) * np.float32(1e-42)),
        "whole numbers": _series(lambda: np.arange(144).reshape(6, 3, 4, 2)),
        "truths": _series(lambda: np.arange(144).reshape(6, 3, 4, 2) % 3 == 0),
        "constant": _series(lambda: np.ones((6, 3, 4, 2))),
        "one channel of one step": _series(lambda: _normal(6, 3, 1, 1)),
        "two sequences": _series(lambda: _normal(2, 3, 4, 2)),
        "one validates": _series(lambda: _normal(6, 3, 4, 2), split=np.array([0, 0, 0, 0, 0, 1])),
        "task ids apart": _series(lambda: _normal(6, 3, 4, 2), tasks=np.array([5, 5, 2**60, 9, 9, 0])),
        "just enough": _recording(lambda: _normal(8, 1), length=2, stride=1),
        "constant recording": _recording(lambda: np.zeros((40, 1)), length=4),
        "step by step": _recording(lambda: _normal(12, 1), length=1, stride=1),
        "long stride": _recording(lambda: _normal(60, 1), length=2, stride=50),
    },
    "vector": {
        "one number": _vectors(lambda: _normal(8, 2, 1)),
        "equal": _vectors(lambda: np.full((8, 2, 3), 7)),
        "zeros": _vectors(lambda: np.zeros((8, 2, 3))),
        "huge": _vectors(lambda: _normal(8, 2, 3) * np.float32(1e38)),
        "huge and tiny": _vectors(lambda: _normal(8, 2, 3) * np.array([1e30, 1e-30, 1], np.float32)),
        "one class": _vectors(lambda: _normal(8, 2, 3), labels__x=np.zeros(8, np.int64)),
        "classes of one": _vectors(lambda: _normal(8, 2, 3), labels__x=np.arange(8)),
        "far classes": _vectors(lambda: _normal(8, 2, 3), labels__x=(np.arange(8) % 2) * 2**62),
        "numbers": _vectors(lambda: _normal(8, 2, 3), labels__x=np.arange(8) * 1e300),
        "recording of one number": _recording(lambda: _normal(12, 1), "vectors"),
    },
    "image": {
        "a pixel": _pictures(lambda: _bytes(6, 2, 1, 1, 1)),
        "a pixel without channel": _pictures(lambda: _bytes(6, 2, 1, 1)),
        "black": _pictures(lambda: np.zeros((6, 2, 5, 4, 1), np.uint8)),
        "white floats": _pictures(lambda: np.ones((6, 2, 1, 5, 4), np.float32)),
        "two channels": _pictures(lambda: _bytes(6, 2, 5, 4, 2)),
        "a line": _pictures(lambda: _bytes(6, 2, 1, 30, 1)),
        "sizes apart": lambda folder: images(folder, [[(3, 9), (1, 1), (9, 2)]] * 3, height=4, width=4, channels=1),
        "one recording": lambda folder: images(folder, [[(3, 3)] * 4], height=4, width=4),
        "to a pixel": lambda folder: images(folder, [[(3, 3)] * 2] * 3, height=1, width=1, channels=1),
        "from a pixel": lambda folder: images(folder, [[(1, 1)] * 2] * 3, "1", height=8, width=8),
        "crops of a pixel": lambda folder: images(folder, [[(1, 1)]] * 4, height=4, width=4, frames="crops"),
        "palette": lambda folder: images(folder, [[(3, 3)] * 2] * 3, "P", height=4, width=4),
    },
}
"""Kind of space → name → what writes it: odd, and something can be trained on it."""

REFUSED_FILES: Mapping[str, Mapping[str, Callable[[Path], Data]]] = {
    "grid": {
        "too few pairs": lambda folder: arc(folder, [_grids(2, 2, 3)], [_grids(2, 2, 3, seed=1)]),
        "no task": lambda folder: arc(folder, [], []),
        "all left out": lambda folder: arc(folder, [_grids(4, 3, 3)], [_grids(4, 3, 3)]) | {"max_side": 2},
        "an empty grid": lambda folder: arc(folder, [[[[]], *_grids(3, 2, 2)]], [_grids(4, 2, 2)]),
        "a colour too many": lambda folder: arc(folder, [[[[10]], *_grids(3, 1, 1)]], [_grids(4, 2, 2)]),
        "one record": lambda folder: manifest(folder, [{"input": [[1]], "output": [[2]]}], context_length=1),
        "one id": lambda folder: manifest(
            folder, [{"id": "same", "input": [[i]], "output": [[i]]} for i in range(6)], context_length=1
        ),
        "no record": lambda folder: manifest(folder, []),
        "numbers as ids": lambda folder: manifest(
            folder, [{"id": 10**30 * i, "input": [[i]], "output": [[1]]} for i in range(6)], context_length=1
        ),
    },
    "series": {
        "missing": _series(lambda: _with(np.nan)),
        "infinite": _series(lambda: _with(np.inf)),
        "too huge": _series(lambda: _normal(6, 3, 4, 2).astype(np.float64) * 1e200),
        "huge whole numbers": _series(lambda: np.full((6, 3, 4, 2), 2**63, np.uint64)),
        "complex": _series(lambda: np.zeros((6, 3, 4, 2), np.complex64)),
        "texts": _series(lambda: np.full((6, 3, 4, 2), "a")),
        "no channel": _series(lambda: _normal(6, 3, 4, 0)),
        "no step": _series(lambda: _normal(6, 3, 0, 2)),
        "no sequence": _series(lambda: _normal(0, 3, 4, 2)),
        "one sequence": _series(lambda: _normal(1, 3, 4, 2)),
        "one place": _series(lambda: _normal(6, 1, 4, 2)),
        "context longer": _series(lambda: _normal(6, 3, 4, 2), context_length=7),
        "none validates": _series(lambda: _normal(6, 3, 4, 2), split=np.zeros(6, np.int64)),
        "none trains": _series(lambda: _normal(6, 3, 4, 2), split=np.ones(6, np.int64)),
        "one task": _series(lambda: _normal(6, 3, 4, 2), tasks=np.zeros(6, np.int64)),
        "labels missing": _series(lambda: _normal(6, 3, 4, 2), labels__x=np.full(6, np.nan)),
        "labels none": _series(lambda: _normal(6, 3, 4, 2), labels__x=np.zeros(0, np.int64)),
        "negative labels": _series(lambda: _normal(6, 3, 4, 2), labels__x=np.full(6, -1)),
        "short recording": _recording(lambda: _normal(5, 1), length=4),
        "empty recording": _recording(lambda: _normal(0, 1), length=4),
    },
    "vector": {
        "no number": _vectors(lambda: _normal(8, 2, 0)),
        "two steps": _recording(lambda: _normal(2, 3), "vectors"),
        "a single number": lambda folder: arrays(folder, np.float32(1.0), "vectors", "recording"),
    },
    "image": {
        "too bright": _pictures(lambda: _normal(6, 2, 1, 5, 4) * 9),
        "no pixel": _pictures(lambda: _bytes(6, 2, 0, 4, 1)),
        "whole numbers": _pictures(lambda: np.ones((6, 2, 5, 4, 1), np.int32)),
        "one frame": lambda folder: images(folder, [[(3, 3)]] * 3, height=4, width=4),
        "one recording of two frames": lambda folder: images(folder, [[(3, 3)] * 2], height=4, width=4),
        "no image": lambda folder: images(folder, []),
    },
}
"""Likewise, and nothing can be trained on it, which has to be said."""
