"""What embeddings know of a label that they were not trained on: by their nearest neighbours, and by a linear map.

Neighbours: the K nearest by cosine s count with weight exp(s / 0.07) (Wu et al., arXiv 1805.01978); nothing is trained.
Linear: see `linear_probe`. A label of classes is scored by accuracy, a label of numbers by R² = 1 − SSE / SST.

Sequences of one group, such as one task, share observations: none is predicted from another of its own group. The task
itself can only be told from other sequences of the same task, so there every sequence is a group of its own, and what
sequences share counts. Knows labels and groups as numbers, not what they mean.

Shapes: V sequences, F features.
"""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Collection, Iterator, Mapping
from itertools import chain, count

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.contracts import Sequences
from jepa_core.dataset_checks import TASK
from jepa_core.engine.linear_probe import NUM_FOLDS, folds_of, held_out_classes, held_out_numbers

NUM_NEIGHBOURS = 20
TEMPERATURE = 0.07

MOST_FITTED = 2048
"""Sequences that a linear map is fitted to and judged by, evenly chosen: enough for an accuracy to about 1 %."""

MOST_CLASSES = 100
"""With more classes a linear map is not fitted: it takes minutes, and each class has few of `MOST_FITTED` sequences."""

_ROWS_AT_A_TIME = 1024
"""Rows of the similarity matrix held at once."""


@attrs.frozen(kw_only=True)
class Scores:
    """How well one readout predicts a label: accuracy of classes, R² of numbers."""

    knn: float
    """By the nearest neighbours."""
    linear: float | None
    """By a linear map; None for more than `MOST_CLASSES` classes."""


@attrs.frozen(kw_only=True)
class Probe:
    """What the model knows of a label, beside what learned nothing."""

    label: str
    is_numeric: bool
    """Whether scores are R² of numbers, not accuracies of classes."""
    prediction: Scores
    """By the model's predictions."""
    encoder: Scores
    """By the mean of the encoder's tokens over the context."""
    beside: Mapping[str, Scores]
    """By what learned nothing, by name: plain features of the last observation of context, and the untrained network's
    predictions and encoder."""
    constant: float
    """What the best answer that is always the same would reach: the share of the largest class; 0 for numbers."""
    num_classes: int
    """0 for numbers."""
    num_sequences: int
    """Sequences judged: of classes, those that another group has too."""
    num_fitted: int
    """Those among them that the linear map is fitted to and judged by."""


@attrs.frozen(kw_only=True, eq=False)
class Readouts:
    """What a probe reads labels off, each (V, F)."""

    prediction: Tensor
    encoder: Tensor
    beside: Mapping[str, Tensor] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True, eq=False)
class Question:
    """A label that embeddings can be asked for. Tensors are on the CPU."""

    label: str
    answers: Tensor
    """(V,): classes as int64 counted from 0, or numbers as float64, below 1 by a power of two."""
    groups: Tensor
    """(V,) int64"""
    judged: Tensor
    """(V,) bool: sequences that others can predict; of classes, those that another group has too."""
    fitted: Tensor
    """(≤ `MOST_FITTED`,) int64: those among them that a linear map is fitted to and judged by."""
    folds: Tensor
    """The fold of each of `fitted`."""

    @staticmethod
    def of(label: str, labels: Tensor, groups: Tensor) -> Question | None:
        """Labels (V,), int64 classes or floating-point numbers, of groups (V,) int64.

        None where nothing can be predicted: fewer than two classes that are in several groups each; numbers that are
        all equal, or of fewer groups than there are folds.
        """
        labels, groups = labels.cpu(), groups.cpu()
        if labels.is_floating_point():
            answers, judged = _below_one(labels.double()), torch.ones_like(labels, dtype=torch.bool)
            has_answers = len(labels.unique()) > 1 and len(groups.unique()) >= NUM_FOLDS
        else:
            _, answers = labels.unique(return_inverse=True)
            pairs = torch.stack([answers, groups]).unique(dim=1)
            judged = (pairs[0].bincount() > 1)[answers]
            has_answers = len(answers[judged].unique()) > 1
        if not has_answers:
            return None
        fitted = judged.nonzero()[:, 0]
        fitted = fitted[evenly_chosen(len(fitted), MOST_FITTED)]
        folds = folds_of(answers[fitted], groups[fitted])
        return Question(label=label, answers=answers, groups=groups, judged=judged, fitted=fitted, folds=folds)

    @property
    def is_numeric(self) -> bool:
        """Whether answers are numbers."""
        return self.answers.is_floating_point()

    @property
    def num_classes(self) -> int:
        """Classes judged; 0 for numbers."""
        return 0 if self.is_numeric else len(self.answers[self.judged].unique())

    @property
    def constant(self) -> float:
        """Score of the best answer that is always the same."""
        judged = self.answers[self.judged]
        return 0.0 if self.is_numeric else int(judged.bincount().max()) / len(judged)

    def scores(self, embeddings: Tensor) -> Scores:
        """How well embeddings (V, F) predict it, computed on their device."""
        answers = self.answers.to(embeddings.device)
        predicted = predicted_by_neighbours(embeddings, answers, self.groups.to(embeddings.device))
        judged = self.judged.to(embeddings.device)
        knn = self._score(predicted[judged], answers[judged])
        if self.num_classes > MOST_CLASSES:
            return Scores(knn=knn, linear=None)
        rows = self.fitted.to(embeddings.device)
        held_out = held_out_numbers if self.is_numeric else held_out_classes
        predicted = held_out(embeddings[rows], answers[rows], self.folds.to(embeddings.device))
        return Scores(knn=knn, linear=self._score(predicted, answers[rows]))

    def _score(self, predicted: Tensor, answers: Tensor) -> float:
        if not self.is_numeric:
            return float((predicted == answers).double().mean())
        return float(1 - (predicted - answers).square().sum() / (answers - answers.mean()).square().sum())


