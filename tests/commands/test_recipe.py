"""`jepa recipe`, on shipped recipes and faulty ones."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from jepa_core.cli import main

ROOT = Path(__file__).parents[2]

Jepa = Callable[..., tuple[int, str, str]]


@pytest.fixture
def jepa(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Jepa:
    """Runs the command in the project's folder; gives exit code, output and error output."""
    monkeypatch.chdir(ROOT)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        captured = capsys.readouterr()
        return int(caught.value.code or 0), captured.out, captured.err

    return run


def test_show_lists_every_value_with_its_meaning(jepa: Jepa) -> None:
    code, out, _ = jepa("recipe", "show", "optimized", "--set", "train.epochs=3")
    assert code == 0
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "epochs 3 passes over the training sequences (epochs)" in lines
    assert any(line.startswith("[aggregator] attention: ") for line in lines)
    assert any(line.startswith("abort non-finite not finite(") for line in lines)


def test_show_prints_toml_that_is_the_whole_recipe(jepa: Jepa, tmp_path: Path) -> None:
    code, out, _ = jepa("recipe", "show", "recipes/optimized.toml", "--toml", "--set", "train.epochs=3")
    table = tomllib.loads(out)
    assert (code, table["train"]["epochs"], table["aggregator"]["kind"]) == (0, 3, "attention")
    copied = tmp_path / "copied.toml"
    copied.write_text(out, encoding="utf-8")
    assert jepa("recipe", "check", str(copied)) == (0, f"{copied} is in order\n", "")


def test_check_reports_faults_of_all_recipes_and_exits_with_2(jepa: Jepa, tmp_path: Path) -> None:
    faulty = tmp_path / "faulty.toml"
    faulty.write_text("[train]\nepochs = 'x'\n", encoding="utf-8")
    code, out, _ = jepa("recipe", "check", "gentle_vq", str(faulty), "optimised")
    assert code == 2
    assert "gentle_vq is in order" in out
    assert f"{faulty}:2:10" in out
    assert 'No recipe optimised: no such file. Did you mean "optimized"?' in out


def test_check_gives_json_for_scripts(jepa: Jepa, tmp_path: Path) -> None:
    code, out, _ = jepa("recipe", "check", "gentle_vq", "nothing", "--json", "--set", "train.epochs=0")
    checked = json.loads(out)
    assert code == 2
    assert [entry["ok"] for entry in checked] == [False, False]
    assert checked[0]["faults"] == [
        {
            "where": "--set train.epochs=0",
            "key": "train.epochs",
            "message": "expected a whole number ≥ 1, got the number 0",
            "notes": [],
        }
    ]


def test_check_asks_which_recipe(jepa: Jepa) -> None:
    code, _, err = jepa("recipe", "check")
    assert (code, err.startswith("Which recipe?")) == (2, True)


def test_diff_shows_what_one_recipe_changes(jepa: Jepa) -> None:
    code, out, _ = jepa("recipe", "diff", "gentle_vq", "optimized", "--json")
    changes = {change["key"]: (change["left"], change["right"]) for change in json.loads(out)}
    assert code == 0
    assert changes["aggregator.kind"] == ("mean", "attention")
    assert not any(key.startswith("encoder.") for key in changes)


def test_diff_in_words_has_both_recipes_as_columns(jepa: Jepa) -> None:
    out = jepa("recipe", "diff", "gentle_vq", "optimized")[1]
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["key", "recipes/gentle_vq.toml", "recipes/optimized.toml"]
    assert ["aggregator.kind", '"mean"', '"attention"'] in lines
    same = jepa("recipe", "diff", "no_vq", "no_vq")[1]
    assert same == "recipes/no_vq.toml and recipes/no_vq.toml are the same recipe.\n"


def test_a_faulty_recipe_ends_show_with_its_report_and_2(jepa: Jepa) -> None:
    code, out, err = jepa("recipe", "show", "no_vq", "--set", "train.epoch=3")
    assert (code, out) == (2, "")
    assert 'no field of this name in train. Did you mean "epochs"?' in err


def test_schema_is_printed_as_json(jepa: Jepa) -> None:
    code, out, _ = jepa("recipe", "schema")
    assert code == 0
    assert "aggregator.attention" in json.loads(out)["$defs"]


def test_recipes_that_are_found_by_name_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["recipe", "list"])
    shown = capsys.readouterr().out
    assert "quickstart" in shown
    assert "frames of moving digits, never seen in training" in shown
    with pytest.raises(SystemExit):
        main(["recipe", "list", "--json"])
    listed = {entry["name"]: entry for entry in orjson.loads(capsys.readouterr().out)}
    assert Path(listed["digits"]["path"]).is_file()


def test_ones_own_recipes_are_listed_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "arc.toml").write_text('description = "mine"')
    (tmp_path / "recipes" / "broken.toml").write_text("x = ")
    (tmp_path / "recipes" / "child.toml").write_text('extends = "arc.toml"')
    (tmp_path / "recipes" / "deep.toml").write_text("x = " + "[" * 20_000)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["recipe", "list", "--json"])
    listed = {entry["name"]: entry["description"] for entry in orjson.loads(capsys.readouterr().out)}
    assert list(listed)[:4] == ["arc", "broken", "child", "deep"]
    assert listed["arc"] == listed["child"] == "mine"
    assert listed["broken"].startswith("cannot be read: ")
    assert listed["deep"].startswith("cannot be read: ")
    assert "digits" in listed


def test_check_says_what_nothing_here_could_train(jepa: Jepa) -> None:
    code, out, _ = jepa("recipe", "check", "digits", "--set", "encoder.dim=100000000")
    assert code == 2
    assert "encoder.dim = 100000000 takes at least " in " ".join(out.split())
    code, out, _ = jepa("recipe", "check", "digits", "--set", "train.epochs=100000000000000000", "--json")
    (checked,) = orjson.loads(out)
    assert (code, checked["ok"]) == (2, False)
    assert checked["faults"][0]["message"].startswith("train.epochs = 100000000000000000 takes at least 316,")
