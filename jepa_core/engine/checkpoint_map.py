"""A run's checkpoint as a picture's content: sequences on a plane, coloured by a label, and nearest neighbours.

Nothing is trained, and nothing in the run is written. Knows runs and data; draws nothing.

Shapes: S sequences on the map, Q queries, K neighbours of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

import attrs
import torch
from torch import Tensor

from jepa_core.contracts import SequenceDataset, Sequences, Space
from jepa_core.dataset_checks import TASK
from jepa_core.engine.checkpoint_embedding import embedder_of
from jepa_core.engine.embedding_map import MAPS, Agreement, PlaneMap, agreement, evenly, nearest_of_others, require_umap
from jepa_core.engine.opened_run import OpenedRun, faults_told
from jepa_core.engine.representation import unit_length
from jepa_core.errors import DataError, RecipeError
from jepa_core.spaces import HasPictures

MappedArray = Literal["state", "prediction", "target"]
Split = Literal["validation", "train"]

FEWEST_POINTS = 3
"""Two points always lie on a line, and show nothing."""
MOST_POINTS = 5000
MOST_ROWS = 20
NUM_NEIGHBOURS = 5

FEWEST_CLASSES, MOST_CLASSES = 2, 20
"""Of a label that is chosen by itself; the most are also what a legend holds."""


@attrs.frozen(kw_only=True, eq=False)
class Colouring:
    """A label of the sequences on the map."""

    label: str
    values: Tensor
    """(S,): int64 classes, or real numbers."""
    names: Mapping[int, str] = attrs.field(factory=dict)
    """Of tasks."""

    @property
    def is_shared(self) -> bool:
        """Whether it has classes that several tasks may share."""
        return not (self.names or self.values.is_floating_point())

    @property
    def num_classes(self) -> int:
        """0 for real numbers."""
        return 0 if self.values.is_floating_point() else len(self.values.unique())

    @property
    def has_colours(self) -> bool:
        """Whether points are drawn in its colours: numbers have a scale, and classes a legend that holds a few."""
        return self.num_classes <= MOST_CLASSES

    def text(self, value: float) -> str:
        """One of the values in words."""
        return self.names.get(value, str(value)) if isinstance(value, int) else f"{value:.3g}"


@attrs.frozen(kw_only=True, eq=False)
class NeighbourRows:
    """Some sequences, each with the nearest of other tasks."""

    rows: Tensor
    """(Q, 1 + K) int64: positions on the map, the query first; −1 where there are no more."""
    similarities: Tensor
    """(Q, 1 + K) float32: cosines of the embeddings with the query's."""
    tasks: tuple[tuple[str, ...], ...]
    """Names of the tasks of `rows`; empty where there are no more."""
    pictures: Tensor
    """(Q, 1 + K, H, W, 3), red, green and blue between 0 and 1."""
    shown: str
    """Which observation of a sequence the pictures are of."""
    agreement: Agreement | None
    """How often neighbours share the label, over all of the map; None without a label that tasks may share."""


@attrs.frozen(kw_only=True, eq=False)
class RunMap:
    """What there is to draw, and where it comes from."""

    run: str
    step: int
    why: str
    """Why this checkpoint; empty when it was asked for by its step."""
    device: str
    array: str
    split: str
    data: str
    """The data in words."""
    num_sequences: int
    """Of the split."""
    plane: PlaneMap
    colouring: Colouring | None
    labels: tuple[str, ...]
    """What there is to colour by."""
    neighbours: NeighbourRows | None
    notes: tuple[str, ...]

    @property
    def why_no_colours(self) -> str:
        """Why points are drawn without colours; empty where they have them."""
        if self.colouring is None:
            found = f"no label has {FEWEST_CLASSES} to {MOST_CLASSES} classes"
            return found if len(self.labels) > 1 else "this data has no labels besides its tasks"
        if self.colouring.has_colours:
            return ""
        return f"{self.colouring.label} has {self.colouring.num_classes:,} classes, and a legend holds {MOST_CLASSES}"


@faults_told
def map_run(
    opened: OpenedRun,
    *,
    split: str = "validation",
    array: str = "prediction",
    label: str = "",
    method: str = "pca",
    num_rows: int = 6,
    progress: Callable[[int, int], None] | None = None,
) -> RunMap:
    """Embed up to `MOST_POINTS` sequences of the opened run's data and lay them out.

    Args:
        opened: the run, its checkpoint and data.
        split: validation or train.
        array: state, prediction or target.
        label: what to colour by; the first with a few classes when empty.
        method: pca or umap.
        num_rows: rows of nearest neighbours, 0 … `MOST_ROWS`, where the data's space can be drawn.
        progress: is called with the sequences embedded and all that there are.

    Raises:
        JepaError: an argument or the data is at fault, or embeddings are not finite.
    """
    _check("--split", split, get_args(Split))
    _check("--array", array, get_args(MappedArray))
    _check("--map", method, tuple(MAPS))
    if not 0 <= num_rows <= MOST_ROWS:
        raise RecipeError(f"--neighbours {num_rows} is no number of rows. Give 0 … {MOST_ROWS}.")
    if method == "umap":
        require_umap()
    dataset = opened.dataset()
    whole = dataset.validation if split == "validation" else dataset.train
    _check_enough(len(whole), split)
    sequences = whole.rows(evenly(len(whole), MOST_POINTS))
    colouring = _colouring(sequences, dataset, label)
    embeddings = _embedded(opened, sequences, array, progress)
    plane = MAPS[method](embeddings)
    space = opened.model.shape.space
    reason = _why_no_neighbours(space, sequences.tasks)
    notes = _notes(len(sequences), len(whole), plane, reason if num_rows else "")
    return RunMap(
        run=opened.reader.name,
        step=opened.chosen.checkpoint.step,
        why=opened.chosen.why,
        device=opened.compute.describe(),
        array=array,
        split=split,
        data=dataset.description,
        num_sequences=len(whole),
        plane=plane,
        colouring=colouring,
        labels=_labels(sequences),
        neighbours=(
            _neighbours(
                space, sequences, embeddings, colouring, task_names=dataset.task_names, array=array, num_rows=num_rows
            )
            if num_rows and isinstance(space, HasPictures) and not reason
            else None
        ),
        notes=(*opened.chosen.notes, *dataset.notes, *notes),
    )


