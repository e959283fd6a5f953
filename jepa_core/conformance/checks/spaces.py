"""What holds for the space of a dataset: the engine trusts it with what it cannot know itself.

Shapes: S sequences of T + 1 observations, V lists of C candidates.
"""

from __future__ import annotations

from typing import Any

import orjson
import torch

from jepa_core.conformance.comparison import require_equal, require_finite, require_of_space
from jepa_core.conformance.trial import Trial
from jepa_core.conformance.violation import NotApplicable, require
from jepa_core.contracts import Observations, SequenceDataset, Space
from jepa_core.engine.seeds import seed_generators
from jepa_core.spaces import Edit, HasFeatures, HasPictures, space_of, space_state

_NUM_SEQUENCES = 8
_NUM_DRAWN = 16


def draws_its_own(trial: Trial) -> None:
    """Its examples and itself draw as many as asked for of what they accept, however much of it holds something."""
    for example in (*type(_space(trial)).examples(), _space(trial)):
        for fill in ("some", "none", "all"):
            seed_generators(trial.seed)
            drawn = example.sample(_NUM_DRAWN, fill)
            require(len(drawn) == _NUM_DRAWN, f"{example}.sample({_NUM_DRAWN}) gives {len(drawn)}")
            require_of_space(example, drawn.map(lambda tensor: tensor.unsqueeze(1)), f"{example}.sample(…, {fill!r})")


def keys_tell_apart(trial: Trial) -> None:
    """Equal observations have equal keys wherever they stand, in whatever company."""
    space, observations = _space(trial), _real(trial)
    keys = space.keys(observations)
    require_equal({"keys": space.keys(observations.map(torch.clone))}, {"keys": keys}, "keys of a copy")
    backwards = observations.map(lambda tensor: tensor.flip(0))
    require_equal({"keys": space.keys(backwards)}, {"keys": keys.flip(0)}, "keys of the same in another order")
    alone = space.keys(observations[:1])
    require_equal({"keys": alone}, {"keys": keys[:1]}, "keys of a sequence alone")


def shares_what_is_common(trial: Trial) -> None:
    """`alike` is a share, one of an observation with itself, and the same both ways."""
    space, observations = _space(trial), _real(trial)
    alike = space.alike(observations)
    num_lists, length = next(iter(observations.tensors.values())).shape[:2]
    expected = (num_lists, length, length)
    require(tuple(alike.shape) == expected, f"alike has the shape {tuple(alike.shape)}, not (V, C, C) = {expected}")
    low, high = float(alike.min()), float(alike.max())
    require(-1e-5 <= low <= high <= 1 + 1e-5, f"alike ranges over {low:g} … {high:g}, and is no share of 0 … 1")
    itself = float(alike.diagonal(dim1=1, dim2=2).min())
    require(itself > 1 - 1e-3, f"an observation shares {itself:g} with itself, not 1")
    require(torch.allclose(alike, alike.mT, atol=1e-5), "what two share depends on their order")


def edits_a_little(trial: Trial) -> None:
    """An edit stays in the space, makes another observation, and leaves its input."""
    space, observations = _space(trial), _real(trial)
    seed_generators(trial.seed)
    edit = space.editor(observations)
    given = observations[:, -1]
    batch = given.map(torch.clone)
    edited, again = (_edited(trial, edit, batch) for _ in range(2))
    require_equal(dict(batch.tensors), dict(given.tensors), "an edit writes to what it is given")
    require_equal(dict(again.tensors), dict(edited.tensors), "an edit drawn again under one seed")
    require_of_space(space, edited.map(lambda tensor: tensor.unsqueeze(1)), "an edited observation")
    num_same = int((space.keys(edited) == space.keys(given)).sum())
    require(num_same == 0, f"{num_same} of {len(given)} edited observations have the key that they had before")


def fits_itself(trial: Trial) -> None:
    """Its own observations fit, and stay what they are."""
    space, observations = _space(trial), _real(trial)
    fitted = space.fitted(observations)
    require_of_space(space, fitted, "its own observations, fitted,")
    require_equal({"keys": space.keys(fitted)}, {"keys": space.keys(observations)}, "keys of its own, fitted")


def is_read_and_pictured(trial: Trial) -> None:
    """Features and pictures, where it has them, are finite and one per observation; what is given stays as it is."""
    space, observations = _space(trial), _real(trial)[:, -1]
    if not isinstance(space, HasFeatures | HasPictures):
        raise NotApplicable("it has neither features nor pictures")
    before, num = observations.map(torch.clone), len(observations)
    if isinstance(space, HasFeatures):
        features = space.features(observations)
        require_finite(dict(features), "features")
        for name, values in features.items():
            shape = tuple(values.shape)
            require(len(shape) == 2 and shape[0] == num, f"features {name!r} have the shape {shape}, not ({num}, F)")
    if isinstance(space, HasPictures):
        pictures = space.pictures(observations)
        shape = tuple(pictures.shape)
        require(len(shape) == 4 and shape[::3] == (num, 3), f"pictures have the shape {shape}, not ({num}, H, W, 3)")
        low, high = float(pictures.min()), float(pictures.max())
        require(0 <= low <= high <= 1, f"pictures range over {low:g} … {high:g}, not within 0 … 1")
    require_equal(dict(observations.tensors), dict(before.tensors), "features or pictures write to what they are given")


def is_remembered(trial: Trial) -> None:
    """A checkpoint keeps it as JSON and gives it back."""
    space = _space(trial)
    try:
        state = orjson.loads(orjson.dumps(space_state(space)))
    except TypeError as error:
        require(False, f"its fields cannot be kept in a checkpoint: {error}")
    require(space_of(state, type(space)) == space, f"kept in a checkpoint, {space} comes back as another")


def _space(trial: Trial) -> Space:
    dataset: Any = trial.subject.dataset
    if not (isinstance(dataset, SequenceDataset) and isinstance(dataset.space, Space)):
        raise NotApplicable("it builds no SequenceDataset of a space")
    return dataset.space


def _real(trial: Trial) -> Observations:
    """(S, T+1, …) of the training split; checks of the dataset itself say whether these are of its space."""
    observations: Observations = trial.subject.dataset.train.observations[:_NUM_SEQUENCES]
    try:
        _space(trial).check(observations)
    except ValueError as error:
        raise NotApplicable("its observations are not of its space") from error
    return observations


def _edited(trial: Trial, edit: Edit, observations: Observations) -> Observations:
    seed_generators(trial.seed + 1)
    return edit(observations)
