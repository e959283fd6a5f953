"""What calls from Python take for the folder of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import jepa_core as jepa
from jepa_core.errors import RecipeError, RunDirectoryError
from tests.run_directory.runs import record_run


def test_no_folder_is_the_usual_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    record_run(tmp_path / "runs" / "mine")
    assert [run.name for run in jepa.runs(None)] == ["mine"]
    assert jepa.open_run(runs_dir=None).name == "mine"
    with pytest.raises(RunDirectoryError, match=r"verdict\.json is not there"):
        jepa.verdict(runs_dir=None)
    with pytest.raises(jepa.JepaError, match=r"runs/mine/recipe\.toml has 2 faults"):
        jepa.resume(runs_dir=None)


def test_a_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    record_run(tmp_path / "trained" / "mine")
    assert [run.name for run in jepa.runs("~/trained")] == ["mine"]


@pytest.mark.parametrize("folder", [3, ["runs"], b"runs"])
def test_what_is_no_folder_is_told_in_a_sentence(folder: Any) -> None:
    calls = (jepa.runs, lambda given: jepa.open_run(runs_dir=given), lambda given: jepa.evaluate(runs_dir=given))
    for call in (*calls, lambda given: jepa.train("quickstart", runs_dir=given)):
        with pytest.raises(RecipeError, match=r"is no folder\. Give the path of one, such as 'runs'"):
            call(folder)
