"""What a dataset's labels may be."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from jepa_core.contracts import Observations, SequenceDataset, Sequences
from jepa_core.dataset_checks import check_form
from jepa_plugins.vectors.space import VectorSpace


def dataset(labels: Mapping[str, Tensor], of_validation: Mapping[str, Tensor] | None = None) -> SequenceDataset:
    """Four sequences a side."""
    observations = Observations({"values": torch.zeros(4, 2, 3)})
    train = Sequences(observations=observations, tasks=torch.arange(4), labels=labels)
    return SequenceDataset(
        space=VectorSpace(dim=3),
        train=train,
        validation=dataclasses.replace(train, labels=labels if of_validation is None else of_validation),
        task_names=("a", "b", "c", "d"),
        description="",
        fingerprint="",
    )


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32, torch.float64])
def test_labels_are_classes_or_numbers(dtype: torch.dtype) -> None:
    check_form(dataset({"label": torch.arange(4).to(dtype)}))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.arange(4).int(), "label of training are torch.int32, not torch.int64 or torch.float32 or torch.float64"),
        (torch.arange(4).half(), "label of training are torch.float16, not"),
        (torch.arange(3).float(), r"label of training are \(3,\), not \(4,\)"),
        (torch.zeros(4, 1), r"label of training are \(4, 1\), not \(4,\)"),
        (torch.tensor([0, 1, torch.nan, torch.inf]), r"label of training hold \[nan\], which is no finite number"),
    ],
)
def test_other_labels_are_refused(labels: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_form(dataset({"label": labels}))


def test_a_label_is_of_one_kind_on_both_sides() -> None:
    with pytest.raises(ValueError, match=r"labels of training are x torch.int64, of validation x torch.float32"):
        check_form(dataset({"x": torch.arange(4)}, {"x": torch.arange(4).float()}))
    with pytest.raises(ValueError, match=r"labels of training are x torch.int64, of validation none"):
        check_form(dataset({"x": torch.arange(4)}, {}))


def test_tasks_are_no_floats() -> None:
    given = dataset({})
    tasks = torch.arange(4).double()
    wrong = dataclasses.replace(given, train=dataclasses.replace(given.train, tasks=tasks))
    with pytest.raises(ValueError, match=r"tasks of training are torch.float64, not torch.int64"):
        check_form(wrong)


@pytest.mark.parametrize(
    ("name", "told"), [("task", 'a label is called "task"'), (" ", "name is empty"), ("", "empty")]
)
def test_a_label_has_a_name_of_its_own(name: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        check_form(dataset({name: torch.arange(4)}))
