"""`jepa embed`: a file of arrays from a run, in words and as JSON."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pytest

import jepa_core as jepa
from jepa_core.cli import main


@pytest.fixture
def run(tiny_recipe_file: Path, tmp_path: Path) -> jepa.Run:
    return jepa.train(tiny_recipe_file, device="cpu", runs_dir=tmp_path / "runs")


def embed(run: jepa.Run, *flags: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["embed", str(run.path), "--device", "cpu", *flags])
    return int(ended.value.code or 0)


def test_both_splits_are_written_as_the_library_gives_them(
    run: jepa.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "mine.npz"
    assert embed(run, "-o", str(output)) == 0
    shown = capsys.readouterr().out
    assert f"sequences → {output}" in shown
    model = run.load(device="cpu")
    data = model.data()
    with np.load(output) as file:
        assert set(file) == {"state", "prediction", "target", "index", "split", "task", "about"} | {
            f"labels.{name}" for name in data.train.labels
        }
        for name, split in (("train", data.train), ("validation", data.validation)):
            rows = file["split"] == name
            np.testing.assert_allclose(file["prediction"][rows], model.embed(split).prediction, rtol=1e-5, atol=1e-6)
            assert file["task"][rows].tolist() == [data.task_names[task] for task in split.tasks]
            assert file["index"][rows].tolist() == list(range(len(split)))
        assert orjson.loads(str(file["about"]))["data_fingerprint"] == data.fingerprint


def test_json_says_what_was_written(run: jepa.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "mine.safetensors"
    assert embed(run, "-o", str(output), "--arrays", "tokens, codes", "--split", "validation", "--json") == 0
    written = orjson.loads(capsys.readouterr().out)
    sequences = written["num_sequences"]
    assert written["shapes"]["tokens"][0] == written["shapes"]["codes"][0] == sequences
    assert written["num_bytes"] == output.stat().st_size
    assert written["path"] == str(output)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["-o", "mine.csv"], "has the ending '.csv'"),
        (["--arrays", "stat", "-o", "mine.npz"], "no array 'stat'"),
        (["--split", "test", "-o", "mine.npz"], "--split 'test' is none. Use train, validation, all."),
        (["--set", "encoder.dim=4", "-o", "mine.npz"], "the weights were trained with the run's own value"),
        (["--step", "77", "-o", "mine.npz"], "There is no checkpoint of step 77"),
    ],
)
def test_what_is_asked_for_wrongly_is_told_and_leaves_nothing(
    run: jepa.Run, tmp_path: Path, flags: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    *flags, name = flags
    output = tmp_path / name
    before = sorted(tmp_path.iterdir())
    assert embed(run, *flags, str(output)) in (1, 2)
    assert told in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before
