"""Embedding a run's data, or other, to a file: arrays of every sequence beside its task, split and labels.

Nothing is trained, and nothing in the run is written. Shows nothing by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import attrs
import numpy as np

from jepa_core import __version__
from jepa_core.contracts import SequenceDataset, Sequences
from jepa_core.engine.embedding import MEANINGS, Embedder, Name
from jepa_core.engine.embedding_files import Array, EmbeddingFile
from jepa_core.engine.evaluation import sequences_at_once
from jepa_core.engine.opened_run import OpenedRun, faults_told
from jepa_core.errors import RecipeError

Split = Literal["train", "validation", "all"]
USUAL: tuple[Name, ...] = ("state", "prediction", "target")
"""What is written unless more is asked for: tokens and codes take many times as much."""

_SPLITS = ("train", "validation")


@attrs.frozen(kw_only=True)
class EmbeddedRun:
    """What was written."""

    path: Path
    run: str
    step: int
    why: str
    """Why this checkpoint; empty when it was asked for by its step."""
    device: str
    data: str
    """The data in words."""
    num_sequences: int
    shapes: Mapping[str, tuple[int, ...]]
    """Of every array in the file, its rows first."""
    num_bytes: int
    """Of the file."""
    notes: tuple[str, ...]


@faults_told
def embed_run(
    opened: OpenedRun,
    output: Path,
    *,
    split: str = "all",
    names: Collection[str] = USUAL,
    replace: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> EmbeddedRun:
    """Write embeddings of the opened run's data; memory holds the data and a batch's embeddings.

    Args:
        opened: the run, its checkpoint and data.
        output: ends in .npz, .safetensors or .parquet.
        split: train, validation, or all: both.
        names: see `jepa_core.engine.embedding.MEANINGS`.
        replace: an existing file may be replaced.
        progress: is called with the sequences done and all that there are.

    Raises:
        JepaError: a name, the split, the output or the data is at fault. Nothing half-written remains.
    """
    if split not in get_args(Split):
        raise RecipeError(f"--split {split!r} is none. Use {', '.join(get_args(Split))}.")
    embedder = embedder_of(opened)
    wanted = embedder.names(names, has_target=True)
    # Filled in once the data is there; that the file can be written is seen before it is built.
    texts: dict[str, tuple[str, ...]] = {"split": _SPLITS}
    about = about_of(opened)
    with EmbeddingFile(output, texts=texts, about=about, replace=replace) as file:
        dataset = opened.dataset()
        texts["task"] = dataset.task_names
        about |= {"data": dataset.description, "data_fingerprint": dataset.fingerprint}
        about["arrays"] = {name: MEANINGS[name] for name in wanted}
        parts = {name: _split(dataset, name) for name in _SPLITS if split in (name, "all")}
        total, done = sum(map(len, parts.values())), 0
        for name, sequences in parts.items():
            for columns in _columns(embedder, sequences, wanted, _SPLITS.index(name)):
                file.append(columns)
                done += len(columns["split"])
                if progress:
                    progress(done, total)
        shapes = {name: (file.num_rows, *column.shape) for name, column in file.columns.items()}
    return EmbeddedRun(
        path=output,
        run=opened.reader.name,
        step=opened.chosen.checkpoint.step,
        why=opened.chosen.why,
        device=opened.compute.describe(),
        data=dataset.description,
        num_sequences=total,
        shapes=shapes,
        num_bytes=output.stat().st_size,
        notes=(*opened.chosen.notes, *dataset.notes),
    )


def embedder_of(opened: OpenedRun, chunk: int | None = None) -> Embedder:
    """Embeds with the opened checkpoint, `chunk` sequences at a time; `sequences_at_once` when not given."""
    chunk = chunk or sequences_at_once(opened.compute, opened.recipe.train.batch_size)
    return Embedder(model=opened.model, compute=opened.compute, chunk=chunk)


def about_of(opened: OpenedRun) -> dict[str, Any]:
    """What a file of embeddings says of where they come from."""
    return {
        "run": opened.reader.name,
        "recipe": opened.trained.name,
        "step": opened.chosen.checkpoint.step,
        "epoch": opened.model.epoch if math.isfinite(opened.model.epoch) else None,
        "precision": opened.compute.precision,
        "jepa_core": __version__,
    }


def _split(dataset: SequenceDataset, name: str) -> Sequences:
    return dataset.train if name == "train" else dataset.validation


def _columns(
    embedder: Embedder, sequences: Sequences, names: Collection[Name], split: int
) -> Iterator[Mapping[str, Array]]:
    """The file's columns for a split, a batch at a time; labels are named `labels.NAME`, as `arrays` reads them."""
    start = 0
    for arrays in embedder.embed(sequences.observations, names):
        embedded: dict[str, Array] = {name: array.numpy() for name, array in arrays.items()}
        stop = start + len(next(iter(embedded.values())))
        rows = slice(start, stop)
        yield {
            **embedded,
            "index": np.arange(start, stop),
            "split": np.full(stop - start, split),
            "task": sequences.tasks[rows].cpu().numpy(),
            **{f"labels.{name}": values[rows].cpu().numpy() for name, values in sequences.labels.items()},
        }
        start = stop
