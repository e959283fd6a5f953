"""`jepa check`: runs by their own rules, files by a recipe's."""

from __future__ import annotations

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


def test_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError):
        check("nothing", runs_dir=tmp_path)


def test_a_run_is_checked_without_torch(tmp_path: Path) -> None:
    path = recorded(tmp_path, 0.5)
    source = "import sys\nfrom jepa_core.commands.check import check\n"
    source += f"check({str(path)!r})\nassert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
