"""What the data is like before anything is trained on it: duplicates, copies, empty grids, sizes, objects.

Knows grids and splits; of the encoder it knows at most how many objects it takes.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.audit.report import DataFigures, Spread
from jepa_core.contracts import ComponentConfig, GridDataset, Sequences
from jepa_core.engine.nulls import ChosenNulls, rank_nulls
from jepa_core.engine.retrieval import CandidateList
from jepa_core.facts import OUTSIDE
from jepa_core.recipe.tables import Recipe
from jepa_core.registry import installed
from jepa_core.watch.findings import Finding
from jepa_core.watch.nulls import FEWEST_CANDIDATES, RankedNulls

MOST_SEQUENCES = 100_000
"""Sequences of a split that are looked at."""

OBJECT_GRIDS = 1024
"""Grids whose objects are counted."""

RETRIEVAL_SEQUENCES = 1000

MUCH_SHARED = 0.02
"""Share of validation that is in training too from which even an official split is warned of."""

_ROWS_AT_ONCE = 4096


def audit_data(recipe: Recipe, dataset: GridDataset, *, with_retrieval: bool = True) -> DataFigures:
    """All figures of a dataset."""
    train, validation = _head(dataset.train, MOST_SEQUENCES), _head(dataset.validation, MOST_SEQUENCES)
    keys, validation_keys = (dataset.space.keys(split.observations) for split in (train, validation))
    pairs, validation_pairs = _joined(keys), _joined(validation_keys)
    grids = torch.cat([train.grids, validation.grids])
    both = torch.cat([keys, validation_keys])
    empty = _empty(grids)
    sizes = torch.cat([train.sizes, validation.sizes]).flatten(0, 1).float()
    counts = _object_counts(grids)
    limit = getattr(recipe.encoder, "max_objects", None)
    return DataFigures(
        description=dataset.description,
        train_sequences=len(dataset.train),
        validation_sequences=len(dataset.validation),
        audited_sequences=len(train) + len(validation),
        context_length=grids.shape[1] - 1,
        identical_context=_identical(both),
        across_splits=float(torch.isin(validation_pairs, pairs).float().mean()),
        repeated_in_train=1 - len(pairs.unique()) / max(1, len(pairs)),
        shared_tasks=_shared_tasks(dataset),
        empty_grids=float(empty.float().mean()),
        empty_targets=float(empty[:, -1].float().mean()),
        target_in_context=float((both[:, :-1] == both[:, -1:]).any(1).float().mean()),
        height=_spread(sizes[:, 0]),
        width=_spread(sizes[:, 1]),
        objects=_spread(counts),
        object_limit=limit,
        objects_cut=float((counts - limit).clamp(min=0).sum() / counts.sum().clamp(min=1)) if limit else 0.0,
        nulls=_nulls(recipe, dataset) if with_retrieval else RankedNulls(),
    )


def _nulls(recipe: Recipe, dataset: GridDataset) -> RankedNulls:
    """What learns nothing, on the first validation sequences."""
    split = _head(dataset.validation, RETRIEVAL_SEQUENCES)
    chosen = ChosenNulls.of(recipe, installed())
    return rank_nulls(chosen, dataset, CandidateList(dataset.space, split.observations), None).ranked


def identical_context(dataset: GridDataset, most: int = MOST_SEQUENCES) -> float:
    """Share of training sequences whose context grids are all equal."""
    return _identical(dataset.space.keys(dataset.train.observations[:most]))


def _identical(keys: Tensor) -> float:
    if keys.shape[1] < 3:
        return 0.0
    return float((keys[:, 1:-1] == keys[:, :1]).all(1).float().mean())


def _head(sequences: Sequences, count: int) -> Sequences:
    """The first `count` sequences."""
    return sequences.rows(slice(count))


def _joined(keys: Tensor) -> Tensor:
    """(S, G) to (S,): a key of the whole sequence, order included."""
    factors = torch.arange(1, keys.shape[1] + 1) * 0x9E3779B97F4A7C1 + 2
    return (keys * factors).sum(1)


def _empty(grids: Tensor) -> Tensor:
    """(S, G) bool: no cell of a colour other than the background."""
    parts = [~((part != 0) & (part < OUTSIDE)).flatten(2).any(-1) for part in grids.split(_ROWS_AT_ONCE)]
    return torch.cat(parts)


def _object_counts(grids: Tensor) -> Tensor:
    """(K,) float: objects of a sample of grids."""
    every = max(1, len(grids) * grids.shape[1] // OBJECT_GRIDS)
    return count_objects(grids.flatten(0, 1)[::every][:OBJECT_GRIDS]).float()


def count_objects(grids: Tensor) -> Tensor:
    """Grids (M, H, W) to (M,): 4-connected components of one colour; background and outside are none."""
    num_grids, height, width = grids.shape
    labels = torch.arange(num_grids * height * width, device=grids.device).view(grids.shape)
    framed = F.pad(grids.to(torch.int16), (1, 1, 1, 1), value=-1)
    same = [_shifted(framed, dy, dx) == grids for dy, dx in _NEIGHBOURS]
    start = labels.clone()
    while True:
        framed_labels = F.pad(labels, (1, 1, 1, 1), value=start.numel())
        least = labels
        for is_same, (dy, dx) in zip(same, _NEIGHBOURS, strict=True):
            least = torch.where(is_same, torch.minimum(least, _shifted(framed_labels, dy, dx)), least)
        # A label is a cell: its own label is nearer to the first cell of the component.
        least = least.flatten()[least.flatten()].view(least.shape)
        if torch.equal(least, labels):
            break
        labels = least
    is_object = (grids != 0) & (grids < OUTSIDE)
    return ((labels == start) & is_object).flatten(1).sum(1)


_NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1))


def _shifted(framed: Tensor, dy: int, dx: int) -> Tensor:
    height, width = framed.shape[1] - 2, framed.shape[2] - 2
    return framed[:, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]


def _spread(values: Tensor) -> Spread:
    return Spread(minimum=float(values.min()), median=float(values.median()), maximum=float(values.max()))


def split_faults(dataset: GridDataset, most: int, *, official: bool = False) -> Iterator[Finding]:
    """What of validation is in training too, among the first `most` sequences of each.

    `official` says that the data came split, and nobody here can split it otherwise.
    """
    train, validation = (
        _joined(dataset.space.keys(part.observations[:most])) for part in (dataset.train, dataset.validation)
    )
    across = float(torch.isin(validation, train).float().mean())
    yield from _split_findings(_shared_tasks(dataset), across, official)


def comes_split(config: ComponentConfig) -> bool:
    """Whether a dataset's split is its own: no setting says how much of it validates."""
    return not hasattr(config, "validation_share")