def _check(flag: str, value: str, known: tuple[str, ...]) -> None:
    """
    Raises:
        RecipeError: the value is none of the known.
    """
    if value not in known:
        raise RecipeError(f"{flag} {value!r} is none. Use {', '.join(known)}.")


def _check_enough(num: int, split: str) -> None:
    """
    Raises:
        DataError: these are too few sequences for a map.
    """
    if num < FEWEST_POINTS:
        raise DataError(
            f"The {split} split has {num} sequence{'s' if num > 1 else ''}, and a map needs {FEWEST_POINTS} or more. "
            f"Draw the other with --split {'train' if split == 'validation' else 'validation'}, or give more data "
            "with --set, such as data.validation_share=0.3 or data.path=FILE."
        )


def _labels(sequences: Sequences) -> tuple[str, ...]:
    return (*sequences.labels, TASK)


def _colouring(sequences: Sequences, dataset: SequenceDataset, wanted: str) -> Colouring | None:
    """By the label that is wanted, else by the first with a few classes; None where none has.

    Raises:
        RecipeError: there is no such label.
    """
    values = {TASK: sequences.tasks, **sequences.labels}
    if wanted and wanted not in values:
        raise RecipeError(f"--label {wanted!r}: the data has no such label. There are {', '.join(_labels(sequences))}.")
    few = (name for name in _labels(sequences) if FEWEST_CLASSES <= len(values[name].unique()) <= MOST_CLASSES)
    label = wanted or next(few, None)
    if label is None:
        return None
    is_task = values[label] is sequences.tasks
    return Colouring(
        label=label, values=values[label].cpu(), names=dict(enumerate(dataset.task_names)) if is_task else {}
    )


def _embedded(
    opened: OpenedRun, sequences: Sequences, array: str, progress: Callable[[int, int], None] | None
) -> Tensor:
    """(S, D) float32 on the CPU.

    Raises:
        DataError: they are not finite.
    """
    embedder = embedder_of(opened)
    names, parts, done = embedder.names((array,), has_target=True), [], 0
    for arrays in embedder.embed(sequences.observations, names):
        parts.append(arrays[names[0]])
        done += len(parts[-1])
        if progress:
            progress(done, len(sequences))
    embeddings = torch.cat(parts)
    num_wrong = int((~embeddings.isfinite().all(1)).sum())
    if num_wrong:
        raise DataError(
            f"Of {len(embeddings):,} {array}s {num_wrong:,} are not finite: step {opened.chosen.checkpoint.step} of "
            f"{opened.reader.name} cannot be drawn. Try another checkpoint with --step."
        )
    return embeddings


def _why_no_neighbours(space: Space, tasks: Tensor) -> str:
    """Empty where there are neighbours to show."""
    if not isinstance(space, HasPictures):
        return f"no nearest neighbours: {space.plural} have no pictures"
    return "no nearest neighbours: there is no other task" if bool((tasks == tasks[0]).all()) else ""


def _neighbours(
    space: HasPictures,
    sequences: Sequences,
    embeddings: Tensor,
    colouring: Colouring | None,
    *,
    task_names: Sequence[str],
    array: str,
    num_rows: int,
) -> NeighbourRows:
    """Of queries that are evenly spread over the label's values."""
    tasks = sequences.tasks.cpu()
    nearest = nearest_of_others(embeddings, tasks, NUM_NEIGHBOURS)
    order = torch.arange(len(tasks)) if colouring is None else colouring.values.argsort(stable=True)
    queries = order[evenly(len(order), num_rows)]
    rows = torch.cat([queries[:, None], nearest[queries]], 1)
    unit = unit_length(embeddings)
    numbers = torch.where(rows >= 0, tasks[rows], -1)
    place, shown = (-1, "target") if array == "target" else (-2, "last observation of context")
    pictures = space.pictures(sequences.observations[rows.clamp(min=0).flatten(), place])
    return NeighbourRows(
        rows=rows,
        similarities=(unit[queries, None] * unit[rows]).sum(-1),
        tasks=tuple(tuple(task_names[number] if number >= 0 else "" for number in row) for row in numbers.tolist()),
        pictures=pictures.cpu().unflatten(0, rows.shape),
        shown=shown,
        agreement=agreement(nearest, colouring.values, tasks) if colouring and colouring.is_shared else None,
    )


def _notes(num_shown: int, num: int, plane: PlaneMap, reason: str) -> list[str]:
    """What is to be known of the picture; `reason` for neighbours that are missing."""
    notes = [reason] if reason else []
    if num_shown < num:
        notes.append(f"{num_shown:,} of {num:,} sequences are drawn, evenly chosen")
    if plane.explained == (0.0, 0.0):
        notes.append("all embeddings are equal but for rounding: the model has collapsed")
    return notes
