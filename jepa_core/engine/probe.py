"""What embeddings know of a label that they were not trained on: a weighted k-nearest-neighbour probe.

Wu et al., arXiv 1805.01978: the K nearest by cosine s vote with weight exp(s / 0.07). Nothing is trained: each sequence
is classified by the others. Knows labels and groups as numbers, not what they mean.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.contracts import Sequences

NUM_NEIGHBOURS = 20
TEMPERATURE = 0.07
_ROWS_AT_A_TIME = 1024
"""Rows of the similarity matrix held at once."""


@attrs.frozen(kw_only=True)
class Probe:
    """How well neighbours tell a label."""

    label: str
    accuracy: float
    """Share of sequences whose label the neighbours of their predictions vote for."""
    encoder: float
    """The same by the mean of the encoder's tokens over the context."""
    beside: Mapping[str, float]
    """The same by what learned nothing, by name: plain features of the last observation of context, and the untrained
    network's predictions and encoder."""
    largest_class: float
    """Share of the largest class: what always guessing it would reach."""
    num_classes: int
    num_sequences: int
    """Sequences judged: those of a class that has another member among the possible neighbours."""


@attrs.frozen(kw_only=True, eq=False)
class Readouts:
    """What a probe looks for neighbours in, each (V, F)."""

    prediction: Tensor
    encoder: Tensor
    beside: Mapping[str, Tensor] = attrs.field(factory=dict)


def probes_of(readouts: Readouts, sequences: Sequences) -> tuple[Probe, ...]:
    """A probe for every label, and for the task where tasks hold several sequences; those nobody can answer left out.

    Sequences of one task share observations, so for any other label they are no neighbours of each other: finding the
    task would answer it.
    """
    alone = torch.arange(len(sequences))
    asked = {name: (labels, sequences.tasks) for name, labels in sequences.labels.items()}
    asked["task"] = (sequences.tasks, alone)
    probes = []
    for name, (labels, groups) in asked.items():
        found = knn_accuracy(readouts.prediction, labels, groups)
        if found is not None:
            encoder, *beside = (
                _accuracy(embeddings, labels, groups) for embeddings in (readouts.encoder, *readouts.beside.values())
            )
            probes.append(
                Probe(
                    label=name,
                    accuracy=found.accuracy,
                    encoder=encoder,
                    beside=dict(zip(readouts.beside, beside, strict=True)),
                    largest_class=found.largest_class,
                    num_classes=found.num_classes,
                    num_sequences=found.num_sequences,
                )
            )
    return tuple(probes)


def _accuracy(embeddings: Tensor, labels: Tensor, groups: Tensor) -> float:
    found = knn_accuracy(embeddings, labels, groups)
    assert found is not None
    return found.accuracy


@attrs.frozen(kw_only=True)
class Neighbours:
    """How well neighbours tell a label."""

    accuracy: float
    largest_class: float
    num_classes: int
    num_sequences: int


def knn_accuracy(embeddings: Tensor, labels: Tensor, groups: Tensor) -> Neighbours | None:
    """Classify each of the embeddings (V, P) by its nearest neighbours of other groups.

    `labels` and `groups` are (V,) int64. None when fewer than two classes are in several groups each: then there is
    nothing to tell apart. An embedding that is not finite is never classified correctly.
    """
    device = embeddings.device
    _, classes = labels.to(device).unique(return_inverse=True)
    groups = groups.to(device)
    with torch.autocast(device_type=device.type, enabled=False):
        unit = F.normalize(embeddings.float(), dim=-1)
        parts = [
            _judged(rows, unit, classes, groups)
            for rows in torch.arange(len(unit), device=device).split(_ROWS_AT_A_TIME)
        ]
    right, has_peer = (torch.cat(column) for column in zip(*parts, strict=True))
    _, counts = classes[has_peer].unique(return_counts=True)
    if len(counts) < 2:
        return None
    return Neighbours(
        accuracy=float(right[has_peer].float().mean()),
        largest_class=float(counts.max() / counts.sum()),
        num_classes=len(counts),
        num_sequences=int(counts.sum()),
    )


def _judged(rows: Tensor, unit: Tensor, classes: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
    """For some rows: whether their neighbours vote for their class, and whether any neighbour could."""
    same_group = groups[rows, None] == groups
    similarity = (unit[rows] @ unit.T).nan_to_num(nan=-torch.inf).masked_fill(same_group, -torch.inf)
    nearest = similarity.topk(min(NUM_NEIGHBOURS, len(unit)), dim=1)
    votes = torch.zeros(len(rows), int(classes.max()) + 1, device=unit.device)
    votes.scatter_add_(1, classes[nearest.indices], (nearest.values / TEMPERATURE).exp())
    most, elected = votes.max(1)
    has_peer = ((classes[rows, None] == classes) & ~same_group).any(1)
    return (elected == classes[rows]) & (most > 0), has_peer
