"""What holds for every dataset."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch

from jepa_core.contracts import GridDataset, Sequences
from jepa_core.errors import JepaError
from jepa_core.facts import OUTSIDE, DatasetFacts
from jepa_core.registry import Component, installed
from tests.contracts.subjects import small_config

DATASETS = installed().family("dataset").values()
FACTS = DatasetFacts(seed=0)
OURS = "jepa-core"


@pytest.fixture(scope="module", params=DATASETS, ids=lambda component: component.name)
def config(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A small configuration that can be built; one that wants a path gets a manifest."""
    component: Component = request.param
    config_class: Any = component.config_class
    fields = attrs.fields_dict(config_class)
    wants_path = "path" in fields and fields["path"].default in {attrs.NOTHING, ""}
    try:
        if wants_path:
            small = config_class(path=str(_manifest(tmp_path_factory.mktemp("data"))))
        else:
            small = small_config(config_class)
        small.build(FACTS)
    except (TypeError, JepaError) as error:
        if component.distribution == OURS:
            raise
        pytest.skip(f"{component.name} of {component.origin} has no usable defaults: {error}")
    return small


def _manifest(folder: Path) -> Path:
    """Twenty records of four grids of various sizes, in ten tasks."""
    generator = torch.Generator().manual_seed(0)

    def drawn_grid() -> Any:
        height, width = torch.randint(1, 6, (2,), generator=generator).tolist()
        return torch.randint(OUTSIDE, (height, width), generator=generator).tolist()

    records = [{"frames": [drawn_grid() for _ in range(4)], "task": f"task {number // 2}"} for number in range(20)]
    path = folder / "manifest.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def dataset(config: Any) -> GridDataset:
    built = config.build(FACTS)
    assert isinstance(built, GridDataset)
    return built


def splits(dataset: GridDataset) -> Iterator[Sequences]:
    """Training and validation."""
    yield dataset.train
    yield dataset.validation


def test_grids_are_square_bytes_and_everything_else_whole_numbers(dataset: GridDataset) -> None:
    shapes = set()
    for split in splits(dataset):
        num_sequences, num_grids, height, width = split.grids.shape
        assert num_sequences == len(split) > 0
        assert num_grids >= 2
        assert height == width
        assert split.grids.dtype == torch.uint8
        assert (split.sizes.shape, split.sizes.dtype) == ((num_sequences, num_grids, 2), torch.int64)
        assert (split.tasks.shape, split.tasks.dtype) == ((num_sequences,), torch.int64)
        for label in split.labels.values():
            assert (label.shape, label.dtype) == ((num_sequences,), torch.int64)
        shapes.add((num_grids, height))
    assert len(shapes) == 1, "training and validation must have one context length and one side"
    assert dataset.train.labels.keys() == dataset.validation.labels.keys()


def test_content_stands_top_left_and_the_rest_is_outside(dataset: GridDataset) -> None:
    for split in splits(dataset):
        side = split.grids.shape[-1]
        assert split.sizes.min() >= 1
        assert split.sizes.max() <= side
        cells = torch.arange(side)
        is_inside = (cells[:, None] < split.sizes[..., :1, None]) & (cells < split.sizes[..., 1:, None])
        assert (split.grids[is_inside] < OUTSIDE).all()
        assert (split.grids[~is_inside] == OUTSIDE).all()


def test_no_task_is_on_both_sides_and_every_task_has_a_name(dataset: GridDataset) -> None:
    train, validation = (set(split.tasks.tolist()) for split in splits(dataset))
    assert not train & validation
    assert min(train | validation) >= 0
    assert max(train | validation) < len(dataset.task_names)


def test_it_says_what_it_is(dataset: GridDataset) -> None:
    assert dataset.description
    assert "\n" not in dataset.description
    assert all(dataset.notes)


def test_equal_settings_give_equal_data_and_fingerprints(config: Any, dataset: GridDataset) -> None:
    again = config.build(FACTS)
    assert re.fullmatch(r"[0-9a-f]{64}", dataset.fingerprint)
    assert again.fingerprint == dataset.fingerprint
    for split, same in zip(splits(dataset), splits(again), strict=True):
        assert torch.equal(split.grids, same.grids)
        assert torch.equal(split.sizes, same.sizes)
        assert torch.equal(split.tasks, same.tasks)


def test_other_data_have_another_fingerprint(config: Any, dataset: GridDataset) -> None:
    shorter = _with_another_context_length(config)
    if shorter is None:
        pytest.skip("has no context length to change")
    assert shorter.build(FACTS).fingerprint != dataset.fingerprint


def _with_another_context_length(config: Any) -> Any:
    """The configuration with fewer context grids, as few as it takes; None when it takes no other number."""
    for context_length in range(1, getattr(config, "context_length", 1)):
        try:
            return attrs.evolve(config, context_length=context_length)
        except ValueError:
            continue
    return None
