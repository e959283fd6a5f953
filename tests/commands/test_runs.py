from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from jepa_core.commands.runs import runs
from jepa_core.watch.nulls import NullFigures, RankedNulls
from tests.run_directory.runs import record_run, validation


def test_runs_are_listed_newest_first_with_retrieval_beside_the_strongest_null(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = record_run(
        tmp_path / "a-20260101-000000", [validation(1, 1.0, 0.5), validation(2, 2.0, 0.4)], epoch=2.0, total_epochs=3
    )
    nulls = RankedNulls(figures=(NullFigures(name="pair_analogy", mrr=0.346, top1=0.2),))
    (path / "environment.json").write_bytes(orjson.dumps(nulls.to_environment()))
    record_run(tmp_path / "b-20260102-000000", state="failed")
    runs(runs_dir=tmp_path)
    _, newest, oldest = capsys.readouterr().out.splitlines()
    assert newest.split() == ["b-20260102-000000", "✘", "failed", "0"]
    assert oldest.split() == ["a-20260101-000000", "✔", "finished", "2/3", "0.500", "0.346", "pair", "analogy"]


def test_a_run_of_an_earlier_version_stands_beside_counting_equal_cells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"step": 1, "epoch": 1.0, "val.retrieval.mrr": 0.5, "val.retrieval.baseline_mrr": 0.346}
    record_run(tmp_path / "a-20260101-000000", [row])
    runs(runs_dir=tmp_path)
    assert capsys.readouterr().out.split()[-3:] == ["0.346", "equal", "cells"]


def test_json_has_one_entry_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record_run(tmp_path / "a-20260101-000000", [validation(1, 1.0, 0.5)], exit_code=0)
    runs(runs_dir=tmp_path, json=True)
    (entry,) = orjson.loads(capsys.readouterr().out)
    assert (entry["name"], entry["state"], entry["best_mrr"], entry["exit_code"]) == (
        "a-20260101-000000",
        "finished",
        0.5,
        0,
    )


def test_a_damaged_run_is_listed_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record_run(tmp_path / "a-20260101-000000", [validation(1, 1.0, 0.5)])
    (path / "status.json").write_bytes(b"{")
    (path / "verdict.json").write_bytes(b"{")
    runs(runs_dir=tmp_path)
    assert "? unknown" in (out := capsys.readouterr().out)
    assert "damaged" in out


def test_an_empty_folder_says_how_to_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs(runs_dir=tmp_path)
    assert "jepa run quickstart" in capsys.readouterr().out
