"""What a dataset promises of its sequences, checked on what it built: at a run's door, and in the conformance kit.

Each function raises ValueError with the split, what is wrong and the value that shows it. What an observation has to be
is the business of its space.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import get_args

import torch
from torch import Tensor

from jepa_core.contracts import Observations, SequenceDataset, Sequences, Space
from jepa_core.facts import Role
from jepa_core.spaces import require

TASK = "task"
"""What tasks are called beside the labels, by whoever shows or judges both."""

_LABEL_DTYPES = (torch.int64, torch.float32, torch.float64)
"""Of classes, and of numbers."""


def check_dataset(dataset: object, space_class: type[Space]) -> None:
    """All of it, for a dataset whose configuration names a kind of space."""
    dataset = check_kind(dataset, space_class)
    check_texts(dataset)
    check_form(dataset)
    check_content(dataset)
    check_split(dataset)


def check_kind(dataset: object, space_class: type[Space]) -> SequenceDataset:
    """What was built is a dataset, of the space that its configuration names."""
    if not isinstance(dataset, SequenceDataset):
        raise ValueError(f"build returns {type(dataset).__name__}, not SequenceDataset")  # one kind of error
    require(
        type(dataset.space) is space_class,
        f"its space is {type(dataset.space).__name__}, and its configuration says space = {space_class.__name__}",
    )
    return dataset


def check_texts(dataset: SequenceDataset) -> None:
    """Names, description, notes, fingerprint and roles are what they are to be."""
    texts = {"description": dataset.description, "fingerprint": dataset.fingerprint}
    for name, text in texts.items():
        require(isinstance(text, str), f"the {name} is a {type(text).__name__}, not text: {text!r}")
    is_sha = re.fullmatch(r"[0-9a-f]{64}", dataset.fingerprint) is not None
    require(is_sha, f"the fingerprint {dataset.fingerprint[:80]!r} is no SHA-256 in hexadecimal")
    for name, listed in {"task_names": dataset.task_names, "notes": dataset.notes, "roles": dataset.roles}.items():
        require(isinstance(listed, tuple), f"{name} is a {type(listed).__name__}, not a tuple of texts")
        values: tuple[object, ...] = listed
        wrong = [value for value in values if not isinstance(value, str)]
        require(not wrong, f"{name} holds {wrong[:1]}, not only texts")
    roles = get_args(Role)
    unknown = sorted(set(dataset.roles) - set(roles))
    require(not unknown, f"the roles hold {unknown[:1]}; there are {', '.join(roles)}")


def check_form(dataset: SequenceDataset) -> None:
    """Both splits have sequences, all equally long and alike in both; tasks are whole numbers, labels also floats."""
    forms = []
    for name, split in _splits(dataset):
        require(isinstance(split, Sequences), f"{name} is a {type(split).__name__}, not Sequences")
        is_named = isinstance(split.observations, Observations)
        kind = type(split.observations).__name__
        require(is_named, f"observations of {name} are a {kind}, not Observations")
        tensors = split.observations.tensors
        require(bool(tensors), f"{name} has no tensor of observations")
        for key, value in {**tensors, "tasks": split.tasks, **split.labels}.items():
            require(isinstance(value, Tensor), f"{key} of {name} is a {type(value).__name__}, not a tensor")
        for label in split.labels:
            check_label(label)
        leading = {key: tuple(tensor.shape[:2]) for key, tensor in tensors.items()}
        require(
            all(len(shape) == 2 for shape in leading.values()) and len(set(leading.values())) == 1,
            f"observations of {name} begin with {_told(leading)}, not all with (sequences, context + target)",
        )
        sequences, places = next(iter(leading.values()))
        require(sequences > 0, f"{name} has no sequence")
        require(places >= 2, f"{name} has sequences of {places} observation: context and target are two")
        for key, tensor in {"tasks": split.tasks, **split.labels}.items():
            dtypes = (torch.int64,) if tensor is split.tasks else _LABEL_DTYPES
            allowed = " or ".join(map(str, dtypes))
            require(tensor.dtype in dtypes, f"{key} of {name} are {tensor.dtype}, not {allowed}")
            shape = tuple(tensor.shape)
            require(shape == (sequences,), f"{key} of {name} are {shape}, not {(sequences,)}")
            wrong = tensor[~tensor.isfinite()]
            require(not len(wrong), f"{key} of {name} hold {wrong[:1].tolist()}, which is no finite number")
        forms.append({key: (tuple(tensor.shape[1:]), str(tensor.dtype)) for key, tensor in tensors.items()})
    require(forms[0] == forms[1], f"training and validation differ: {forms[0]} and {forms[1]}")
    labels = [{key: str(value.dtype) for key, value in sorted(split.labels.items())} for _, split in _splits(dataset)]
    require(labels[0] == labels[1], f"labels of training are {_told(labels[0])}, of validation {_told(labels[1])}")
    places, roles = dataset.train.num_places, len(dataset.roles)
    require(roles in (0, places), f"{roles} roles are given for sequences of {places} observations")


def check_label(name: str) -> None:
    """The name of a label is a text of its own."""
    require(bool(name.strip()), f"a label's name is empty: {name!r}. Give it one")
    require(name != TASK, f'a label is called "{TASK}", as every sequence\'s task is. Give it another name')


def check_content(dataset: SequenceDataset) -> None:
    """Observations are of the dataset's space."""
    for name, split in _splits(dataset):
        try:
            dataset.space.check(split.observations)
        except ValueError as error:
            raise ValueError(f"in {name}, {error}") from error
        few = split.observations[:4]
        keys: object = dataset.space.keys(few)
        expected = (len(few), split.num_places)
        require(
            isinstance(keys, Tensor) and keys.dtype == torch.int64 and tuple(keys.shape) == expected,
            f"keys of its space are {_form(keys)}, and one torch.int64 for each observation is asked for: {expected}",
        )


def check_split(dataset: SequenceDataset) -> None:
    """No task is on both sides, and every task has a name."""
    train, validation = (set(split.tasks.tolist()) for _, split in _splits(dataset))
    shared = sorted(train & validation)
    require(not shared, f"task {shared[:1]} is in training and in validation: retrieval would be by heart")
    names = len(dataset.task_names)
    nameless = sorted(task for task in train | validation if not 0 <= task < names)
    require(not nameless, f"task {nameless[:1]} has no name among {names}")


def _splits(dataset: SequenceDataset) -> Iterator[tuple[str, Sequences]]:
    yield "training", dataset.train
    yield "validation", dataset.validation


def _form(value: object) -> str:
    return f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def _told(forms: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {form}" for key, form in forms.items()) or "none"
