"""The door: data that nothing could be trained on is refused with its name and what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import attrs
import pytest
import torch

from jepa_core.contracts import GridDataset, Sequences
from jepa_core.engine.dataset import built_dataset
from jepa_core.errors import DataError, RecipeError
from jepa_core.facts import DatasetFacts
from jepa_core.recipe.tables import Recipe

RecipeMaker = Callable[..., Recipe]
GRIDS = torch.zeros(4, 3, 5, 5, dtype=torch.uint8)
SIZES = torch.full((4, 3, 2), 5)


def split(first_task: int = 0, **changed: Any) -> Sequences:
    good: Mapping[str, Any] = {"grids": GRIDS, "sizes": SIZES, "tasks": torch.arange(4) + first_task}
    return Sequences(**{**good, **changed})


def dataset(**changed: Any) -> GridDataset:
    good: Mapping[str, Any] = {
        "train": split(),
        "validation": split(4),
        "task_names": tuple("abcdefgh"),
        "description": "eight",
        "fingerprint": "0" * 64,
    }
    return GridDataset(**{**good, **changed})


@attrs.frozen(kw_only=True)
class Given:
    """Builds what it is given, or raises it."""

    kind: ClassVar[str] = "given"
    metrics: ClassVar[tuple[Any, ...]] = ()
    built: Any

    def build(self, facts: DatasetFacts) -> Any:
        if isinstance(self.built, Exception):
            raise self.built
        return self.built


def build(tiny_recipe: RecipeMaker, built: Any) -> GridDataset:
    return built_dataset(attrs.evolve(tiny_recipe(), data=Given(built=built)))


def test_what_is_in_order_passes(tiny_recipe: RecipeMaker) -> None:
    good = dataset()
    assert build(tiny_recipe, good) is good


ABOVE = GRIDS.clone()
ABOVE[2, 1, 3, 4] = 11


@pytest.mark.parametrize(
    ("built", "told"),
    [
        ([], "build returns list, not GridDataset"),
        (dataset(train=split(grids=[[0]])), "grids of training are a list, not a tensor"),
        (dataset(train=split(grids=GRIDS.float())), r"grids of training are torch\.float32, not torch\.uint8"),
        (dataset(validation=split(4, grids=GRIDS[..., None])), r"grids of validation are \(4, 3, 5, 5, 1\), not \("),
        (dataset(train=split(grids=GRIDS[..., :4])), "grids of training are 5 × 4, not square"),
        (dataset(train=split(grids=GRIDS[:, :1])), "sequences of 1 grid: context and target are two"),
        (dataset(train=split(grids=GRIDS[:0])), "training has no sequence"),
        (dataset(validation=split(4, grids=GRIDS[:, :2], sizes=SIZES[:, :2])), "differ in grids and side"),
        (dataset(train=split(sizes=SIZES[:, :2])), r"sizes of training are \(4, 2, 2\), not \(4, 3, 2\)"),
        (dataset(train=split(sizes=SIZES.int())), r"sizes of training are torch\.int32, not torch\.int64"),
        (dataset(train=split(sizes=SIZES + 1)), "sizes of training are 6 … 6, on a side of 5"),
        (dataset(train=split(sizes=SIZES - 1)), r"108 cells not as its sizes say, first grids\[0, 0, 0, 4\]"),
        (dataset(train=split(grids=ABOVE)), r"training has 1 cells not as its sizes say, first grids\[2, 1, 3, 4\]"),
        (dataset(train=split(labels={"rule": torch.arange(3)})), r"rule of training are \(3,\), not \(4,\)"),
        (dataset(train=split(labels={"rule": torch.arange(4)})), r"labels \['rule'\], validation \[\]"),
        (dataset(validation=split(3)), r"task \[3\] is in training and in validation"),
        (dataset(task_names=("a",)), r"task \[1\] has no name among 1"),
        (dataset(roles=("frame",)), "1 roles are given for sequences of 3 grids"),
        (KeyError("pixels"), "KeyError: 'pixels'"),
    ],
)
def test_a_dataset_that_breaks_its_promise_is_refused_by_name(tiny_recipe: RecipeMaker, built: Any, told: str) -> None:
    with pytest.raises(DataError, match=rf"(?s)'given' \(tests\.engine\.test_dataset\.Given\).*{told}"):
        build(tiny_recipe, built)


def test_a_fault_in_its_own_words_passes(tiny_recipe: RecipeMaker) -> None:
    with pytest.raises(RecipeError, match="no such file"):
        build(tiny_recipe, RecipeError("no such file"))
