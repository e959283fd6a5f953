"""Paths of data at which nothing is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from jepa_core.contracts import DatasetConfig
from jepa_core.errors import DataError
from jepa_core.facts import DatasetFacts
from jepa_plugins.arrays.dataset import ArraysConfig
from jepa_plugins.data_path import data_path, require_there
from jepa_plugins.grids.datasets.arc import ArcConfig
from jepa_plugins.grids.datasets.manifest import ManifestConfig
from jepa_plugins.images.datasets.images import ImageFolderConfig


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as refused:
        require_there(path, "file")
    return str(refused.value)


def test_a_relative_path_is_told_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = refusal(Path("data/own.npz"))
    assert told.startswith("data/own.npz: there is no such file.")
    assert f"{tmp_path}/data/own.npz: a relative data.path starts from the working directory" in told
    assert "working directory" not in refusal(tmp_path / "own.npz")


def test_the_nearest_name_is_offered_wherever_the_path_goes_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / "springs.npz").touch()
    (tmp_path / "dots.npz").touch()
    assert 'Did you mean "recordings/springs.npz"?' in refusal(Path("recordings/spring.npz"))
    assert 'Did you mean "recordings/springs.npz"?' in refusal(Path("recording/springs.npz"))
    assert 'Did you mean "dots.npz"?' in refusal(Path("dots.npy"))
    assert 'Did you mean "dots.npz"?' in refusal(Path("elsewhere/dots.npz"))
    assert f'Did you mean "{tmp_path}/dots.npz"?' in refusal(tmp_path / "dot.npz")
    (tmp_path / "e.npz").touch()
    assert "Did you mean" not in refusal(Path("pendulums.npz"))
    assert "Did you mean" not in refusal(Path("nope.npz"))


def test_what_is_there_passes(tmp_path: Path) -> None:
    require_there(tmp_path, "folder")


@pytest.mark.parametrize("config_class", [ArraysConfig, ArcConfig, ManifestConfig, ImageFolderConfig])
def test_every_dataset_of_files_says_so(
    config_class: Callable[..., DatasetConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owned").mkdir()
    with pytest.raises(DataError, match=r"owner: there is no such .*working directory.* Did you mean \"owned\"\?"):
        config_class(path="owner").build(DatasetFacts(seed=0))


def test_what_is_said_of_a_file_names_all_of_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("grids.jsonl").write_text("{}\n")
    Path("numbers.npy").write_bytes(b"")
    Path("empty").mkdir()
    for config in (
        ManifestConfig(path="grids.jsonl"),
        ArraysConfig(path="numbers.npy"),
        ImageFolderConfig(path="empty"),
        ArcConfig(path="empty"),
    ):
        with pytest.raises(DataError, match=f"^{re.escape(str(tmp_path / config.path))}"):  # type: ignore[operator]
            config.build(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("address", ["https://example.org/a.npz", "s3://bucket/a.npz"])
def test_an_address_is_called_one(address: str) -> None:
    with pytest.raises(
        DataError, match=r"this is an address, and data\.path takes a file of this machine\. Download it"
    ):
        require_there(data_path(address), "file")
