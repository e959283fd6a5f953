"""What embeddings know of a label that they were not trained on: a weighted k-nearest-neighbour probe.

Wu et al., arXiv 1805.01978: the K nearest by cosine s vote with weight exp(s / 0.07). Nothing is trained: each sequence
is classified by the others. Knows labels and groups as numbers, not what they mean.
"""

from __future__ import annotations

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
    """Share of sequences whose label their neighbours vote for."""
    largest_class: float
    """Share of the largest class: what always guessing it would reach."""
    num_classes: int
    num_sequences: int
    """Sequences judged: those of a class that has another member among the possible neighbours."""


def probes_of(embeddings: Tensor, sequences: Sequences) -> tuple[Probe, ...]:
    """A probe for every label, and for the task where tasks hold several sequences; those nobody can answer left out.

    Sequences of one task share observations, so for any other label they are no neighbours of each other: finding the
    task would answer it.
    """
    alone = torch.arange(len(sequences))
    probes = [
        *(knn_probe(name, embeddings, labels, sequences.tasks) for name, labels in sequences.labels.items()),
        knn_probe("task", embeddings, sequences.tasks, alone),
    ]
    return tuple(probe for probe in probes if probe is not None)


def knn_probe(label: str, embeddings: Tensor, labels: Tensor, groups: Tensor) -> Probe | None:
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
    return Probe(
        label=label,
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