def candidate_findings(dataset: GridDataset) -> Iterator[Finding]:
    """That retrieval on validation has too few distinct targets to say anything."""
    count = len(dataset.space.keys(dataset.validation.observations[:, -1]).unique())
    if count < FEWEST_CANDIDATES:
        yield Finding(
            name="few candidates",
            severity="critical" if count == 1 else "warning",
            message="Validation has one distinct target: whatever the model does, it is found first."
            if count == 1
            else f"Validation has {count} distinct targets: under {FEWEST_CANDIDATES} retrieval says nothing, "
            "and no verdict is made of it.",
            evidence={"candidates": count},
            advice="Validate on more tasks: a larger data.validation_share, or more data.",
        )


def _shared_tasks(dataset: GridDataset) -> int:
    return int(torch.isin(dataset.validation.tasks.unique(), dataset.train.tasks.unique()).sum())


def _split_findings(shared_tasks: int, across_splits: float, official: bool) -> Iterator[Finding]:
    if shared_tasks:
        yield Finding(
            name="tasks on both sides",
            severity="critical",
            message=f"{shared_tasks:,} tasks are in training and in validation.",
            evidence={"tasks": shared_tasks},
            advice="Split by task: what validation says of unseen tasks is not so.",
        )
    if across_splits > 0:
        yield Finding(
            name="duplicates across splits",
            severity="info" if official and across_splits < MUCH_SHARED else "warning",
            message=f"{100 * across_splits:.1f} % of the validation sequences are in training too, grid by grid"
            + (", as the data came split." if official else "."),
            evidence={"share": across_splits},
            advice="Figures on this split are comparable with others' on it, and too good by as much."
            if official
            else "Take duplicates out of the data before it is split: validation is too good by as much.",
        )


def data_findings(figures: DataFigures, *, official: bool = False) -> Iterator[Finding]:
    """What is wrong with the data, or worth knowing; `official` says that it came split."""
    yield from _split_findings(figures.shared_tasks, figures.across_splits, official)
    if figures.identical_context > 0:
        yield _identical_context_finding(figures)
    if figures.empty_targets > 0:
        yield Finding(
            name="empty targets",
            severity="warning" if figures.empty_targets > 0.01 else "info",
            message=f"{100 * figures.empty_targets:.1f} % of the targets have no coloured cell; of all grids it is "
            f"{100 * figures.empty_grids:.1f} %.",
            evidence={"targets": figures.empty_targets, "grids": figures.empty_grids},
            advice="An encoder of objects gives such grids no token: their embeddings are all alike.",
        )
    if figures.target_in_context > 0.05:
        yield Finding(
            name="target in context",
            severity="warning" if figures.target_in_context > 0.5 else "info",
            message=f"{100 * figures.target_in_context:.1f} % of the targets equal one of their context grids.",
            evidence={"share": figures.target_in_context},
            advice="There copying is the right prediction: compare with the strongest null, not with chance.",
        )
    if figures.objects_cut > 0.01 and figures.object_limit:
        yield Finding(
            name="objects cut off",
            severity="warning" if figures.objects_cut > 0.1 else "info",
            message=f"{100 * figures.objects_cut:.1f} % of the objects are beyond encoder.max_objects = "
            f"{figures.object_limit}: the encoder never sees them.",
            evidence={"share": figures.objects_cut, "most_objects": figures.objects.maximum},
            advice="Raise encoder.max_objects, or use the encoder of cells.",
            set={"encoder": {"max_objects": 2 * figures.object_limit}},
        )


def _identical_context_finding(figures: DataFigures) -> Finding:
    share = figures.identical_context
    return Finding(
        name="identical context grids",
        severity="warning" if share > 0.5 else "info",
        message=f"All {figures.context_length} context grids are identical in {share:.4g} of sequences."
        if share < 0.001
        else f"All {figures.context_length} context grids are identical in {100 * share:.1f} % of sequences.",
        evidence={"share": share, "context_length": figures.context_length},
        advice="There nothing can depend on their number, their order or their weights.",
    )