def _below_one(numbers: Tensor) -> Tensor:
    """Float64 times a power of two, which costs no digit, so that no square is too large or too small: R² of numbers
    is that of any multiple."""
    _, exponent = math.frexp(float(numbers.abs().max()))
    return numbers * math.ldexp(1.0, min(-exponent, 1023))


def probes_of(readouts: Readouts, sequences: Sequences) -> tuple[Probe, ...]:
    """A probe for every label, and for the task where tasks hold several sequences; without what none can predict.

    The task is told from other sequences of the same task, a linear map's folds holding some of each.
    """
    alone = torch.arange(len(sequences))
    asked = (*questions_of(sequences), Question.of(TASK, sequences.tasks, alone))
    return tuple(
        Probe(
            label=question.label,
            is_numeric=question.is_numeric,
            prediction=question.scores(readouts.prediction),
            encoder=question.scores(readouts.encoder),
            beside={name: question.scores(embeddings) for name, embeddings in readouts.beside.items()},
            constant=question.constant,
            num_classes=question.num_classes,
            num_sequences=int(question.judged.sum()),
            num_fitted=len(question.fitted),
        )
        for question in asked
        if question is not None
    )


def questions_of(sequences: Sequences) -> Iterator[Question]:
    """The labels that can be asked for. Tasks are the groups: finding the task would answer any other label."""
    for name, labels in sequences.labels.items():
        question = Question.of(name, labels, sequences.tasks)
        if question is not None:
            yield question


def predicted_by_neighbours(embeddings: Tensor, answers: Tensor, groups: Tensor) -> Tensor:
    """(V,): what the nearest of other groups predict for each of the embeddings (V, F).

    Answers (V,) are int64 classes, of which the one with the most weight is predicted, or −1 where there is no
    neighbour; or float64 numbers, whose weighted mean is predicted, or the mean of all. `groups` is (V,) int64.
    Embeddings that are not finite have no neighbour and are none.
    """
    with torch.autocast(device_type=embeddings.device.type, enabled=False):
        unit = F.normalize(embeddings.float(), dim=-1)
        rows = torch.arange(len(unit), device=unit.device).split(_ROWS_AT_A_TIME)
        return torch.cat([_predicted(part, unit, answers, groups) for part in rows])


def _predicted(rows: Tensor, unit: Tensor, answers: Tensor, groups: Tensor) -> Tensor:
    same_group = groups[rows, None] == groups
    similarity = (unit[rows] @ unit.T).nan_to_num(nan=-torch.inf).masked_fill(same_group, -torch.inf)
    nearest = similarity.topk(min(NUM_NEIGHBOURS, len(unit)), dim=1)
    weights = (nearest.values / TEMPERATURE).exp()
    if answers.is_floating_point():
        total = weights.sum(1).double()
        mean = (weights * answers[nearest.indices]).sum(1) / total
        return torch.where(total > 0, mean, answers.mean())
    votes = weights.new_zeros(len(rows), int(answers.max()) + 1)
    votes.scatter_add_(1, answers[nearest.indices], weights)
    most, elected = votes.max(1)
    return elected.masked_fill(most == 0, -1)


def evenly_chosen(num: int, most: int) -> Tensor:
    """(≤ most,) int64: some of `num` places, the same every time."""
    chosen = min(num, most)
    return torch.arange(chosen) * num // max(chosen, 1)


@attrs.frozen(eq=False)
class ProbedLabels:
    """A split's labels as metrics: up to `MOST_FITTED` of its sequences, evenly chosen, and what they are asked for."""

    rows: Tensor
    """(≤ `MOST_FITTED`,) int64, on the CPU: which sequences of the split."""
    questions: Mapping[str, Question]
    """By the label's name in metrics."""

    @staticmethod
    def of(split: Sequences) -> ProbedLabels:
        """Those of a split whose labels can be predicted."""
        rows = evenly_chosen(len(split), MOST_FITTED)
        questions = {question.label: question for question in questions_of(split.rows(rows))}
        names = metric_names(questions)
        return ProbedLabels(rows, {names[label]: question for label, question in questions.items()})

    def figures(self, embeddings: Tensor) -> dict[str, float]:
        """NAME.knn and NAME.linear of classes, NAME.knn_r2 and NAME.r2 of numbers, by embeddings of `rows`, (R, F)."""
        figures: dict[str, float] = {}
        for name, question in self.questions.items():
            scores = question.scores(embeddings)
            knn, linear = ("knn_r2", "r2") if question.is_numeric else ("knn", "linear")
            figures[f"{name}.{knn}"] = scores.knn
            if scores.linear is not None:
                figures[f"{name}.{linear}"] = scores.linear
        return figures


def metric_names(names: Collection[str]) -> dict[str, str]:
    """Each of some names as a part of a metric's name that rules can be written with: lower case, digits and _.

    Words of the rule language end in _, and what two names would share is numbered: "Is left" → is_left, "class" →
    class_.
    """
    safe: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        plain = plain if plain[:1].isalpha() else f"label_{plain}".rstrip("_")
        plain += "_" if keyword.iskeyword(plain) or plain == "null" else ""
        numbered = (f"{plain}_{number}" for number in count(2))
        safe[name] = next(free for free in chain([plain], numbered) if free not in safe.values())
    return safe
