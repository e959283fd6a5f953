"""The user's own arrays: each shape as sequences, the split, and every error with what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from jepa_core.conformance.checking import check_component
from jepa_core.contracts import DatasetConfig, SequenceDataset
from jepa_core.dataset_checks import check_dataset
from jepa_core.engine.dataset import built_dataset
from jepa_core.errors import DataError, JepaError, RecipeError
from jepa_core.facts import DatasetFacts
from jepa_core.recipes.reading import load_recipe
from jepa_core.registry import Component, installed
from jepa_plugins.arrays.dataset import ArraysConfig
from jepa_plugins.images.space import ImageSpace
from jepa_plugins.series.space import SeriesSpace
from jepa_plugins.vectors import real_values
from jepa_plugins.vectors.space import VectorSpace

RANDOM = np.random.default_rng(0)


def noise(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def frames(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def saved(folder: Path, observations: np.ndarray, **others: np.ndarray) -> str:
    path = folder / "own.npz"
    np.savez(path, observations=observations, **others)  # type: ignore[arg-type]  # no key is allow_pickle
    return str(path)


def built(path: str, **settings: Any) -> SequenceDataset:
    config = ArraysConfig(path=path, **settings)
    dataset = config.build(DatasetFacts(seed=0))
    check_dataset(dataset, config.space)
    return dataset


def both(dataset: SequenceDataset, name: str = "values") -> torch.Tensor:
    return torch.cat([dataset.train.observations[name], dataset.validation.observations[name]])


@pytest.mark.parametrize("kind", ["sequences", "recording", "recordings"])
def test_it_keeps_the_contract(tmp_path: Path, kind: str) -> None:
    arrays = {"sequences": noise(30, 5, 6), "recording": noise(600, 2), "recordings": noise(12, 300, 2)}
    labels = {"labels.kind": np.arange(len(arrays[kind])) % 2, "labels.pace": noise(len(arrays[kind]))}
    config = ArraysConfig(path=saved(tmp_path, arrays[kind], **labels))
    component = Component(
        family="dataset", name="arrays", config_class=ArraysConfig, distribution="jepa-core", version="1"
    )
    results = {result.check: result for result in check_component(component, config=config)}
    assert not [result for result in results.values() if result.failed]
    assert results["content"].outcome == "passed"


@pytest.mark.parametrize(
    ("array", "space", "shape"),
    [
        (noise(40, 4, 6), VectorSpace(dim=6), (4, 6)),
        (noise(40, 4, 8, 2), SeriesSpace(length=8, channels=2), (4, 8, 2)),
        (frames(40, 4, 3, 9, 8), ImageSpace(channels=3, height=9, width=8), (4, 3, 9, 8)),
        (noise(600, 2), SeriesSpace(length=32, channels=2), (4, 32, 2)),
        (noise(80, 40), VectorSpace(dim=40), (4, 40)),
        (frames(60, 9, 8), ImageSpace(channels=1, height=9, width=8), (4, 1, 9, 8)),
        (frames(60, 9, 8, 3), ImageSpace(channels=3, height=9, width=8), (4, 3, 9, 8)),
        (frames(60, 3, 9, 8), ImageSpace(channels=3, height=9, width=8), (4, 3, 9, 8)),
        (noise(10, 300, 2), SeriesSpace(length=32, channels=2), (4, 32, 2)),
        (noise(10, 30, 40), VectorSpace(dim=40), (4, 40)),
        (frames(10, 30, 9, 8, 3), ImageSpace(channels=3, height=9, width=8), (4, 3, 9, 8)),
    ],
)
def test_every_shape_makes_sequences_of_its_space(
    tmp_path: Path, array: np.ndarray, space: Any, shape: tuple[int, ...]
) -> None:
    dataset = built(saved(tmp_path, array))
    assert dataset.space == space
    (tensor,) = dataset.train.observations.tensors.values()
    assert tuple(tensor.shape[1:]) == shape
    assert dataset.notes
    assert "are read as" in dataset.notes[0]


def test_ready_sequences_are_split_whole_and_the_last_places_count(tmp_path: Path) -> None:
    array = noise(30, 6, 5)
    dataset = built(saved(tmp_path, array), context_length=2, validation_share=0.2)
    assert len(dataset.validation) == 6
    for split in (dataset.train, dataset.validation):
        np.testing.assert_array_equal(split.observations["values"].numpy(), array[split.tasks.numpy(), -3:])
    assert dataset.task_names[3] == "sequence 3"


def test_a_recording_is_split_in_time_with_a_gap(tmp_path: Path) -> None:
    steps = np.arange(1000, dtype=np.float32)[:, None]
    dataset = built(saved(tmp_path, steps), length=8, stride=3, context_length=2, standardise=False)
    train, validation = dataset.train.observations["values"], dataset.validation.observations["values"]
    assert train[5].flatten().tolist() == list(range(15, 39))
    assert train.max() < validation.min()
    assert validation.min() - train.max() <= 3
    assert len(validation) == round(0.1 * (len(train) + len(validation) + 7))
    assert dataset.train.tasks.unique().tolist() == list(range(45))
    assert dataset.validation.tasks.unique().tolist() == list(range(45, 55))
    assert len(dataset.task_names) == 55
    assert (dataset.train.tasks.diff() >= 0).all()


def test_several_recordings_are_tasks(tmp_path: Path) -> None:
    recordings = noise(12, 40, 3)
    dataset = built(
        saved(tmp_path, recordings, **{"labels.kind": np.arange(12) % 4}),
        observed_as="vectors",
        holds="recordings",
        validation_share=0.25,
        stride=2,
    )
    assert (len(dataset.train), len(dataset.validation)) == (9 * 19, 3 * 19)
    for split in (dataset.train, dataset.validation):
        for number in (0, 20, 37):
            task, first = int(split.tasks[number]), 2 * (number % 19)
            np.testing.assert_array_equal(split.observations["values"][number], recordings[task, first : first + 4])
            assert split.labels["kind"][number] == task % 4


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_labels_that_are_floats_are_numbers_and_those_that_are_not_are_classes(tmp_path: Path, dtype: type) -> None:
    pace: np.ndarray = np.linspace(-2, 3, 30).astype(dtype)
    dataset = built(saved(tmp_path, noise(30, 4, 5), **{"labels.pace": pace, "labels.is_fast": pace > 0}))
    for split in (dataset.train, dataset.validation):
        assert split.labels["pace"].dtype == torch.float64
        assert split.labels["pace"].tolist() == pace[split.tasks].tolist()
        assert split.labels["is_fast"].dtype == torch.int64
    assert not any("labels." in note for note in dataset.notes)


def test_classes_saved_as_floats_are_told_of(tmp_path: Path) -> None:
    dataset = built(saved(tmp_path, noise(30, 4, 5), **{"labels.kind": (np.arange(30) % 3).astype(float)}))
    assert dataset.train.labels["kind"].dtype == torch.float64
    assert dataset.notes[-1] == (
        "labels.kind are floats, so they count as numbers; if they are classes, convert them with .astype(numpy.int64)"
    )


def test_bytes_become_brightness_and_doubles_floats(tmp_path: Path) -> None:
    array = frames(40, 2, 1, 3, 3)
    pixels = both(built(saved(tmp_path, array), context_length=1), "pixels")
    np.testing.assert_allclose(np.sort(pixels.numpy().ravel()), np.sort(array.ravel() / np.float32(255)), rtol=1e-6)
    values = both(built(saved(tmp_path, noise(40, 2, 3).astype(np.float64)), context_length=1))
    assert values.dtype == torch.float32


def test_the_files_own_split_tasks_and_labels_count(tmp_path: Path) -> None:
    tasks, side = np.array([7, 7, 3, 3, 9, 9]), np.array([1, 1, 0, 0, 0, 0])
    path = saved(tmp_path, noise(6, 4, 2), tasks=tasks, split=side, **{"labels.kind": np.array([5, 4, 3, 2, 1, 0])})
    dataset = built(path)
    assert dataset.task_names == ("task 3", "task 7", "task 9")
    assert dataset.validation.tasks.tolist() == [1, 1]
    assert dataset.train.tasks.tolist() == [0, 0, 2, 2]
    assert dataset.train.labels["kind"].tolist() == [3, 2, 1, 0]


def test_tasks_without_a_split_are_split_whole(tmp_path: Path) -> None:
    tasks = np.arange(60) // 3
    dataset = built(saved(tmp_path, noise(60, 4, 2), tasks=tasks), validation_share=0.3)
    assert len(dataset.validation) == 18
    assert not set(dataset.train.tasks.tolist()) & set(dataset.validation.tasks.tolist())


def test_tasks_of_a_recordings_steps_are_never_mixed_in_a_sequence(tmp_path: Path) -> None:
    tasks = np.repeat([0, 1, 2, 3], [50, 3, 40, 30])
    dataset = built(
        saved(
            tmp_path, np.repeat(tasks, 1)[:, None].astype(np.float32), tasks=tasks, **{"labels.step": np.arange(123)}
        ),
        observed_as="vectors",
        validation_share=0.3,
    )
    for split in (dataset.train, dataset.validation):
        values = split.observations["values"]
        assert values.flatten(1).long().equal(split.tasks[:, None].expand(-1, 4))
        assert not (split.tasks == 1).any()
        ends = split.labels["step"]
        assert torch.from_numpy(tasks)[ends].equal(split.tasks)
    assert len(dataset.train) + len(dataset.validation) == 47 + 37 + 27


def test_a_recordings_own_split_is_cut_into_stretches(tmp_path: Path) -> None:
    side = (np.arange(400) >= 300).astype(np.int64)
    values = np.arange(400, dtype=np.float32)[:, None]
    dataset = built(saved(tmp_path, values, split=side), observed_as="vectors")
    assert dataset.train.observations["values"].max() == 299
    assert dataset.validation.observations["values"].min() == 300
    assert len(dataset.task_names) == 50
    assert dataset.validation.tasks.min() == 25


def test_a_mapped_recordings_sequences_are_views_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "long.npy"
    np.save(path, noise(5000, 3))
    dataset = built(str(path))
    train, validation = (split.observations["values"] for split in (dataset.train, dataset.validation))
    assert train.untyped_storage().data_ptr() == validation.untyped_storage().data_ptr()
    assert train.untyped_storage().nbytes() == 5000 * 3 * 4


def test_safetensors_are_read_as_npz(tmp_path: Path) -> None:
    array, labels = noise(30, 4, 5), np.arange(30)
    save_file(
        {"observations": torch.from_numpy(array), "labels.kind": torch.from_numpy(labels)}, tmp_path / "a.safetensors"
    )
    other = built(saved(tmp_path, array, **{"labels.kind": labels}))
    dataset = built(str(tmp_path / "a.safetensors"))
    assert dataset.fingerprint == other.fingerprint
    assert dataset.train.labels["kind"].equal(other.train.labels["kind"])


def test_the_fingerprint_counts_the_data_and_how_it_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = noise(600, 2)
    path = saved(tmp_path, array)
    first = built(path).fingerprint
    monkeypatch.setattr(real_values, "NUMBERS_AT_ONCE", 300)
    assert built(path).fingerprint == first
    changes: list[dict[str, Any]] = [
        {"stride": 16},
        {"length": 16, "stride": 32},
        {"context_length": 2},
        {"validation_share": 0.3},
        {"observed_as": "vectors", "stride": 32},
    ]
    others = [built(path, **change).fingerprint for change in changes]
    array[17] += 1
    others.append(built(saved(tmp_path, array)).fingerprint)
    assert len({first, *others}) == 7


def test_the_fingerprint_counts_who_validates(tmp_path: Path) -> None:
    path = saved(tmp_path, noise(30, 4, 5))
    assert built(path).fingerprint != built(path, split_seed=1).fingerprint


def test_the_space_is_known_before_the_data_is_read(tmp_path: Path) -> None:
    assert isinstance(ArraysConfig(observed_as="vectors"), DatasetConfig)
    for unreadable in (ArraysConfig(), ArraysConfig(path="gone.npz")):
        with pytest.raises(JepaError):
            assert unreadable.space
    assert ArraysConfig(observed_as="images").space is ImageSpace
    assert ArraysConfig(path=saved(tmp_path, noise(40, 4, 8, 2))).space is SeriesSpace
    assert ArraysConfig(path=saved(tmp_path, frames(40, 9, 8))).space is ImageSpace


def test_arrays_of_other_names_are_named_in_a_note(tmp_path: Path) -> None:
    dataset = built(saved(tmp_path, noise(30, 4, 5), actions=noise(30, 4)))
    assert any(note.startswith("not read: actions") for note in dataset.notes)


def test_without_a_path_it_says_what_file_it_takes() -> None:
    with pytest.raises(RecipeError, match=r"data.path is empty: .*\n.*--set data.path=FILE.npz"):
        ArraysConfig().build(DatasetFacts(seed=0))


def with_nan() -> np.ndarray:
    array = noise(600, 2)
    array[17, 1], array[30] = np.nan, np.inf
    return array


ragged = np.empty(2, dtype=object)
ragged[:] = [noise(30, 2), noise(40, 2)]
own = {"observations": noise(30, 4, 5)}
ERRORS: list[tuple[dict[str, np.ndarray], dict[str, Any], str]] = [
    (
        {"few": noise(3, 4), "x": noise(9, 4), "tasks": np.arange(9)},
        {},
        r"no array is called 'observations'; the file has few \(3, 4\), tasks \(9,\), x \(9, 4\)\. .*, such as x: "
        r"numpy.savez\(\"FILE.npz\", observations=numpy.load\('.*own.npz'\)\['x'\]\)\.",
    ),
    (
        {"tasks": np.arange(9)},
        {},
        r"the array 'observations' is missing; the file has tasks \(9,\)\. Save it under that",
    ),
    ({"observations": ragged}, {}, r"Python objects .* unequal length cannot be stacked"),
    ({"observations": noise(30, 2) + 1j}, {}, r"of type complex\d+\. Save real and imaginary part"),
    (
        {"observations": with_nan()},
        {},
        r"3 of 1,200 values are not finite, the first, nan at \[17, 1\] of \(time, C\)\.",
    ),
    (
        {"observations": np.full((600, 2), 1e200)},
        {},
        r"1,200 of 1,200 values are beyond what float32 holds, 3.4e\+38, the first, 1e\+200 at",
    ),
    (
        {"observations": np.full((600, 2), np.inf, np.float16)},
        {},
        r"1,200 of 1,200 values are infinite, the first, inf at \[0, 0\] of \(time, C\): float16 holds numbers up to",
    ),
    ({"observations": noise(60, 2).astype(object)}, {}, r"observations=observations.astype\(numpy.float32\)\)\.$"),
    ({"observations": noise(60, 2).astype(str)}, {}, r"Save numbers: observations.astype\(numpy.float32\)\.$"),
    ({"observations": np.array(1, np.float32)}, {}, r"are a single number\. Give a recording \(time, channels\)"),
    ({"observations": noise(100, 2)}, {}, r"a recording has 100 steps, and at least 256 are needed"),
    ({"observations": noise(9, 100, 2)}, {}, r"a recording has 100 steps, and at least 128 are needed"),
    ({"observations": noise(30, 3, 5)}, {}, r"has 3 observations, .* = 3 asks for 4\. Set data.context_length = 2"),
    ({"observations": 9 + noise(5, 20, 8, 8, 3)}, {}, r"images are bytes .* or brightness in 0 … 1\. Save them as uin"),
    (
        {"observations": frames(50, 8, 8).astype(np.int32)},
        {"observed_as": "images"},
        r"int32 are read as images, one recording .*: images are byt",
    ),
    ({**own, "labels.kind": np.arange(29)}, {}, r"labels.kind have the shape \(29,\), and the .* have 30 sequences"),
    ({**own, "tasks": noise(30)}, {}, r"tasks are torch.float32, not whole numbers"),
    ({**own, "labels.pace": np.array([0.5] * 9 + [np.nan] * 21)}, {}, r"labels.pace hold nan, at 9\. Fill it in"),
    ({**own, "labels.pace": noise(29)}, {}, r"labels.pace have the shape \(29,\), and the .* have 30 sequences"),
    ({**own, "labels.pace": noise(30).astype(complex)}, {}, r"labels.pace are torch.complex128, not whole numbers"),
    ({**own, "tasks": np.arange(30) - 1}, {}, r"tasks hold -1, at 0\. Count classes, tasks and sides from 0"),
    ({**own, "tasks": np.zeros(30, int)}, {}, r"all observations are of one task, .* Give more, leave tasks out, or"),
    ({**own, "split": np.arange(30)}, {}, r"split holds 2\. Give each sequence 0 for training"),
    ({**own, "split": np.zeros(30, int)}, {}, r"split puts every sequence into training \(0\)"),
    (
        {**own, "tasks": np.arange(30) // 2, "split": (np.arange(30) > 20).astype(int)},
        {},
        r"1 task is in training and in validation, the first is task 10\. Put all sequences of a task",
    ),
    (
        {"observations": noise(60, 2), "tasks": np.arange(60) // 3},
        {"observed_as": "vectors"},
        r"no 4 steps in a row are of one task and of training",
    ),
]


@pytest.mark.parametrize(("arrays", "settings", "message"), ERRORS)
def test_an_error_names_the_file_what_is_wrong_and_what_to_do(
    tmp_path: Path, arrays: dict[str, np.ndarray], settings: dict[str, Any], message: str
) -> None:
    path = tmp_path / "own.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]  # no key is allow_pickle
    with pytest.raises(DataError, match=f"(?s){path}.*{message}") as info:
        ArraysConfig(path=str(path), **settings).build(DatasetFacts(seed=0))
    assert ". " in str(info.value)


def test_the_split_is_the_same_in_every_run(tmp_path: Path) -> None:
    config = ArraysConfig(path=saved(tmp_path, noise(30, 4, 5)))
    first, again = (config.build(DatasetFacts(seed=seed)) for seed in (0, 1))
    assert first.validation.tasks.equal(again.validation.tasks)
    other = attrs.evolve(config, split_seed=1).build(DatasetFacts(seed=0))
    assert not other.validation.tasks.equal(first.validation.tasks)


@pytest.mark.parametrize(
    ("name", "array", "kind"),
    [
        ("labels.kind", np.array(["a", "b", "a"] * 10), r"texts \(dtype str32\)"),
        ("labels.kind", np.array(["a", "b", "a"] * 10, dtype=object), r"Python objects \(dtype object\)"),
        ("tasks", np.array([b"a", b"b", b"a"] * 10), r"texts \(dtype bytes8\)"),
        ("tasks", np.arange("2020-01", "2022-07", dtype="datetime64[M]"), r"of type datetime64\[M\]"),
    ],
)
def test_texts_and_objects_for_rows_are_refused_by_name_with_how_to_number_them(
    tmp_path: Path, name: str, array: np.ndarray, kind: str
) -> None:
    path = saved(tmp_path, noise(30, 4, 5), **{name: array})
    with pytest.raises(DataError, match=rf"own\.npz: {name} are {kind}, not whole numbers") as refused:
        built(path)
    remedy = re.search(r"(numpy\.unique\(.*\)\[1\])", str(refused.value))
    assert remedy is not None
    numbered = eval(remedy[1], {"numpy": np, "names": array})
    assert built(saved(tmp_path, noise(30, 4, 5), **{name: numbered})).train is not None


def test_texts_for_the_split_are_told_what_it_holds(tmp_path: Path) -> None:
    path = saved(tmp_path, noise(30, 4, 5), split=np.array(["train", "validation"] * 15))
    with pytest.raises(DataError, match=r"split are texts .* Give each row 0 for training or 1 for validation"):
        built(path)


@pytest.mark.parametrize(
    "arrays",
    [
        {"observations": noise(2, 3000)},
        {"observations": noise(1, 600, 40)},
        {"observations": noise(30, 3, 5)},
        {"observations": noise(30, 6, 5), "labels.kind": np.arange(6)},
        {"observations": 9 + noise(30, 20, 20, 3)},
    ],
)
def test_an_error_of_a_shape_that_was_guessed_says_how_to_say_otherwise(
    tmp_path: Path, arrays: dict[str, np.ndarray]
) -> None:
    with pytest.raises(DataError, match=r"are something else: for .*(say data\.|save numpy\.swapaxes)"):
        built(saved(tmp_path, **arrays))


def test_of_longer_ready_sequences_it_is_said_that_the_last_places_count(tmp_path: Path) -> None:
    films = saved(tmp_path, frames(30, 6, 8, 8, 3))
    (note,) = [note for note in built(films).notes if "the last 4 count" in note]
    assert 'data.context_length = 5 takes all, and data.holds = "recordings" cuts' in note
    assert not [note for note in built(films, context_length=5).notes if "count" in note]
    assert len(both(built(films, holds="recordings"), "pixels")) == 30 * 3


def test_a_refused_pairing_says_what_the_array_was_taken_for(tmp_path: Path) -> None:
    path = saved(tmp_path, RANDOM.random((60, 32, 32), dtype=np.float32))
    text = f'[data]\nkind = "arrays"\npath = "{path}"\nSAID\n[encoder]\nkind = "KIND"\n[losses.info_nce]\n'

    def refusal(kind: str, said: str = "") -> str:
        (tmp_path / "own.toml").write_text(text.replace("SAID", said).replace("KIND", kind))
        with pytest.raises(JepaError) as refused:
            load_recipe(tmp_path / "own.toml", registry=installed())
        return str(refused.value)

    told = refusal("convnet")
    assert "observations (60, 32, 32) float32 are read as series, several recordings (R, time, C)" in told
    assert 'for images, one recording (time, H, W), say data.observed_as = "images"' in told
    assert "are read as" not in refusal("series", 'observed_as = "images"')


def test_float_frames_of_recordings_are_images_where_that_is_said(tmp_path: Path) -> None:
    path = saved(tmp_path, np.random.default_rng(0).random((20, 10, 12, 12), dtype=np.float32))
    assert built(path, observed_as="images").space == ImageSpace(channels=1, height=12, width=12)


def test_a_file_that_is_not_there_is_told_and_not_its_encoder(tmp_path: Path) -> None:
    text = '[data]\nkind = "arrays"\npath = "gone.npz"\n[encoder]\nkind = "vit"\n[losses.info_nce]\n'
    (tmp_path / "own.toml").write_text(text)
    recipe = load_recipe(tmp_path / "own.toml", registry=installed()).recipe
    with pytest.raises(DataError, match="there is no such file"):
        built_dataset(recipe)


@pytest.mark.parametrize(
    ("name", "told"), [("labels.task", 'labels.task: a label is called "task"'), ("labels.", "name is empty: ''")]
)
def test_a_label_that_cannot_be_named_is_refused_with_what_to_do(tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(DataError) as caught:
        built(saved(tmp_path, noise(30, 4, 5), **{name: np.arange(30) % 2}))
    assert told in str(caught.value)
    assert str(caught.value).endswith("save the array as labels.NAME, or tell tasks by the array tasks.")


def test_a_number_that_int64_does_not_hold_is_told_as_the_file_has_it(tmp_path: Path) -> None:
    labels = np.array([2**63 - 1] * 29 + [2**64 - 1], np.uint64)
    with pytest.raises(DataError, match=r"labels\.c hold 18446744073709551615, at 29, .* is 9223372036854775807\."):
        built(saved(tmp_path, noise(30, 4, 5), **{"labels.c": labels}))
    assert built(saved(tmp_path, noise(30, 4, 5), **{"labels.c": labels[:1].repeat(30)})).train.labels["c"][0] > 0
