"""A change is tried on the checkpoint that it would go on from before anything is stopped or made for it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from jepa_core.cli import main
from jepa_core.run_directory.reading import RunReader
from tests.conftest import TINY
from tests.rollback.test_child import start

CHANGE = ("aggregator.kind=attention_pool", "aggregator.heads=3")
RULE = "watch.rollback=[{id='R', when='step > 3.5', set={aggregator={kind='attention_pool', heads=3}}}]"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run, which a rule would have taken back."""
    recipe = tmp_path_factory.mktemp("whole") / "tiny.toml"
    recipe.write_text(TINY)
    return start(recipe, "checkpoint.every_steps=3", RULE, auto_rollback=True).path


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "runs" / "mine")


@pytest.mark.parametrize("dry", [["--dry-run"], []])
@pytest.mark.parametrize(
    ("to", "said"), [("3", "With this change training cannot go on from {}: "), ("0", "The changed recipe cannot be ")]
)
def test_a_change_that_makes_no_model_is_refused_and_the_run_stays_as_it_was(
    run: Path, to: str, said: str, dry: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = RunReader(run).status()
    sets = [part for change in CHANGE for part in ("--set", change)]
    with pytest.raises(SystemExit) as ended:
        main(["rollback", str(run), "--to", to, *sets, *dry])
    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert said.format(run / "checkpoints" / "step-3") in shown.err
    assert "no model can be built for " in shown.err.lower()
    assert "heads must divide" in shown.err
    assert RunReader(run).status() == before
    assert list(run.parent.iterdir()) == [run]


def test_a_rule_with_such_a_change_only_flags_and_training_goes_on(whole: Path) -> None:
    told = [event.message for event in RunReader(whole).events() if event.name == "not rolled back"]
    assert len(told) == 1
    assert told[0].startswith("R is flagged only, it cannot be rolled back: With this change training cannot go on")
    assert "\n" not in told[0]
    assert RunReader(whole).state() == "finished"
    (fired,) = [event for event in RunReader(whole).events() if event.name == "rollback R"]
    assert fired.evidence["command"] == f"jepa rollback {whole} --scenario R --set KEY=VALUE"
    assert "heads must divide" in fired.evidence["fault"]
