"""Standardising: by what trains alone, kept with the weights, and the same for all data that they are asked about."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import jepa_core as jepa
from jepa_core.audit.brief import brief_audit
from jepa_core.audit.fields import without_what_is_set
from jepa_core.contracts import SequenceDataset
from jepa_core.dataset_checks import check_dataset
from jepa_core.engine.device import Compute
from jepa_core.errors import DataError
from jepa_core.facts import DatasetFacts
from jepa_core.run_directory.reading import RunReader
from jepa_core.spaces import Space, space_of, space_state
from jepa_core.watch.findings import Finding
from jepa_plugins.arrays import standardising as module
from jepa_plugins.arrays.dataset import ArraysConfig
from jepa_plugins.series.space import SeriesSpace
from jepa_plugins.vectors.space import VectorSpace
from tests.engine.training import lasting

RANDOM = np.random.default_rng(0)
FAR = np.array([1013.0, -20.0])
SMALL = np.array([0.5, 300.0])


def far(*shape: int) -> np.ndarray:
    """Two channels far from zero and of very different scales."""
    values: np.ndarray = RANDOM.normal(size=(*shape, 2)).cumsum(-2) * SMALL + FAR
    return values.astype(np.float32)


def saved(folder: Path, observations: np.ndarray, name: str = "own", **others: np.ndarray) -> str:
    path = folder / f"{name}.npz"
    np.savez(path, observations=observations, **others)  # type: ignore[arg-type]  # no key is allow_pickle
    return str(path)


def built(path: str, space: Space | None = None, **settings: Any) -> SequenceDataset:
    config = ArraysConfig(path=path, **{"standardise": True, **settings})
    dataset = config.build(DatasetFacts(seed=0, space=space))
    check_dataset(dataset, config.space)
    return dataset


def require_standardised(dataset: SequenceDataset, trained: np.ndarray, values: np.ndarray, got: torch.Tensor) -> None:
    """`got` is `values` by mean and deviation of `trained`, (…, C) each, which the space keeps."""
    rows = trained.reshape(-1, trained.shape[-1]).astype(np.float64)
    mean, std = rows.mean(0), rows.std(0)
    space = dataset.space
    assert isinstance(space, SeriesSpace | VectorSpace)
    np.testing.assert_allclose(space.standardised[: len(mean)], np.stack([mean, std], 1), rtol=1e-5)
    np.testing.assert_allclose(got.numpy(), (values - mean) / std, rtol=1e-4, atol=1e-4)


def test_recordings_are_standardised_by_those_that_train(tmp_path: Path) -> None:
    recordings, split = far(12, 60), np.arange(12) % 3 == 0
    recordings[split] += 50
    dataset = built(saved(tmp_path, recordings, split=split.astype(np.int64)), length=10, context_length=2)
    validation = recordings[split][:, :60].reshape(4, 6, 10, 2)
    windows = np.stack([validation[:, start : start + 3] for start in range(4)], 1).reshape(16, 3, 10, 2)
    require_standardised(dataset, recordings[~split], windows, dataset.validation.observations["values"])
    (note,) = (note for note in dataset.notes if "standardised" in note)
    assert note.startswith("each channel is standardised by its mean and standard deviation in training: channel 0 by")


def test_a_recording_is_standardised_by_its_training_stretch_alone(tmp_path: Path) -> None:
    recording = far(400)
    recording[200:] += 1000
    dataset = built(saved(tmp_path, recording), length=5, context_length=1, validation_share=0.5)
    trained = recording[: 5 * (len(dataset.train) + 1)]
    assert len(trained) <= 200
    first = recording[:10].reshape(1, 2, 5, 2)
    require_standardised(dataset, trained, first, dataset.train.observations["values"][:1])


def test_steps_of_training_tasks_count_once(tmp_path: Path) -> None:
    recording, split = far(200), np.repeat([0, 1], 100)
    path = saved(tmp_path, recording, split=split, tasks=np.repeat(np.arange(20), 10))
    dataset = built(path, length=2, context_length=1, stride=1)
    first = recording[:4].reshape(1, 2, 2, 2)
    require_standardised(dataset, recording[:100], first, dataset.train.observations["values"][:1])


def test_vectors_are_standardised_and_what_never_changes_is_zero(tmp_path: Path) -> None:
    sequences = np.concatenate([far(40, 4), np.full((40, 4, 1), 7.3, np.float32)], axis=2)
    split = np.arange(40) % 2
    dataset = built(saved(tmp_path, sequences, split=split), observed_as="vectors", context_length=2)
    values = dataset.train.observations["values"]
    # All four places train, though sequences take the last three.
    require_standardised(dataset, sequences[split == 0][..., :2], sequences[split == 0][:, 1:, :2], values[..., :2])
    assert not values[..., 2].any()


def test_how_many_threads_add_up_does_not_show(tmp_path: Path) -> None:
    path = saved(tmp_path, far(30, 4000))
    threads = torch.get_num_threads()
    try:
        prints = set()
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            prints.add(built(path).fingerprint)
    finally:
        torch.set_num_threads(threads)
    assert len(prints) == 1


def test_images_stay_as_they_are_and_the_refusal_says_so(tmp_path: Path) -> None:
    path = saved(tmp_path, RANDOM.integers(0, 256, (40, 4, 8, 8), dtype=np.uint8))
    with pytest.raises(
        DataError, match=r"data\.standardise is for series and vectors, and images stay .* Leave it out"
    ):
        built(path, observed_as="images", holds="sequences")


@pytest.mark.parametrize(
    ("scale", "offset", "why"),
    [
        (1, 0, ""),
        (1, 2, ""),
        (0.3, 0, ""),
        (30, 0, ""),
        (1, 5, "2 of 2 channels vary little beside their mean"),
        (0.03, 0, "the channels vary little"),
        (300, 0, "the channels vary much"),
        (np.array([1, 300]), 0, "the channels are of very different scales"),
    ],
)
def test_by_default_channels_are_standardised_where_their_scales_need_it_and_that_is_said(
    tmp_path: Path, scale: Any, offset: float, why: str
) -> None:
    values = RANDOM.normal(offset, 1, size=(20, 160, 2)) * scale
    path = saved(tmp_path, values.astype(np.float32))
    asked, left, unasked = (built(path, standardise=value) for value in (True, False, None))
    assert unasked.fingerprint == (asked if why else left).fingerprint
    notes = [note for note in unasked.notes if "standardised" in note]
    assert len(notes) == bool(why)
    assert all(note.endswith(f"; {why}, and data.standardise = false leaves them so") for note in notes)


def test_what_may_be_larger_than_memory_is_not_copied_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, far(12, 200))
    monkeypatch.setattr(module, "_MOST_UNASKED", 4 * 12 * 200 * 2 - 1)
    assert not [note for note in built(path, standardise=None).notes if "standardised" in note]
    assert [note for note in built(path).notes if "standardised" in note]


def test_standardised_data_is_other_data_and_none_is_as_before(tmp_path: Path) -> None:
    path = saved(tmp_path, far(12, 200))
    plain, standardised = built(path, standardise=False), built(path)
    assert plain.fingerprint != standardised.fingerprint
    assert plain.space == SeriesSpace(length=32, channels=2)
    assert space_state(plain.space) == {"kind": "series", "length": 32, "channels": 2}


SCALES = [[1013.0, 0.5], [-20.0, 300.0]]


@pytest.mark.parametrize("form", [{"length": 4, "channels": 2}, {"dim": 2}])
def test_a_checkpoint_keeps_the_scales_and_refuses_what_is_none(form: dict[str, int]) -> None:
    space_class: type[Space] = VectorSpace if "dim" in form else SeriesSpace
    space = space_of({**form, "standardised": SCALES}, space_class)
    assert space_of(space_state(space), space_class) == space
    assert space != space_of(form, space_class)
    assert "standardised" in space.describe()
    for wrong in ([[1.0, 0.5]], [[1.0, 0.0], [2.0, 1.0]], [[float("nan"), 1.0], [2.0, 1.0]], [1.0, 2.0], "ab"):
        with pytest.raises((TypeError, ValueError)):
            space_of({**form, "standardised": wrong}, space_class)


def test_data_for_trained_weights_is_standardised_by_theirs(tmp_path: Path) -> None:
    trained = built(saved(tmp_path, far(12, 200)))
    other = far(12, 200) + 5
    got = built(saved(tmp_path, other, "other"), trained.space)
    assert got.space == trained.space
    assert isinstance(trained.space, SeriesSpace)
    scales = torch.tensor(trained.space.standardised, dtype=torch.float64)
    plain = built(saved(tmp_path, other, "other"), standardise=False).train.observations["values"]
    expected = (plain.double() - scales[:, 0]) / scales[:, 1]
    torch.testing.assert_close(got.train.observations["values"], expected.float())
    as_given = built(saved(tmp_path, other, "other"), SeriesSpace(length=32, channels=2))
    assert as_given.train.observations["values"].equal(plain)
    assert any(note.startswith("data.standardise = true has no effect: the weights") for note in as_given.notes)


TINY: dict[str, Any] = {
    "name": "far",
    "data": {"kind": "arrays", "length": 8, "context_length": 2, "standardise": True},
    "encoder": {"kind": "series", "dim": 16, "layers": 1, "patch": 4, "heads": 2},
    "losses": {"info_nce": {}},
    "train": {"epochs": 1, "batch_size": 16},
}


def tiny(path: str) -> dict[str, Any]:
    return {**TINY, "data": {**TINY["data"], "path": path}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> jepa.Run:
    folder = tmp_path_factory.mktemp("far")
    return jepa.train(tiny(saved(folder, far(24, 80))), device="cpu", runs_dir=folder / "runs")


def test_a_run_asks_other_data_by_the_numbers_it_was_trained_with(run: jepa.Run, tmp_path: Path) -> None:
    model = run.load(device="cpu")
    other = saved(tmp_path, far(24, 80) * 2 + 7)
    plain = built(other, standardise=False, length=8, context_length=2).validation.observations["values"]
    of_file = model.embed(model.data(set={"data.path": other}).validation, ["prediction"]).prediction
    # Arrays are in the units of the file, whoever reads it.
    np.testing.assert_allclose(model.embed(plain.numpy(), ["prediction"]).prediction, of_file, rtol=1e-5, atol=1e-5)
    scales = torch.tensor(model.space.standardised, dtype=torch.float64)  # type: ignore[attr-defined]  # a series'
    by_hand = ((plain.double() - scales[:, 0]) / scales[:, 1]).float()
    with torch.no_grad():
        forward, _ = model.module.encode(type(model.data().train.observations)({"values": by_hand}), None)
    np.testing.assert_allclose(of_file, forward.predicted.numpy(), rtol=1e-5, atol=1e-5)


def test_a_dataset_that_knows_no_scales_is_brought_to_those_of_the_weights(run: jepa.Run) -> None:
    model = run.load(device="cpu")
    given = {"data.kind": "series_demo", "data.length": 8, "data.context_length": 2, "data.channels": 2}
    shown = model.data(set=given).validation.observations["values"]
    assert float(shown[..., 0].mean()) < -100  # near zero, and it was trained about 1013


def test_a_run_that_is_resumed_goes_on_as_if_it_had_never_stopped(
    run: jepa.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jepa_core.engine.step import TrainingStep

    step_once = TrainingStep.__call__

    def step_and_interrupt(self: TrainingStep, step: int, *more: Any) -> Any:
        if step == 3:
            signal.raise_signal(signal.SIGINT)
        return step_once(self, step, *more)

    monkeypatch.setattr(TrainingStep, "__call__", step_and_interrupt)
    stopped = jepa.train(tiny(run.recipe["data"]["path"]), device="cpu", runs_dir=tmp_path)
    monkeypatch.undo()
    assert stopped.state == "interrupted"
    resumed = jepa.resume(stopped, device="cpu")
    rows, expected = ([lasting(row) for row in RunReader(path).rows()] for path in (resumed.path, run.path))
    assert rows == expected


def test_a_run_says_at_its_start_that_channels_are_far_from_zero_and_what_mends_it(tmp_path: Path) -> None:
    table = tiny(saved(tmp_path, far(24, 80)))
    recipes = [jepa.recipe(table, set={"data.standardise": value}).loaded.recipe for value in (False, True)]
    findings, mended = (
        brief_audit(recipe, recipe.data.build(DatasetFacts(seed=0)), Compute(torch.device("cpu"), "fp32"))
        for recipe in recipes
    )
    told = {finding.name: finding.set for finding in findings if finding.severity == "warning"}
    assert told["channels far from zero"] == told["unequal channels"] == {"data": {"standardise": True}}
    assert not {finding.name for finding in mended} & told.keys() - {"few tasks", "few candidates"}


def test_a_dataset_without_the_setting_is_not_told_to_set_it() -> None:
    recipe = jepa.recipe({**TINY, "data": {"kind": "series_demo"}}).loaded.recipe
    advice = {"data": {"standardise": True, "length": 5}, "train": {"batch_size": 3}}
    finding = without_what_is_set(Finding(name="x", severity="warning", message="m", set=advice), recipe)
    assert finding.set == {"data": {"length": 5}, "train": {"batch_size": 3}}


@pytest.mark.parametrize("shape", [(20, 160), (3, 4000)])
def test_numbers_from_all_over_what_trains_decide(
    tmp_path: Path, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOKED_AT", 600)
    wide = RANDOM.normal(size=(*shape, 2)) * np.linspace(0, 1000, shape[1])[:, None]
    for values, is_off in ((wide, True), (wide / 1000, False)):
        notes = built(saved(tmp_path, values.astype(np.float32)), standardise=None).notes
        assert any("standardised" in note for note in notes) is is_off
