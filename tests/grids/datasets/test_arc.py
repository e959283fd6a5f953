"""ARC tasks as windows: which pairs, in which order, on which side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_core.contracts import SequenceDataset
from jepa_core.errors import DataError
from jepa_core.facts import DatasetFacts
from jepa_plugins.grids.datasets.arc import ArcConfig, windows_of
from jepa_plugins.grids.datasets.arc_tasks import ArcTask
from jepa_plugins.grids.datasets.packing import Grid
from jepa_plugins.grids.nulls.equal_cells import EqualCellsConfig
from jepa_plugins.grids.nulls.linear import PairAnalogyConfig
from tests.grids.nulls.ranking import retrieval_of

FACTS = DatasetFacts(seed=0)


def task(num_demonstrations: int, num_tests: int) -> ArcTask:
    """Pair number n has the 1 × 1 input n and output n."""
    pairs = [(Grid(1, 1, bytes([n])), Grid(1, 1, bytes([n]))) for n in range(num_demonstrations + num_tests)]
    return ArcTask("t", tuple(pairs[:num_demonstrations]), tuple(pairs[num_demonstrations:]))


def numbers(windows: list[list[Grid]]) -> list[list[int]]:
    """The pair that each grid of a window comes from."""
    return [[grid.cells[0] for grid in window] for window in windows]


def json_pairs(*sides: int) -> list[dict[str, Any]]:
    return [{"input": [[1] * side] * side, "output": [[2] * side] * side} for side in sides]


def write_task(folder: Path, side: str, name: str, content: dict[str, Any]) -> None:
    (folder / side).mkdir(exist_ok=True)
    (folder / side / f"{name}.json").write_text(json.dumps(content))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two training tasks and one evaluation task."""
    write_task(tmp_path, "training", "a", {"train": json_pairs(2, 3), "test": json_pairs(3)})
    write_task(tmp_path, "training", "b", {"train": json_pairs(5), "test": [{"input": [[1]]}]})
    write_task(tmp_path, "evaluation", "c", {"train": json_pairs(2, 4), "test": json_pairs(2)})
    return tmp_path


def test_hidden_files_marks_and_tests_without_an_answer_are_what_people_have(folder: Path) -> None:
    expected = ArcConfig(path=str(folder), context_length=3).build(FACTS)
    (folder / "training" / "._a.json").write_bytes(b"\x00\x05\x16\x07")
    write_task(folder, "training", "b", {"train": json_pairs(5), "test": [{"input": [[1]], "output": None}]})
    for file in folder.glob("*/[abc].json"):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert ArcConfig(path=str(folder), context_length=3).build(FACTS).fingerprint == expected.fingerprint


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_is_named_as_a_task_and_is_none_is_named(folder: Path, kind: str) -> None:
    odd = folder / "training" / "x.json"
    odd.mkdir() if kind == "folder" else odd.symlink_to(folder / "nowhere")
    with pytest.raises(DataError, match=r"training/x\.json is not an ARC task: ") as caught:
        ArcConfig(path=str(folder), context_length=3).build(FACTS)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def arc_1() -> SequenceDataset:
    return ArcConfig().build(FACTS)


def test_windows_ask_the_tests_first_and_targets_take_turns() -> None:
    assert numbers(windows_of(task(2, 1), 1, 6)) == [
        [0, 0, 2, 2],
        [1, 1, 0, 0],
        [0, 0, 1, 1],
        [1, 1, 2, 2],
        [2, 2, 0, 0],
        [2, 2, 1, 1],
    ]


