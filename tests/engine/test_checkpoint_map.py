"""What a picture of a run's embeddings is made of: points, colours, neighbours and notes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

import jepa_core as jepa
from jepa_core.contracts import SequenceDataset
from jepa_core.engine import checkpoint_map
from jepa_core.engine.checkpoint_embedding import embedder_of
from jepa_core.engine.checkpoint_map import Colouring, map_run
from jepa_core.engine.embedding_map import agreement, nearest_of_others, principal_components
from jepa_core.engine.opened_run import OpenedRun, open_run
from jepa_core.errors import DataError, RecipeError
from jepa_core.registry import installed
from jepa_plugins.grids.space import GridSpace
from tests.conftest import TINY, VECTORS


def opened(run: Path) -> OpenedRun:
    return open_run(run, overrides=(), step="", device="cpu", registry=installed())


@pytest.fixture(scope="module")
def grids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on tasks of six sequences, some of which share a rule."""
    folder = tmp_path_factory.mktemp("grids")
    (folder / "tiny.toml").write_text(TINY)
    recipe = jepa.recipe(folder / "tiny.toml", set={"data.num_sequences": 240, "data.validation_share": 0.3})
    return jepa.train(recipe, device="cpu", runs_dir=folder).path


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on vectors with a label of 40 classes and one of three."""
    folder = tmp_path_factory.mktemp("vectors")
    random = np.random.default_rng(0)
    observations = random.normal(size=(80, 3, 4)).astype(np.float32)
    labels = {"labels.a_many": np.arange(80) // 2, "labels.few": np.arange(80) % 3}
    np.savez(folder / "vectors.npz", observations=observations, split=np.arange(80) % 2, **labels)  # type: ignore[arg-type]  # no key is allow_pickle
    (folder / "vectors.toml").write_text(VECTORS.format(path=folder / "vectors.npz"))
    return jepa.train(folder / "vectors.toml", device="cpu", runs_dir=folder).path


@pytest.mark.parametrize(("array", "split"), [("prediction", "validation"), ("state", "train"), ("target", "train")])
def test_points_are_the_principal_components_of_the_split(grids: Path, array: str, split: str) -> None:
    run = opened(grids)
    found = map_run(run, array=array, split=split, num_rows=0)
    sequences = getattr(run.dataset(), split)
    name = embedder_of(run).names((array,), has_target=True)[0]
    embeddings = torch.cat([part[name] for part in embedder_of(run).embed(sequences.observations, (name,))])
    torch.testing.assert_close(found.plane.points, principal_components(embeddings).points)
    assert (found.num_sequences, found.neighbours) == (len(sequences), None)


def test_rows_show_what_was_embedded_beside_the_nearest_of_other_tasks(grids: Path) -> None:
    run = opened(grids)
    found, of_targets = (map_run(run, array=array, num_rows=4) for array in ("prediction", "target"))
    sequences = run.dataset().validation
    assert found.neighbours is not None
    assert of_targets.neighbours is not None
    rows = found.neighbours.rows
    assert rows.shape == (4, 6)
    assert (sequences.tasks[rows[:, 1:]] != sequences.tasks[rows[:, :1]]).all()
    space = run.model.shape.space
    assert isinstance(space, GridSpace)
    for neighbours, place, shown in (
        (found.neighbours, -2, "last observation of context"),
        (of_targets.neighbours, -1, "target"),
    ):
        expected = space.pictures(sequences.observations[neighbours.rows.flatten(), place])
        assert neighbours.pictures.flatten(0, 1).equal(expected)
        assert neighbours.shown == shown


def test_rows_have_the_names_of_their_tasks_and_cosines_with_the_query(grids: Path) -> None:
    run = opened(grids)
    found = map_run(run, array="state", num_rows=3).neighbours
    assert found is not None
    dataset = run.dataset()
    sequences = dataset.validation
    name = embedder_of(run).names(("state",), has_target=True)[0]
    states = torch.cat([part[name] for part in embedder_of(run).embed(sequences.observations, (name,))])
    for row, names, similarities in zip(found.rows, found.tasks, found.similarities, strict=True):
        assert names == tuple(dataset.task_names[task] for task in sequences.tasks[row])
        torch.testing.assert_close(similarities, torch.cosine_similarity(states[row[:1]], states[row]))
        assert similarities.tolist() == sorted(similarities.tolist(), reverse=True)


def test_the_first_label_of_few_classes_gives_the_colours_and_queries_spread_over_it(grids: Path) -> None:
    run = opened(grids)
    found = map_run(run, num_rows=4)
    sequences = run.dataset().validation
    assert (found.labels, found.colouring and found.colouring.label) == (("rule", "task"), "rule")
    assert found.colouring is not None
    assert found.colouring.values.equal(sequences.labels["rule"])
    assert found.neighbours is not None
    of_queries = sequences.labels["rule"][found.neighbours.rows[:, 0]]
    assert of_queries.tolist() == sorted(of_queries.tolist())
    assert len(of_queries.unique()) > 1


def test_agreement_is_over_all_points_and_none_is_told_of_tasks(grids: Path) -> None:
    run = opened(grids)
    sequences = run.dataset().validation
    name = embedder_of(run).names(("state",), has_target=True)[0]
    states = torch.cat([part[name] for part in embedder_of(run).embed(sequences.observations, (name,))])
    by_rule, by_task = (map_run(run, array="state", label=label, num_rows=1).neighbours for label in ("rule", "task"))
    assert by_rule is not None
    assert by_task is not None
    nearest = nearest_of_others(states, sequences.tasks, 5)
    assert by_rule.agreement == agreement(nearest, sequences.labels["rule"], sequences.tasks)
    assert by_task.agreement is None


def test_tasks_are_called_by_their_names(grids: Path) -> None:
    run = opened(grids)
    found = map_run(run, label="task", num_rows=0)
    dataset = run.dataset()
    assert found.colouring is not None
    assert [found.colouring.text(task) for task in found.colouring.values.tolist()] == [
        dataset.task_names[task] for task in dataset.validation.tasks
    ]


def test_real_numbers_are_no_classes() -> None:
    colouring = Colouring(label="speed", values=torch.tensor([0.5, 1.0, 1 / 3]))
    assert not colouring.is_shared
    assert colouring.has_colours
    assert [colouring.text(value) for value in colouring.values.tolist()] == ["0.5", "1", "0.333"]


def test_observations_without_pictures_have_no_rows_and_a_label_of_many_classes_waits_to_be_asked_for(
    vectors: Path,
) -> None:
    found = map_run(opened(vectors))
    assert found.neighbours is None
    assert "no nearest neighbours: vectors have no pictures" in found.notes
    assert found.labels == ("a_many", "few", "task")
    assert found.colouring is not None
    assert found.colouring.label == "few"
    by_many = map_run(opened(vectors), label="a_many", num_rows=0)
    assert by_many.colouring is not None
    assert (by_many.colouring.num_classes, by_many.colouring.has_colours) == (40, False)
    assert not any("neighbours" in note for note in by_many.notes)


def test_of_many_sequences_some_are_drawn_and_it_is_said(grids: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_map, "MOST_POINTS", 10)
    found = map_run(opened(grids))
    assert len(found.plane.points) == 10
    assert f"10 of {found.num_sequences} sequences are drawn, evenly chosen" in found.notes


def test_progress_ends_with_all_of_them(grids: Path) -> None:
    told: list[tuple[int, int]] = []
    found = map_run(opened(grids), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (found.num_sequences, found.num_sequences)
    assert len(told) == -(-found.num_sequences // 16)


def test_a_collapsed_model_is_said_to_be_one(grids: Path) -> None:
    run = opened(grids)
    for parameter in run.model.objective.online.parameters():
        parameter.data.zero_()
    assert "all embeddings are equal but for rounding: the model has collapsed" in map_run(run).notes


def test_embeddings_that_are_not_finite_are_refused(grids: Path) -> None:
    run = opened(grids)
    next(iter(run.model.objective.online.predictor.parameters())).data.fill_(float("nan"))
    with pytest.raises(DataError, match=r"Of \d+ predictions \d+ are not finite: step \d+ of tiny"):
        map_run(run)


def test_tasks_of_one_have_no_others(grids: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_map, "MOST_POINTS", 1)
    found = map_run(opened(grids))
    assert found.neighbours is None
    assert "no nearest neighbours: there is no other task" in found.notes


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"split": "test"}, "--split 'test' is none. Use validation, train."),
        ({"array": "tokens"}, "--array 'tokens' is none. Use state, prediction, target."),
        ({"method": "tsne"}, "--map 'tsne' is none. Use pca, umap."),
        ({"label": "colour"}, "--label 'colour': the data has no such label. There are rule, task."),
        ({"num_rows": 21}, "--neighbours 21 is no number of rows. Give 0 … 20."),
        ({"num_rows": -1}, "--neighbours -1 is no number of rows. Give 0 … 20."),
    ],
)
def test_what_is_asked_for_wrongly_is_told(grids: Path, arguments: dict[str, object], told: str) -> None:
    with pytest.raises(RecipeError) as refused:
        map_run(opened(grids), **arguments)  # type: ignore[arg-type]
    assert str(refused.value) == told


@pytest.mark.parametrize("num", [1, 2])
def test_too_few_sequences_for_a_map_are_counted(grids: Path, num: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = OpenedRun.dataset

    def few(self: OpenedRun) -> SequenceDataset:
        dataset = whole(self)
        return dataclasses.replace(dataset, validation=dataset.validation.rows(torch.arange(num)))

    monkeypatch.setattr(OpenedRun, "dataset", few)
    with pytest.raises(
        DataError, match=rf"The validation split has {num} sequences?, and a map needs 3 or more\. Draw"
    ):
        map_run(opened(grids))
