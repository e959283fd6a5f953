"""What the data is like before anything is trained on it: duplicates, copies, leaks, and what its space has to say.

Knows splits and the equality of observations; what is special to a kind of observations is the space's business.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from jepa_core.audit.report import DataFigures
from jepa_core.contracts import ComponentConfig, Observations, SequenceDataset, Sequences
from jepa_core.engine.nulls import ChosenNulls, rank_nulls
from jepa_core.engine.retrieval import CandidateList
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import installed
from jepa_core.spaces import HasScales
from jepa_core.task_split import is_split_by
from jepa_core.watch.findings import Finding
from jepa_core.watch.nulls import FEWEST_CANDIDATES, FEWEST_TASKS, HARDER_DATA, RankedNulls, says_little

MOST_SEQUENCES = 100_000
"""Sequences of a split that are looked at."""

RETRIEVAL_SEQUENCES = 1000

SCALE_SEQUENCES = 2000

MUCH_SHARED = 0.02
"""Share of validation that is in training too from which even an official split is warned of."""


def audit_data(recipe: Recipe, dataset: SequenceDataset, *, with_retrieval: bool = True) -> DataFigures:
    """All figures of a dataset."""
    train, validation = _head(dataset.train, MOST_SEQUENCES), _head(dataset.validation, MOST_SEQUENCES)
    keys, validation_keys = (dataset.space.keys(split.observations) for split in (train, validation))
    pairs, validation_pairs = _joined(keys), _joined(validation_keys)
    both = torch.cat([keys, validation_keys])
    return DataFigures(
        description=dataset.description,
        train_sequences=len(dataset.train),
        validation_sequences=len(dataset.validation),
        audited_sequences=len(train) + len(validation),
        context_length=train.num_places - 1,
        identical_context=_identical(both),
        across_splits=float(torch.isin(validation_pairs, pairs).float().mean()),
        repeated_in_train=1 - len(pairs.unique()) / max(1, len(pairs)),
        shared_tasks=_shared_tasks(dataset),
        target_in_context=float((both[:, :-1] == both[:, -1:]).any(1).float().mean()),
        of_space=dataset.space.audit(Observations.cat([train.observations, validation.observations]), recipe.encoder),
        nulls=ranked_nulls(recipe, dataset) if with_retrieval else RankedNulls(),
    )


def ranked_nulls(recipe: Recipe, dataset: SequenceDataset) -> RankedNulls:
    """What learns nothing, on the first validation sequences."""
    split = _head(dataset.validation, RETRIEVAL_SEQUENCES)
    chosen = ChosenNulls.of(recipe, installed())
    return (
        rank_nulls(chosen, dataset, CandidateList(dataset.space, split.observations), None)
        .with_room(split.tasks)
        .ranked
    )


def null_findings(nulls: RankedNulls, dataset: SequenceDataset) -> Iterator[Finding]:
    """That no model can be above the strongest null. Said of enough tasks alone: of few, no verdict is made."""
    null = nulls.strongest
    if null is None or not null.beyond_reach or says_little(None, len(dataset.validation.tasks.unique())):
        return
    yield Finding(
        name="null beyond reach",
        severity="warning",
        message=f"The null {null.beyond_reach}.",
        evidence={"null": null.name, "mrr": null.mrr, "top1": null.top1, "room": null.room},
        advice=f"{HARDER_DATA}. More epochs cannot help.",
    )


def identical_context(dataset: SequenceDataset, most: int = MOST_SEQUENCES) -> float:
    """Share of training sequences whose context is the same observation all along."""
    return _identical(dataset.space.keys(dataset.train.observations[:most]))


def _identical(keys: Tensor) -> float:
    if keys.shape[1] < 3:
        return 0.0
    return float((keys[:, 1:-1] == keys[:, :1]).all(1).float().mean())


def scale_findings(recipe: Recipe, dataset: SequenceDataset) -> Iterator[Finding]:
    """What is wrong with the first training sequences where a space may be standardised: a run may come to nothing by
    it, and it is seen at once."""
    if isinstance(dataset.space, HasScales):
        observations = _head(dataset.train, SCALE_SEQUENCES).observations
        found = dataset.space.audit(observations, recipe.encoder).findings
        yield from (finding for finding in found if finding.severity != "info")


def _head(sequences: Sequences, count: int) -> Sequences:
    """The first `count` sequences."""
    return sequences.rows(slice(count))


def _joined(keys: Tensor) -> Tensor:
    """(S, G) to (S,): a key of the whole sequence, order included."""
    factors = torch.arange(1, keys.shape[1] + 1) * 0x9E3779B97F4A7C1 + 2
    return (keys * factors).sum(1)


def split_faults(dataset: SequenceDataset, most: int, *, official: bool = False) -> Iterator[Finding]:
    """What of validation is in training too, among the first `most` sequences of each.

    `official` says that the data came split, and nobody here can split it otherwise.
    """
    train, validation = (
        _joined(dataset.space.keys(part.observations[:most])) for part in (dataset.train, dataset.validation)
    )
    across = float(torch.isin(validation, train).float().mean())
    is_part = most < max(len(dataset.train), len(dataset.validation))
    yield from _split_findings(_shared_tasks(dataset), across, official, looked_at=most if is_part else None)


def comes_split(config: ComponentConfig) -> bool:
    """Whether a dataset's split is its own: no setting says how much of it validates."""
    return not hasattr(config, "validation_share")


