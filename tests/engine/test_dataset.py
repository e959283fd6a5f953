"""The door: data that nothing could be trained on is refused with its name and what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest
import torch

from jepa_core.contracts import Observations, SequenceDataset, Sequences, Space
from jepa_core.engine.dataset import built_dataset, reading_stage, require_tokens
from jepa_core.engine.interruption import StoppedBeforeTraining
from jepa_core.errors import DataError, RecipeError
from jepa_core.facts import DatasetFacts
from jepa_core.recipes.tables import Recipe
from jepa_plugins.arrays.dataset import ArraysConfig
from jepa_plugins.grids.space import GridSpace

RecipeMaker = Callable[..., Recipe]
GRIDS = torch.zeros(4, 3, 5, 5, dtype=torch.uint8)
SIZES = torch.full((4, 3, 2), 5)


def split(first_task: int = 0, **changed: Any) -> Sequences:
    tensors = {"grid": GRIDS, "size": SIZES, **{k: v for k, v in changed.items() if k != "labels"}}
    return Sequences(
        observations=Observations(tensors), tasks=torch.arange(4) + first_task, labels=changed.get("labels", {})
    )


def dataset(**changed: Any) -> SequenceDataset:
    good: Mapping[str, Any] = {
        "space": GridSpace(side=5),
        "train": split(),
        "validation": split(4),
        "task_names": tuple("abcdefgh"),
        "description": "eight",
        "fingerprint": "0" * 64,
    }
    return SequenceDataset(**{**good, **changed})


@attrs.frozen(kw_only=True)
class Given:
    """Builds what it is given, or raises it."""

    kind: ClassVar[str] = "given"
    metrics: ClassVar[tuple[Any, ...]] = ()
    space: ClassVar[type[Space]] = GridSpace
    built: Any

    def build(self, facts: DatasetFacts) -> Any:
        if isinstance(self.built, BaseException):
            raise self.built
        return self.built


def build(tiny_recipe: RecipeMaker, built: Any) -> SequenceDataset:
    return built_dataset(attrs.evolve(tiny_recipe(), data=Given(built=built)))


def test_what_is_in_order_passes(tiny_recipe: RecipeMaker) -> None:
    good = dataset()
    assert build(tiny_recipe, good) is good


ABOVE = GRIDS.clone()
ABOVE[2, 1, 3, 4] = 11


@pytest.mark.parametrize(
    ("built", "told"),
    [
        ([], "build returns list, not SequenceDataset"),
        (dataset(train=split(grid=[[0]])), "grid of training is a list, not a tensor"),
        (
            dataset(train=split(grid=GRIDS.float()), validation=split(4, grid=GRIDS.float())),
            r"in training, grids are torch\.float32, not torch\.uint8: pictures are of another space",
        ),
        (dataset(validation=split(4, grid=GRIDS[..., None])), "training and validation differ"),
        (
            dataset(train=split(grid=GRIDS[..., :4]), validation=split(4, grid=GRIDS[..., :4])),
            "grids are 5 × 4, not 5 × 5",
        ),
        (dataset(train=split(grid=GRIDS[:, :1], size=SIZES[:, :1])), "1 observation: context and target are two"),
        (dataset(train=split(grid=GRIDS[:0], size=SIZES[:0])), "training has no sequence"),
        (dataset(validation=split(4, grid=GRIDS[:, :2], size=SIZES[:, :2])), "training and validation differ"),
        (dataset(train=split(size=SIZES[:, :2])), r"begin with grid \(4, 3\), size \(4, 2\), not all"),
        (
            dataset(train=split(size=SIZES.int()), validation=split(4, size=SIZES.int())),
            r"sizes are torch\.int32 of shape",
        ),
        (dataset(train=split(size=SIZES + 1)), "in training, sizes are 6 … 6, on a side of 5"),
        (dataset(train=split(size=SIZES - 1)), r"108 cells are not as the sizes say, first grid\[0, 0, 0, 4\]"),
        (dataset(train=split(grid=ABOVE)), r"in training, 1 cells are not as the sizes say, first grid\[2, 1, 3, 4\]"),
        (dataset(train=split(labels={"rule": torch.arange(3)})), r"rule of training are \(3,\), not \(4,\)"),
        (
            dataset(train=split(labels={"rule": torch.arange(4)})),
            r"labels of training are rule torch\.int64, of validation none",
        ),
        (dataset(validation=split(3)), r"task \[3\] is in training and in validation"),
        (dataset(task_names=("a",)), r"task \[1\] has no name among 1"),
        (dataset(roles=("frame",)), "1 roles are given for sequences of 3 observations"),
        (dataset(task_names=tuple(range(8))), r"task_names holds \[0\], not only texts"),
        (dataset(notes=None), "notes is a NoneType, not a tuple of texts"),
        (dataset(description=None), "the description is a NoneType, not text: None"),
        (dataset(fingerprint=7), "the fingerprint is a int, not text: 7"),
        (dataset(fingerprint="7"), "the fingerprint '7' is no SHA-256"),
        (dataset(roles=("frame", "frame", "target")), r"the roles hold \['target'\]; there are input, output, frame"),
        (dataset(space=None), "its space is NoneType, and its configuration says space = GridSpace"),
        (KeyError("pixels"), "KeyError: 'pixels'"),
        (SystemExit(0), "SystemExit: 0"),
        (SystemExit("no data here"), "SystemExit: no data here"),
    ],
)
def test_a_dataset_that_breaks_its_promise_is_refused_by_name(tiny_recipe: RecipeMaker, built: Any, told: str) -> None:
    with pytest.raises(DataError, match=rf"(?s)'given' \(tests\.engine\.test_dataset\.Given\).*{told}"):
        build(tiny_recipe, built)


def test_a_fault_in_its_own_words_passes(tiny_recipe: RecipeMaker) -> None:
    with pytest.raises(RecipeError, match="no such file"):
        build(tiny_recipe, RecipeError("no such file"))


@pytest.mark.parametrize("stop", [StoppedBeforeTraining(143), KeyboardInterrupt()])
def test_a_stop_while_data_is_built_is_no_fault_of_the_dataset(tiny_recipe: RecipeMaker, stop: BaseException) -> None:
    with pytest.raises(type(stop)):
        build(tiny_recipe, stop)


@attrs.frozen(kw_only=True)
class OddKeys(GridSpace):
    """A space whose keys are no whole numbers."""

    def keys(self, observations: Observations) -> torch.Tensor:
        return super().keys(observations).float()


def test_a_space_with_keys_of_another_type_is_refused(tiny_recipe: RecipeMaker) -> None:
    @attrs.frozen(kw_only=True)
    class OfOddKeys(Given):
        space: ClassVar[type[Space]] = OddKeys

    recipe = attrs.evolve(tiny_recipe(), data=OfOddKeys(built=dataset(space=OddKeys(side=5))))
    with pytest.raises(DataError, match=r"keys of its space are torch\.float32 \(4, 3\), and one torch\.int64"):
        built_dataset(recipe)


def test_a_quantizer_that_would_start_from_no_token_is_refused(tiny_recipe: RecipeMaker) -> None:
    require_tokens(1, 4, tiny_recipe())
    with pytest.raises(DataError, match=r'encoder\.kind = "cells" finds none in the contexts of 1 training sequence,'):
        require_tokens(0, 1, tiny_recipe())


def test_how_much_there_is_to_read_of_a_large_file_is_said(
    tiny_recipe: RecipeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with (tmp_path / "own.csv").open("wb") as file:
        file.truncate(123_456_789)
    (tmp_path / "few.csv").write_text("a,b\n", encoding="utf-8")
    told = [
        reading_stage(attrs.evolve(tiny_recipe(), data=ArraysConfig(path=path)))
        for path in ("own.csv", str(tmp_path / "own.csv"), "few.csv", "gone.csv", "", "~nobody-is-called-so/a.csv")
    ]
    assert told == ["reading data, 123 MB"] * 2 + ["reading data"] * 4
    assert reading_stage(tiny_recipe()) == "reading data"
