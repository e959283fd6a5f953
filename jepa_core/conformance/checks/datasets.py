"""What holds for datasets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import torch

from jepa_core.conformance.trial import Trial
from jepa_core.conformance.violation import NotApplicable, Violation, require
from jepa_core.contracts import SequenceDataset
from jepa_core.dataset_checks import check_content, check_form, check_kind, check_split, check_texts
from jepa_core.facts import DatasetFacts


def built(trial: Trial) -> None:
    """`build` gives a `SequenceDataset` of the space that the configuration names."""
    try:
        check_kind(trial.subject.dataset, trial.config.space)
    except ValueError as error:
        raise Violation(str(error)) from error


def typed(trial: Trial) -> None:
    """Tensors by name, equally long and alike in both splits; tasks whole numbers, labels that or floats."""
    _kept(trial, check_form)


def of_its_space(trial: Trial) -> None:
    """Observations are of the space that the dataset says."""
    _kept(trial, check_content)


def split_by_task(trial: Trial) -> None:
    """No task is on both sides, and every task has a name."""
    _kept(trial, check_split)


def says_what_it_is(trial: Trial) -> None:
    """A description on one line, and notes that say something."""
    _kept(trial, check_texts)
    dataset = trial.subject.dataset
    require(bool(dataset.description.strip()), "the description is empty")
    require("\n" not in dataset.description, "the description has several lines")
    require(all(note.strip() for note in dataset.notes), "a note is empty")


def fingerprinted(trial: Trial) -> None:
    """Equal settings give equal data and fingerprints, other data another fingerprint."""
    dataset, again = trial.subject.dataset, trial.config.build(DatasetFacts(seed=0))
    require(again.fingerprint == dataset.fingerprint, "built again, it has another fingerprint")
    for split, same in ((dataset.train, again.train), (dataset.validation, again.validation)):
        pairs = {name: (tensor, same.observations[name]) for name, tensor in split.observations.tensors.items()}
        for key, (tensor, other) in {**pairs, "tasks": (split.tasks, same.tasks)}.items():
            require(torch.equal(tensor, other), f"built again, it has other {key} under the same fingerprint")
    shorter = _with_shorter_context(trial.config)
    if shorter is not None:
        other = shorter.build(DatasetFacts(seed=0)).fingerprint
        require(other != dataset.fingerprint, f"context_length = {shorter.context_length} has the same fingerprint")


def _kept(trial: Trial, check: Callable[[SequenceDataset], None]) -> None:
    dataset = trial.subject.dataset
    if not isinstance(dataset, SequenceDataset):
        raise NotApplicable("it builds no SequenceDataset")
    try:
        check(dataset)
    except ValueError as error:
        raise Violation(str(error)) from error


def _with_shorter_context(config: Any) -> Any:
    """The configuration with a shorter context, as short as it takes; None when it takes no other."""
    for context_length in range(1, getattr(config, "context_length", 1)):
        try:
            return attrs.evolve(config, context_length=context_length)
        except ValueError:
            continue
    return None
