"""`jepa check`: runs by their own rules, files by a recipe's."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from jepa_core.commands.check import check
from jepa_core.errors import RecipeError, RunDirectoryError
from jepa_core.run_directory.status import State
from tests.run_directory.runs import record_run

RULES = """\
[[watch.must]]
id = "low"
when = "loss.total < 1"

[[watch.abort]]
id = "spike"
when = "loss.total > 5"

[[watch.scenario]]
id = "flat"
title = "Nothing moves"
when = "max(loss.total, 3) - min(loss.total, 3) < 0.1"
advice = "Wait."
set = { optimizer = { lr = 0.1 } }
"""


def recorded(folder: Path, *losses: float, state: State = "finished") -> Path:
    rows = [{"step": i, "epoch": float(i), "loss.total": loss} for i, loss in enumerate(losses, 1)]
    path = record_run(folder / "a-20260101-000000", rows, state=state)
    (path / "recipe.toml").write_text(RULES)
    return path


def spoil(file: Path, content: bytes | None) -> None:
    file.unlink()
    if content is not None:
        file.write_bytes(content)


def unwrapped(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(("losses", "code"), [((2.0, 0.5), 0), ((6.0, 0.5), 3), ((3.0, 2.0), 4), ((6.0, 2.0), 3)])
def test_the_exit_code_says_what_was_found(tmp_path: Path, losses: tuple[float, ...], code: int) -> None:
    assert check(str(recorded(tmp_path, *losses))) == code


def test_a_rollback_rule_that_fired_has_no_tick_nor_has_one_that_did_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = recorded(tmp_path, 3.0, 0.5)
    rule = '[[watch.rollback]]\nid = "{}"\ntitle = "It is {}"\nwhen = "loss.total > {}"\n'
    (run / "recipe.toml").write_text(RULES + rule.format("A", "high", 2) + rule.format("B", "very high", 9))
    check(str(run))
    lines = {line.split("It is ")[1][:4]: line for line in capsys.readouterr().out.splitlines() if "rollback" in line}
    assert "▲ It is high" in lines["high"]
    assert "fired at epoch 1" in lines["high"]
    assert "· It is very" in lines["very"]


def test_epochs_is_the_runs_own_and_over_bare_rows_the_last(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    must = '[[watch.must]]\nid = "all"\nwhen = "epoch >= epochs - 0.1"\n'
    run = recorded(tmp_path, 3.0, 0.5)
    (run / "recipe.toml").write_text("[train]\nepochs = 2\n" + must)
    assert check(str(run)) == 0
    (run / "recipe.toml").write_text("[train]\nepochs = 3\n" + must)
    assert check(str(run)) == 4


def test_a_run_that_goes_on_has_not_failed_yet(tmp_path: Path) -> None:
    assert check(str(recorded(tmp_path, 3.0, 2.0, state="running"))) == 0


def test_findings_are_shown_with_moment_advice_and_flags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(str(recorded(tmp_path, 0.5, 0.5, 0.5)))
    out = capsys.readouterr().out
    assert "▲ flat   step 3   epoch 3   Nothing moves" in out
    assert "Wait." in out
    assert "--set optimizer.lr=0.1" in out


def test_rules_without_data_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(str(recorded(tmp_path, 0.5)))
    assert "scenarios not enough data: flat" in capsys.readouterr().out


def test_json_has_the_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(str(recorded(tmp_path, 6.0, 2.0)), json=True) == 3
    told = orjson.loads(capsys.readouterr().out)
    assert (told["rows"], told["damaged"], told["exit_code"]) == (2, 0, 3)
    assert [(finding["name"], finding["severity"]) for finding in told["findings"]] == [
        ("spike", "critical"),
        ("low", "warning"),
    ]


def test_a_file_is_judged_by_a_recipes_rules_and_scenarios(
    tmp_path: Path, tiny_recipe_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"step": 1, "epoch": 1, "loss.total": "nan"}\nno row\n')
    assert check(str(file), rules=str(tiny_recipe_file)) == 3
    out = capsys.readouterr().out
    assert "non_finite.loss.total" in out
    assert "1 damaged line" in out
    with pytest.raises(RecipeError, match="--rules RECIPE"):
        check(str(file))


NOISE = bytes(range(256)) * 8
"""No text, no JSON, no TOML, and of several lines."""


@pytest.mark.parametrize("content", [NOISE, b"", None], ids=["noise", "empty", "missing"])
@pytest.mark.parametrize("state", ["finished", "running"])
def test_rules_that_cannot_be_read_are_no_success(tmp_path: Path, content: bytes | None, state: State) -> None:
    run = recorded(tmp_path, 3.0, 2.0, state=state)
    spoil(run / "recipe.toml", content)
    with pytest.raises(RunDirectoryError, match=rf"recipe\.toml is missing.*\nCopy .* jepa check {run} --rules RECIPE"):
        check(str(run))


@pytest.mark.parametrize("recipe", ["watch = 3\n", "[watch]\nmust = 3\n", '[[watch.must]]\nid = "low"\n'])
def test_rules_of_wrong_types_are_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str], recipe: str) -> None:
    run = recorded(tmp_path, 3.0, 2.0)
    (run / "recipe.toml").write_text(recipe)
    assert check(str(run)) == 1
    out = unwrapped(capsys)
    assert "Nothing was found." not in out
    assert f"! {run}/recipe.toml cannot be read in whole" in out
    assert f"jepa check {run} --rules RECIPE" in out
    assert "Error" not in out


@pytest.mark.parametrize(
    "content",
    [NOISE, b"", b"[]", b'{"state": 3}', b'{"state": "finished", "step": "x"}', None],
    ids=["noise", "empty", "a list", "wrong", "wrong too", "missing"],
)
def test_an_end_that_cannot_be_read_is_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    run = recorded(tmp_path, 3.0, 2.0)
    spoil(run / "status.json", content)
    assert check(str(run)) == 1
    out = unwrapped(capsys)
    assert "Nothing was found." not in out
    assert f"! {run}/status.json is missing or damaged" in out
    command = shlex.split(out.partition("as those of a whole run: jepa check ")[2])
    assert command == [f"{run}/metrics.jsonl", "--rules", f"{run}/recipe.toml"]


def test_what_is_decided_without_the_end_is_told_still(tmp_path: Path) -> None:
    run = recorded(tmp_path, 6.0, 2.0)
    spoil(run / "status.json", NOISE)
    assert check(str(run)) == 3


@pytest.mark.parametrize(
    "content", [NOISE, b"noise", b"", b"3\n", None], ids=["noise", "text", "empty", "3", "missing"]
)
@pytest.mark.parametrize("state", ["finished", "aborted", "failed"])
def test_rows_that_cannot_be_read_are_no_success(tmp_path: Path, content: bytes | None, state: State) -> None:
    run = recorded(tmp_path, 3.0, 2.0, state=state)
    spoil(run / "metrics.jsonl", content)
    what = "is missing" if content is None else "holds no row that can be read"
    with pytest.raises(RunDirectoryError, match=rf"metrics\.jsonl {what}.*\nCopy .* jepa autopsy {run}$"):
        check(str(run))


@pytest.mark.parametrize(
    ("rest", "said"), [(NOISE + b"\n", "damaged lines of"), (b'{"step": 2, "loss.total": 2', "is cut off")]
)
def test_rows_of_which_some_cannot_be_read_are_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rest: bytes, said: str
) -> None:
    run = recorded(tmp_path, 0.5, 2.0)
    rows = (run / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (run / "metrics.jsonl").write_bytes(rows[0] + rest)
    assert check(str(run), json=True) == 1
    told = orjson.loads(capsys.readouterr().out)
    (problem,) = told["problems"]
    assert (told["exit_code"], told["rows"]) == (1, 1)
    assert said in problem
    assert f"{run}/metrics.jsonl" in problem
    assert "Copy it from where the run was made" in problem


def test_a_run_without_any_of_its_records_is_no_success(tmp_path: Path) -> None:
    run = recorded(tmp_path, 3.0, 2.0)
    for file in run.glob("*.json*"):
        file.unlink()
    with pytest.raises(RunDirectoryError, match=r"metrics\.jsonl is missing: there is nothing to judge"):
        check(str(run))


@pytest.mark.parametrize("content", [b"", b'{"step": 1, "epo', None], ids=["no row", "the first row", "no file"])
def test_a_run_that_has_just_begun_has_nothing_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    run = recorded(tmp_path, state="running")
    spoil(run / "metrics.jsonl", content)
    assert check(str(run)) == 0
    assert "Nothing was found.\n" in capsys.readouterr().out


def test_a_row_that_is_being_written_is_not_cut_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = recorded(tmp_path, 0.5, state="running")
    with (run / "metrics.jsonl").open("ab") as rows:
        rows.write(b'{"step": 2, "lo')
    assert check(str(run)) == 0
    assert "cut off" not in capsys.readouterr().out


def test_a_file_without_rows_is_an_error(tmp_path: Path, tiny_recipe_file: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(NOISE)
    with pytest.raises(RunDirectoryError, match=r"rows\.jsonl holds no row that can be read.*\nGive a file of rows"):
        check(str(file), rules=str(tiny_recipe_file))


def test_rules_that_are_given_stand_in_for_a_recipe_that_cannot_be_read(tmp_path: Path, tiny_recipe_file: Path) -> None:
    run = recorded(tmp_path, 3.0, 2.0)
    spoil(run / "recipe.toml", NOISE)
    with tiny_recipe_file.open("a") as recipe:
        recipe.write('\n[[watch.must]]\nid = "low"\nwhen = "loss.total < LIMIT and epoch >= epochs"\n')
    text = tiny_recipe_file.read_text()
    for limit, code in (("1", 4), ("2.5", 0)):
        tiny_recipe_file.write_text(text.replace("LIMIT", limit))
        assert check(str(run), rules=str(tiny_recipe_file)) == code


def test_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError):
        check("nothing", runs_dir=tmp_path)


def test_a_run_is_checked_without_torch(tmp_path: Path) -> None:
    path = recorded(tmp_path, 0.5)
    source = "import sys\nfrom jepa_core.commands.check import check\n"
    source += f"check({str(path)!r})\nassert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