def candidate_findings(dataset: SequenceDataset, config: ComponentConfig) -> Iterator[Finding]:
    """That validation has too few distinct targets, or tasks, for a verdict; `config` is the dataset's."""
    count = len(dataset.space.keys(dataset.validation.observations[:, -1]).unique())
    tasks = len(dataset.validation.tasks.unique())
    advice, change = _more_tasks(dataset, config)
    if count == 1:
        yield Finding(
            name="few candidates",
            severity="critical",
            message="Validation has one distinct target: whatever the model does, it is found first.",
            evidence={"candidates": count},
            advice=advice,
            set=change,
        )
        return
    if count < FEWEST_CANDIDATES:
        yield Finding(
            name="few candidates",
            severity="warning",
            message=f"Validation has {count} distinct targets: under {FEWEST_CANDIDATES} retrieval says nothing, "
            "and no verdict is made of it.",
            evidence={"candidates": count},
            advice=advice,
            set=change,
        )
    if tasks < FEWEST_TASKS:
        yield Finding(
            name="few tasks",
            severity="warning",
            message=f"Validation has {tasks} task{'' if tasks == 1 else 's'}: under {FEWEST_TASKS} a difference to a "
            "null says nothing, and no verdict is made of it.",
            evidence={"tasks": tasks},
            advice=advice,
            set=change,
        )


def _more_tasks(dataset: SequenceDataset, config: ComponentConfig) -> tuple[str, dict[str, Any]]:
    """How validation comes to more of them, and the change of the recipe that makes it so: a share, where enough are
    left to train, and where the split is made by a share."""
    if comes_split(config):
        return "Put more tasks into the validation split.", {}
    train, validation = (len(split.tasks.unique()) for split in (dataset.train, dataset.validation))
    there = train + validation
    share = math.ceil(100 * FEWEST_TASKS / there) / 100
    if validation >= FEWEST_TASKS:
        return "Validate on more tasks: a larger data.validation_share, or more data.", {}
    if share > 0.5:
        return f"Get more data: there are {there} task{'' if there == 1 else 's'} in all, to train and to validate.", {}
    advice = (
        f"Validate on more tasks: {FEWEST_TASKS} of {there} are data.validation_share = {share:g}. Or get more data."
    )
    now = getattr(config, "validation_share", 0.0)
    has_effect = is_split_by(now, dataset.train, dataset.validation)
    return advice, {"data": {"validation_share": share}} if has_effect else {}


def _shared_tasks(dataset: SequenceDataset) -> int:
    return int(torch.isin(dataset.validation.tasks.unique(), dataset.train.tasks.unique()).sum())


def _split_findings(
    shared_tasks: int, across_splits: float, official: bool, looked_at: int | None
) -> Iterator[Finding]:
    """`looked_at` says how many sequences of each split are known, where these are not all."""
    first = "" if looked_at is None else f"first {looked_at:,} "
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
            message=f"{100 * across_splits:.1f} % of the {first}validation sequences are "
            + (f"among the {first}of training too" if first else "in training too")
            + (", as the data came split." if official else "."),
            evidence={"share": across_splits},
            advice="Figures on this split are comparable with others' on it, and too good by as much."
            if official
            else "Take duplicates out of the data before it is split: validation is too good by as much.",
        )


def data_findings(figures: DataFigures, *, official: bool = False) -> Iterator[Finding]:
    """What is wrong with the data, or worth knowing; `official` says that it came split."""
    is_part = figures.audited_sequences < figures.train_sequences + figures.validation_sequences
    looked_at = MOST_SEQUENCES if is_part else None
    yield from _split_findings(figures.shared_tasks, figures.across_splits, official, looked_at)
    if figures.identical_context > 0:
        yield _identical_context_finding(figures)
    if figures.target_in_context > 0.05:
        yield Finding(
            name="target in context",
            severity="warning" if figures.target_in_context > 0.5 else "info",
            message=f"{100 * figures.target_in_context:.1f} % of the targets equal one of their context.",
            evidence={"share": figures.target_in_context},
            advice="There copying is the right prediction: compare with the strongest null, not with chance.",
        )
    yield from figures.of_space.findings


def _identical_context_finding(figures: DataFigures) -> Finding:
    share = figures.identical_context
    return Finding(
        name="identical context",
        severity="warning" if share > 0.5 else "info",
        message=f"All {figures.context_length} observations of context are identical in {share:.4g} of sequences."
        if share < 0.001
        else f"All {figures.context_length} observations of context are identical in {100 * share:.1f} % of sequences.",
        evidence={"share": share, "context_length": figures.context_length},
        advice="There nothing can depend on their number, their order or their weights.",
    )
