"""What holds for datasets."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import attrs
import torch

from jepa_core.conformance.trial import Trial
from jepa_core.conformance.violation import NotApplicable, Violation, require
from jepa_core.contracts import GridDataset
from jepa_core.dataset_checks import check_content, check_form, check_split
from jepa_core.facts import DatasetFacts


def built(trial: Trial) -> None:
    """`build` gives a `GridDataset`."""
    dataset = trial.subject.dataset
    require(isinstance(dataset, GridDataset), f"build returns {type(dataset).__name__}, not GridDataset")


def typed(trial: Trial) -> None:
    """Grids are square bytes, everything else whole numbers, and both splits alike."""
    _kept(trial, check_form)


def content_top_left(trial: Trial) -> None:
    """Content stands top left, and the rest is outside."""
    _kept(trial, check_content)


def split_by_task(trial: Trial) -> None:
    """No task is on both sides, and every task has a name."""
    _kept(trial, check_split)


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


def _kept(trial: Trial, check: Callable[[GridDataset], None]) -> None:
    dataset = trial.subject.dataset
    if not isinstance(dataset, GridDataset):
        raise NotApplicable("it builds no GridDataset")
    try:
        check(dataset)
    except ValueError as error:
        raise Violation(str(error)) from error


def _with_fewer_grids(config: Any) -> Any:
    """The configuration with fewer context grids, as few as it takes; None when it takes no other number."""
    for context_length in range(1, getattr(config, "context_length", 1)):
        try:
            return attrs.evolve(config, context_length=context_length)
        except ValueError:
            continue
    return None
