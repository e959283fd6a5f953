from __future__ import annotations

from pathlib import Path
from typing import Any

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
    _, newest, oldest = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [newest[0], *newest[3:]] == ["b-20260102-000000", "mine", "✘", "failed", "0"]
    expected = ["a-20260101-000000", "mine", "✔", "finished", "2/3", "0.500", "0.346", "pair", "analogy"]
    assert [oldest[0], *oldest[3:]] == expected


def listed(capsys: pytest.CaptureFixture[str], *words: str, **asked: Any) -> list[str]:
    """The first word of each line below the heading."""
    runs(*words, **asked)
    return [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """Three runs and an ablation of two, the newest first in the alphabet."""
    for name, mrr, tags in (("c", 0.3, ["big", "lr=0.1"]), ("b", 0.5, []), ("a", 0.4, ["big"])):
        path = record_run(tmp_path / name, [validation(1, 1.0, mrr)], state="failed" if name == "b" else "finished")
        (path / "environment.json").write_bytes(orjson.dumps({"tags": tags}))
    ablation = tmp_path / "ablate-mine-0123abcd"
    for number in (1, 2):
        record_run(ablation / f"c{number}-s0-20260101-000000", [validation(1, 1.0, number / 10)])
    (ablation / "ablation.json").write_bytes(b"{}")
    return tmp_path


def test_runs_are_sorted_by_what_is_asked_for(several: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ablation = "ablate-mine-0123abcd"
    assert listed(capsys, runs_dir=several) == [ablation, "a", "b", "c"]
    assert listed(capsys, runs_dir=several, sort="name") == ["a", ablation, "b", "c"]
    assert listed(capsys, runs_dir=several, sort="best") == ["b", "a", "c", ablation]
    assert listed(capsys, runs_dir=several, sort="state") == ["b", ablation, "a", "c"]


def test_runs_are_chosen_by_words_and_by_tags(several: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert listed(capsys, "FAILED", runs_dir=several) == ["b"]
    assert listed(capsys, runs_dir=several, tag=("big",)) == ["a", "c"]
    assert listed(capsys, "finished", runs_dir=several, tag=("big", "lr=0.1")) == ["c"]
    runs("failed", runs_dir=several, tag=("big",))
    assert f"None of the 4 runs in {several}/ fits failed --tag big." in capsys.readouterr().out


def test_an_ablation_is_one_line_unless_all_its_runs_are_asked_for(
    several: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs("ablate", runs_dir=several)
    _, line = capsys.readouterr().out.splitlines()
    assert "✔ 2 runs" in line
    assert "0.200" in line
    unfolded = listed(capsys, "ablate", runs_dir=several, all_runs=True)
    assert unfolded == [f"ablate-mine-0123abcd/c{number}-s0-20260101-000000" for number in (2, 1)]


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


def test_a_verdict_is_listed_by_its_headline_as_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record_run(tmp_path / "a-20260101-000000")
    headline = {"outcome": "neutral", "baseline": "gentle", "findings": [{"not": "read here"}]}
    (path / "verdict.json").write_bytes(orjson.dumps(headline))
    runs(runs_dir=tmp_path)
    assert "neutral against gentle" in capsys.readouterr().out
    (path / "verdict.json").write_bytes(orjson.dumps({**headline, "outcome": "great"}))
    runs(runs_dir=tmp_path)
    assert "damaged" in capsys.readouterr().out
