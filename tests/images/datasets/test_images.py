"""A folder of images as sequences: frames of recordings, crops, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor

from jepa_core.conformance.checking import check_component
from jepa_core.contracts import SequenceDataset
from jepa_core.dataset_checks import check_dataset
from jepa_core.discovery.components import Component
from jepa_core.errors import DataError, PluginError
from jepa_core.facts import DatasetFacts
from jepa_plugins.images.datasets.images import ImageFolderConfig
from jepa_plugins.images.space import ImageSpace

FACTS = DatasetFacts(seed=0)


def write(path: Path, value: int | None = None, *, size: tuple[int, int] = (6, 4), mode: str = "L") -> None:
    """An image of one value, or of noise that its name decides; `size` is width and height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0], *([3] if mode == "RGB" else []))
    noise = np.random.default_rng(sum(map(ord, str(path.name)))).integers(0, 256, shape, dtype=np.uint8)
    pixels = noise if value is None else np.full(shape, value, dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(path)


def built(path: Path, **settings: Any) -> SequenceDataset:
    small = {"channels": 1, "height": 4, "width": 6} | settings
    dataset = ImageFolderConfig(path=str(path), **small).build(FACTS)
    check_dataset(dataset, ImageSpace)
    return dataset


def whole(dataset: SequenceDataset) -> tuple[Tensor, Tensor]:
    """Pixels of both splits sorted by task, and tasks."""
    tasks = torch.cat([dataset.train.tasks, dataset.validation.tasks])
    order = tasks.argsort(stable=True)
    pixels = [split.observations["pixels"] for split in (dataset.train, dataset.validation)]
    return torch.cat(pixels)[order], tasks[order]


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Two of 5 and 6 frames, whose value is their number."""
    for name, first, num in (("b", 100, 6), ("a", 0, 5)):
        for number in range(num):
            write(tmp_path / name / f"frame{number + 7}.png", first + number)
    return tmp_path


def test_files_of_a_folder_are_frames_in_the_order_of_their_numbers(recordings: Path) -> None:
    dataset = built(recordings, context_length=2)
    pixels, tasks = whole(dataset)
    values = (pixels.mean((2, 3, 4)) * 255).round().int().tolist()
    assert values == [
        *[[start, start + 1, start + 2] for start in (0, 1, 2)],
        *[[start, start + 1, start + 2] for start in (100, 101, 102, 103)],
    ]
    assert tasks.tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert dataset.task_names == ("a", "b")
    assert dataset.places() == ("frame", "frame", "frame")
    assert dataset.description == "2 recordings, 7 sequences of 3 images of 1 × 4 × 6 pixels"
    assert dataset.train.labels == {}


@pytest.mark.parametrize(("stride", "share"), [(1, 0.1), (1, 0.5), (2, 0.2), (5, 0.3)])
def test_a_single_recording_is_split_in_time_and_no_frame_is_on_both_sides(
    tmp_path: Path, stride: int, share: float
) -> None:
    for number in range(60):
        write(tmp_path / f"{number}.png", number)
    dataset = built(tmp_path, context_length=2, stride=stride, validation_share=share)
    train, validation = (
        (split.observations["pixels"].mean((2, 3, 4)) * 255).round().int().tolist()
        for split in (dataset.train, dataset.validation)
    )
    assert all(window == [window[0], window[0] + 1, window[0] + 2] for window in train + validation)
    assert train[0] == [0, 1, 2]
    first = validation[0][0]
    assert max(map(max, train)) < first <= max(map(max, train)) + stride + 3, "only what shares frames is left out"
    assert len(validation) == pytest.approx(share * (len(train) + len(validation)), abs=3)
    assert set(dataset.train.tasks.tolist()).isdisjoint(dataset.validation.tasks.tolist())
    assert len(dataset.validation.tasks.unique()) >= min(10, len(validation)), "an interval needs tasks"
    assert dataset.description.startswith("1 recording, ")
    assert dataset.notes == (f"a single recording is split in time: from frame {first + 1} of 60 on it validates",)


def test_windows_start_a_stride_apart(recordings: Path) -> None:
    pixels, _ = whole(built(recordings, context_length=2, stride=3))
    assert (pixels[:, 0].mean((1, 2, 3)) * 255).round().tolist() == [0, 100, 103]


def test_recordings_within_a_folder_have_it_as_class(recordings: Path) -> None:
    for name in ("a", "b"):
        (recordings / ("walk" if name == "a" else "run")).mkdir()
        (recordings / name).rename(recordings / ("walk" if name == "a" else "run") / name)
    dataset = built(recordings, context_length=2)
    labels = {name: torch.cat([dataset.train.labels[name], dataset.validation.labels[name]]) for name in ("class",)}
    assert sorted(labels["class"].tolist()) == [0, 0, 0, 0, 1, 1, 1]
    assert dataset.task_names == ("run/b", "walk/a")


def test_crops_are_parts_of_one_image(tmp_path: Path) -> None:
    # Values rise to the right and downwards: a crop's corners tell where it was taken.
    ramp = (np.add.outer(np.arange(60) * 2, np.arange(60) * 2)).astype(np.uint8)
    for number in range(8):
        (tmp_path / "x").mkdir(exist_ok=True)
        PIL.Image.fromarray(ramp).save(tmp_path / "x" / f"{number}.png")
    dataset = built(tmp_path, frames="crops", height=10, width=10, smallest_crop=0.5)
    pixels, tasks = whole(dataset)
    assert tasks.tolist() == list(range(8))
    assert pixels.shape == (8, 4, 1, 10, 10)
    assert len(pixels.flatten(0, 1).unique(dim=0)) == 32
    spans = (pixels[..., 0, -1] - pixels[..., 0, 0]) * 255 / 2 / 60
    assert spans.min() > 0.4
    assert spans.max() < 0.95
    steps = pixels[..., 1:] - pixels[..., :-1]
    assert (steps > 0).all()


def test_the_whole_image_is_a_crop_of_size_one(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"{number}.png", size=(6, 4))
    pixels, _ = whole(built(tmp_path, frames="crops", smallest_crop=1.0))
    for number in range(3):
        stored = torch.from_numpy(np.array(PIL.Image.open(tmp_path / f"{number}.png"))).float() / 255
        assert pixels[number, :, 0].equal(stored.expand(4, -1, -1))


def test_crops_have_their_folder_as_label_and_a_flat_folder_has_none(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        for number in range(3):
            write(tmp_path / name / f"{number}.jpg")
    dataset = built(tmp_path, frames="crops", validation_share=0.5)
    for split in (dataset.train, dataset.validation):
        named = [0 if dataset.task_names[task].startswith("cat") else 1 for task in split.tasks.tolist()]
        assert split.labels["class"].tolist() == named
    assert built(tmp_path / "cat", frames="crops").train.labels == {}


def test_crops_of_an_image_stay_when_others_come(tmp_path: Path) -> None:
    for number in (2, 4):
        write(tmp_path / f"{number}.png", size=(20, 20))
    before = whole(built(tmp_path, frames="crops"))[0]
    write(tmp_path / "3.png", size=(20, 20))
    assert whole(built(tmp_path, frames="crops"))[0][[0, 2]].equal(before)
    assert not whole(built(tmp_path, frames="crops", seed=1))[0][[0, 2]].equal(before)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_of_file_is_read_as_asked(channels: int, tmp_path: Path) -> None:
    PIL.Image.fromarray(np.full((4, 6), 257 * 128, dtype=np.uint16)).save(tmp_path / "1.png")
    PIL.Image.new("RGB", (6, 4), (128, 128, 128)).save(tmp_path / "2.JPEG")
    PIL.Image.new("RGBA", (6, 4), (255, 255, 255, 128)).save(tmp_path / "3.png")
    PIL.Image.new("P", (6, 4), 0).save(tmp_path / "4.png")
    pixels, _ = whole(built(tmp_path, frames="crops", channels=channels))
    assert pixels.shape == (4, 4, channels, 4, 6)
    values = (pixels.mean((1, 2, 3, 4)) * 255).tolist()
    assert values == pytest.approx([128, 128, 128, 0], abs=2)


def test_colours_stay_in_their_order(tmp_path: Path) -> None:
    for number in range(2):
        PIL.Image.new("RGB", (6, 4), (255, 102, 0)).save(tmp_path / f"{number}.png")
    pixels, _ = whole(built(tmp_path, frames="crops", channels=3))
    assert pixels[0, 0, :, 0, 0].tolist() == pytest.approx([1.0, 0.4, 0.0])


def test_hidden_files_and_links_that_lead_elsewhere_are_left_out(tmp_path: Path) -> None:
    folder, other = tmp_path / "images", tmp_path / "elsewhere"
    for number in range(3):
        write(folder / f"{number}.png")
    write(other / "5.png")
    write(folder / ".6.png")
    write(folder / ".thumbnails" / "7.png")
    (folder / "8.png").symlink_to(other / "5.png")
    (folder / "9.png").symlink_to(folder / "0.png")
    (folder / "more").symlink_to(other)
    (folder / "notes.txt").write_text("no image", encoding="utf-8")
    dataset = built(folder, frames="crops")
    assert dataset.task_names == ("0.png", "1.png", "2.png", "9.png")
    assert dataset.notes == (f"1 symbolic link leads out of {folder} and was left out",)


def refusal(path: Path, **settings: Any) -> str:
    with pytest.raises(DataError) as refused:
        built(path, **settings)
    return str(refused.value)


def test_what_cannot_be_used_is_refused_with_what_to_do(recordings: Path, tmp_path: Path) -> None:
    assert "nowhere: there is no such folder. Give another" in refusal(tmp_path / "nowhere")
    told = refusal(recordings / "a" / "frame7.png")
    assert "frame7.png is no folder" in told
    assert 'data.kind = "arrays"' in told
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no image: files ending in .jpeg, .jpg, .png" in refusal(empty)
    message = refusal(recordings / "a")
    assert "holds one recording, of 5 images: its last part would validate, and each part needs 4, 3 of" in message
    message = refusal(recordings, context_length=5)
    assert f"{recordings / 'a'} holds 5 images, and a sequence needs 6" in message
    assert "lower data.context_length" in message


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n", None])
def test_an_unreadable_image_is_named(content: bytes | None, recordings: Path) -> None:
    broken = recordings / "a" / "frame9.png"
    broken.write_bytes(broken.read_bytes()[:45] if content is None else content)
    message = refusal(recordings)
    assert f"{broken} cannot be read as an image" in message
    assert "take it out" in message


def test_without_pillow_it_says_what_to_install(recordings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    monkeypatch.delattr("PIL.Image")
    with pytest.raises(PluginError, match=r"pip install 'jepa-core\[images\]'"):
        built(recordings)


@pytest.mark.parametrize("frames", ["files", "crops"])
def test_it_keeps_what_datasets_promise(frames: Any, recordings: Path) -> None:
    config = ImageFolderConfig(path=str(recordings), frames=frames, channels=1, height=4, width=4)
    component = Component(
        family="dataset", name="images", config_class=ImageFolderConfig, distribution="x", version="1"
    )
    outcomes = {result.check: result for result in check_component(component, config=config)}
    assert {result.outcome for name, result in outcomes.items() if name != "metrics"} == {"passed"}, outcomes


def test_images_that_are_resized_are_said(recordings: Path) -> None:
    assert built(recordings).notes == ()
    (one,) = built(recordings, height=8).notes
    assert one == (
        "images of 4 × 6 pixels (height × width) are resized to 8 × 6; data.height and data.width say otherwise"
    )
    write(recordings / "a" / "frame99.png", size=(12, 10))
    (several,) = built(recordings).notes
    assert several.startswith("images of 2 sizes from 4 × 6 to 10 × 12 pixels (height × width) are resized to 4 × 6;")
    assert built(recordings, frames="crops").notes == ()