@given(st.integers(0, 4), st.integers(0, 2), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_without_a_limit_windows_are_all_ordered_choices_of_pairs(demos: int, tests: int, before: int) -> None:
    windows = numbers(windows_of(task(demos, tests), before, 10_000))
    num_pairs = demos + tests
    expected = 1
    for taken in range(before + 1):
        expected *= max(num_pairs - taken, 0)
    assert len(windows) == expected
    assert len({tuple(window) for window in windows}) == expected
    for window in windows:
        assert window[::2] == window[1::2]
        assert len(set(window)) == before + 1


def test_fewer_windows_are_the_first_of_more() -> None:
    assert windows_of(task(4, 1), 2, 5) == windows_of(task(4, 1), 2, 60)[:5]


def test_a_folder_gives_training_tasks_to_train_and_evaluation_tasks_to_validate(folder: Path) -> None:
    dataset = ArcConfig(path=str(folder)).build(FACTS)
    assert dataset.task_names == ("a", "c")
    assert dataset.train.tasks.tolist() == [0] * 6
    assert dataset.validation.tasks.tolist() == [1]
    assert dataset.train.observations["grid"].shape == (6, 4, 3, 3)
    assert dataset.validation.observations["size"][0, :, 0].tolist() == [2, 2, 2, 2]
    assert "1 of 2 training tasks and 1 of 1 evaluation tasks remain" in dataset.notes[0]


def test_pairs_with_too_large_a_grid_are_left_out_and_counted(folder: Path) -> None:
    dataset = ArcConfig(path=str(folder), max_side=3, context_length=1).build(FACTS)
    assert dataset.train.observations["grid"].shape == (3, 2, 3, 3)
    assert "2 pairs with a larger grid are left out" in dataset.notes[0]


def test_a_side_without_windows_is_an_error_that_says_what_they_need(folder: Path) -> None:
    write_task(folder, "evaluation", "c", {"train": json_pairs(4, 4), "test": json_pairs(4)})
    with pytest.raises(
        DataError,
        match=r"None of the 1 evaluation tasks is usable: context_length = 3 .* 3 × 3 .*\. Lower data.*max_side\.",
    ):
        ArcConfig(path=str(folder), max_side=3).build(FACTS)


def test_an_even_context_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"context_length must be odd.*got 4"):
        ArcConfig(context_length=4)


def test_a_folder_without_tasks_is_an_error_that_says_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"training/\*\.json and evaluation/\*\.json"):
        ArcConfig(path=str(tmp_path)).build(FACTS)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "is not an ARC task"),
        ("[]", "is not a JSON object"),
        ('{"train": []}', "test is missing"),
        ('{"train": [3], "test": []}', r"train\[0\] is not an object"),
        ('{"train": [{"input": [[1]]}], "test": []}', r"train\[0\]\.output is not a non-empty list"),
        ('{"train": [{"input": [[11]], "output": [[1]]}], "test": []}', r"train\[0\]\.input has a cell 11"),
    ],
)
def test_a_file_that_is_no_task_is_named_with_what_is_wrong(folder: Path, content: str, complaint: str) -> None:
    (folder / "training" / "b.json").write_text(content)
    with pytest.raises(DataError, match=rf"b\.json.*{complaint}.*Mend it or take it out"):
        ArcConfig(path=str(folder)).build(FACTS)


def test_a_task_on_both_sides_is_an_error(folder: Path) -> None:
    write_task(folder, "evaluation", "a", {"train": json_pairs(2, 3), "test": json_pairs(3)})
    with pytest.raises(DataError, match="in both training and evaluation, such as a"):
        ArcConfig(path=str(folder)).build(FACTS)


def test_arc_1_comes_whole_with_one_window_for_each_evaluation_task(arc_1: SequenceDataset) -> None:
    assert "400 of 400 training tasks and 400 of 400 evaluation tasks remain" in arc_1.notes[0]
    assert arc_1.train.observations["grid"].shape[1:] == (4, 30, 30)
    assert len(arc_1.validation) == 400
    assert len(set(arc_1.validation.tasks.tolist())) == 400
    assert not set(arc_1.train.tasks.tolist()) & set(arc_1.validation.tasks.tolist())
    assert ArcConfig().build(FACTS).fingerprint == arc_1.fingerprint


def test_counting_cells_ranks_the_400_evaluation_targets_as_documented(arc_1: SequenceDataset) -> None:
    baseline = retrieval_of(arc_1, EqualCellsConfig())
    assert baseline.mrr == pytest.approx(0.579, abs=0.001)
    assert baseline.top1 == pytest.approx(0.5375)


def test_the_analogy_of_pairs_ranks_them_far_better_than_counting_cells(arc_1: SequenceDataset) -> None:
    assert retrieval_of(arc_1, PairAnalogyConfig()).mrr == pytest.approx(0.920, abs=0.003)


def test_arc_2_has_its_1000_training_and_120_evaluation_tasks() -> None:
    dataset = ArcConfig(version=2, train_windows=1).build(FACTS)
    assert (len(dataset.train), len(dataset.validation)) == (1000, 120)
    assert dataset.validation.observations["grid"].dtype == torch.uint8
    assert dataset.validation.observations["size"].dtype == torch.int64
