"""What holds for augmentations and views of losses: they stay in the space, follow the seed, and change no batch."""

from __future__ import annotations

import torch

from jepa_core.conformance.comparison import require_equal, require_of_space
from jepa_core.conformance.host_sync import no_host_sync
from jepa_core.conformance.trial import Trial
from jepa_core.conformance.violation import NotApplicable, require
from jepa_core.contracts import Observations, ViewTransform
from jepa_core.engine.seeds import seed_generators
from jepa_core.errors import JepaError
from jepa_core.facts import AugmentationFacts, Role, frames


def built(trial: Trial) -> None:
    """`build` gives a function, for pairs and for frames, or refuses one of them."""
    transforms = list(_transforms(trial))
    require(bool(transforms), "build refuses pairs and frames alike")
    for transform in transforms:
        require(callable(transform), f"build returns a {type(transform).__name__}, not a function")


def transforms_batches(trial: Trial) -> None:
    """What comes out is of the space, the same under one seed, and the batch stays as it was; so of targets alone."""
    for transform in _transforms(trial):
        require_transform(trial, transform, "the augmented batch")
        require_transform(trial, transform, "the augmented targets", num_places=1)


def require_transform(trial: Trial, transform: ViewTransform, name: str, *, num_places: int | None = None) -> None:
    """See that a function from observations (B, T+1, …), or of so many places, to such keeps names, shapes, dtypes,
    space, seed and batch."""
    situation, space = trial.situation, trial.space
    if space is None:
        raise NotApplicable("it names no space")
    seed_generators(1)
    given = trial.observations(situation.batch, num_places or situation.context_length + 1)
    batch = given.map(torch.clone)
    view, again = _drawn(transform, batch), _drawn(transform, batch)
    require_equal(dict(batch.tensors), dict(given.tensors), f"{name} writes to the batch")
    require(isinstance(view, Observations), f"{name} is a {type(view).__name__}, not Observations")
    names, expected = sorted(view.tensors), sorted(given.tensors)
    require(names == expected, f"{name} has the tensors {names}, where the batch has {expected}")
    require_equal(dict(again.tensors), dict(view.tensors), f"{name} drawn again under one seed")
    for key, tensor in view.tensors.items():
        same = (tensor.shape, tensor.dtype) == (given[key].shape, given[key].dtype)
        require(same, f"{name} has {key} {tuple(tensor.shape)} of {tensor.dtype}, unlike the batch")
    require_of_space(space, view, name)


def _transforms(trial: Trial) -> list[ViewTransform]:
    """One for pairs and one for frames, without what `build` refuses."""
    num_places = trial.situation.context_length + 1
    pairs: tuple[Role, ...] = ("input", "output") * num_places
    transforms = []
    for roles in (pairs[:num_places], frames(num_places)):
        try:
            transforms.append(trial.config.build(AugmentationFacts(space=trial.space, roles=roles)))
        except JepaError:
            continue
    return transforms


def _drawn(transform: ViewTransform, batch: Observations) -> Observations:
    seed_generators(6)
    with no_host_sync():
        return transform(batch)
