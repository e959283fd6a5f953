"""`jepa rollback` of runs that are over and of runs that train, and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from jepa_core.cli import main
from jepa_core.presentation.training_screen import TrainingScreen
from jepa_core.rollback.requests import RollbackRequest, answer_to, write_request
from jepa_core.run_directory.lock import RunLock
from jepa_core.run_directory.reading import RunReader
from tests.commands.rolled_back import PARTS, Runs, contents, state_of, steps_of, story_of
from tests.conftest import TINY
from tests.monitor.demo.telling import tell_demo

RULE = "[[watch.rollback]]\nid = 'R'\ntitle = 'too far'\nwhen = 'step > 3.5'\nset.aggregator.kind = 'mean'\n"


def trained(runs: Runs, recipe: Path, *flags: str, more: str = RULE) -> Path:
    """A run of the tiny recipe with more on top of it."""
    recipe.write_text(f"{TINY}\n[checkpoint]\nevery_steps = 1\n{more}")
    runs("run", recipe, "--no-audit", "--runs-dir", runs.folder, "--plugin", PARTS, *flags)
    return runs.all()[0]


@pytest.fixture
def tiny(tiny_recipe_file: Path, runs: Runs) -> Callable[..., Path]:
    return partial(trained, runs, tiny_recipe_file)


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("once")
    return trained(Runs(folder / "runs"), folder / "tiny.toml")


@pytest.fixture
def finished(trained_once: Path, runs: Runs) -> Path:
    """A run whose rule to roll back has fired, alone in its folder."""
    shutil.copytree(trained_once.parent, runs.folder)
    return runs.all()[0]


def test_a_request_is_acted_on_at_a_step_boundary(
    tiny: Callable[..., Path], runs: Runs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Path] = []
    progress = TrainingScreen.progress

    def ask(screen: TrainingScreen, step: int, epoch: float) -> None:
        progress(screen, step, epoch)
        if step == 3 and not asked:
            (run,) = runs.all()
            (run / "control" / "rollback-0.json").write_text('{"set": {"data": {"side": 9}}, "to": 2}')
            (run / "control" / "rollback-00.json").write_text('{"pickle": 1}')
            asked.append(write_request(run, RollbackRequest(to=2, set={"aggregator": {"kind": "mean"}})))
            asked.append(write_request(run, RollbackRequest(to=1, set={"aggregator": {"kind": "mean"}})))

    monkeypatch.setattr(TrainingScreen, "progress", ask)
    parent = tiny(more="")
    child = runs.child_of(parent)
    assert max(steps_of(parent)) == 4
    assert steps_of(child) == [1, 2, 3, 4, 5, 6]
    assert (story_of(child), RunReader(child).recipe()["aggregator"]["kind"]) == ("", "mean")
    done, late = (answer_to(path) for path in asked)
    assert done is not None
    assert late is not None
    assert (done.accepted, done.child, late.accepted) == (True, child.name, False)
    out = capsys.readouterr().out
    assert "The request rollback-0.json was refused: A rollback goes on with the data" in out
    assert "The request rollback-00.json was refused: 'pickle' is no field of a request" in out
    assert {path.name for path in (parent / "control").glob("*.refused.json")} >= {
        "rollback-0.refused.json",
        "rollback-00.refused.json",
    }


def test_a_request_that_comes_too_late_is_answered(
    tiny: Callable[..., Path], runs: Runs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Path] = []
    progress = TrainingScreen.progress

    def ask(screen: TrainingScreen, step: int, epoch: float) -> None:
        progress(screen, step, epoch)
        if step == 6:  # the last
            asked.append(write_request(runs.all()[0], RollbackRequest(to=2, set={"aggregator": {"kind": "mean"}})))

    monkeypatch.setattr(TrainingScreen, "progress", ask)
    run = tiny(more="")
    assert runs.all() == [run]
    answer = answer_to(asked[0])
    assert answer is not None
    command = f"jepa rollback {run} --to STEP --set KEY=VALUE"
    said = f"the run has come to its end: it is finished. To go back from there: {command}"
    assert not answer.accepted
    assert answer.message.startswith(said)
    assert "was refused: the run has come to its end" in " ".join(capsys.readouterr().out.split())


def test_who_asks_a_run_that_is_being_rolled_back_is_answered_and_one_that_has_ended_is_asked_for_nothing(
    tiny: Callable[..., Path], runs: Runs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tiny()
    change = ["--to", "4", "--set", "train.clip_norm=1"]
    with RunLock(run):  # as another rollback holds it
        assert runs.rollback(run, *change) == 0
    (asked,) = (run / "control").iterdir()
    assert runs.rollback(run, *change) == 0
    answer = answer_to(asked)
    assert answer is not None
    assert (answer.accepted, answer.child) == (False, runs.child_of(run).name)
    for path in (run / "control").iterdir():
        path.unlink()
    shutil.rmtree(runs.child_of(run))
    lock, replace = RunLock(run), os.replace

    def ends_meanwhile(*given: Any, **more: Any) -> None:
        lock.release()
        replace(*given, **more)

    monkeypatch.setattr(os, "replace", ends_meanwhile)
    assert runs.rollback(run, *change) == 1
    assert "has ended meanwhile. Type the same again." in capsys.readouterr().err
    assert list((run / "control").iterdir()) == []


def test_a_live_run_is_asked_and_not_touched(
    tiny: Callable[..., Path], runs: Runs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = TrainingScreen.progress
    codes: list[int] = []

    def roll_back(screen: TrainingScreen, step: int, epoch: float) -> None:
        progress(screen, step, epoch)
        if step == 4 and not codes:
            codes.append(runs.rollback(runs.all()[0], "--scenario", "R", "--dry-run"))
            codes.append(runs.rollback(runs.all()[0], "--scenario", "R"))

    monkeypatch.setattr(TrainingScreen, "progress", roll_back)
    parent = tiny()
    assert codes == [0, 0]
    out = capsys.readouterr().out
    assert "is training: without --dry-run its process is asked for this." in out
    assert "is training: its process goes back at its next step" in out
    assert story_of(runs.child_of(parent)) == "R"


def test_a_rolled_back_run_is_not_resumed_and_says_where_it_goes_on(
    tiny: Callable[..., Path], runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = tiny("--auto-rollback")
    child = runs.child_of(parent)
    before = contents(parent)
    for command in (("run", "--resume", parent), ("rollback", parent)):
        assert runs(*command) == 1
        assert f"{child.name} goes on in its place" in capsys.readouterr().err
    assert contents(parent) == before
    assert runs("run", "--resume", child, "--plugin", PARTS) == 0


def test_a_child_that_is_interrupted_before_its_first_checkpoint_goes_on_as_if_it_never_was(
    finished: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = TrainingScreen.progress

    def kill(screen: TrainingScreen, step: int, epoch: float) -> None:
        raise KeyError("killed")

    with monkeypatch.context() as killed:
        killed.setattr(TrainingScreen, "progress", kill)
        with pytest.raises(KeyError):
            main(["rollback", str(finished), "--plugin", str(PARTS), "--set", "quantizer.codes=12"])
    assert TrainingScreen.progress is original
    child = runs.child_of(finished)
    for path in (child / "checkpoints").glob("step-4"):
        path.rename(child / "gone")
    assert runs("run", "--resume", child, "--plugin", PARTS) == 0
    names = [event.name for event in RunReader(child).events()]
    assert names.count("rolled back from") == 2
    assert steps_of(child) == [1, 2, 3, 4, 5, 6]


def test_an_aborted_run_says_how_to_go_back_instead_of_ending_again(
    tiny: Callable[..., Path], runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = tiny(more="[[watch.abort]]\nid = 'enough'\nwhen = 'step > 3.5'\n")
    capsys.readouterr()
    assert runs("run", "--resume", parent) == 3
    out = capsys.readouterr().out
    assert "was ended by an abort rule, which would end it again: enough" in out
    assert f"jepa rollback {parent} --scenario enough --set KEY=VALUE" in out
    assert runs.rollback(parent) == 2
    assert "enough fired in" in capsys.readouterr().err
    assert runs.rollback(parent, "--set", "watch.abort=[{id='enough', when='step > 99'}]") == 0
    assert steps_of(runs.child_of(parent)) == [1, 2, 3, 4, 5, 6]


def test_rules_on_what_is_no_longer_reported_are_left_out_and_said(
    tiny: Callable[..., Path], runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = (
        "[[watch.rollback]]\nid = 'R'\nwhen = 'step > 3.5'\nset = {quantizer = {kind = 'none'}}\n"
        "[[watch.nice]]\nid = 'kept'\nwhen = 'loss.total < 99'\n"
        "[[watch.rollback]]\nid = 'more-codes'\nwhen = 'vq.usage > 2'\nset = {quantizer = {codes = 9}}\n"
        "[[watch.scenario]]\nid = 'after'\nwhen = \"fired('more-codes')\"\n"
    )
    parent = tiny(more=rules)
    assert runs.rollback(parent, "--scenario", "R") == 0
    watch = RunReader(runs.child_of(parent)).recipe()["watch"]
    assert [rule["id"] for rule in watch["nice"]] == ["kept"]
    assert [rule["id"] for rule in watch["rollback"]] == ["R"]
    assert "after" not in [rule["id"] for rule in watch["scenario"]]
    out = capsys.readouterr().out
    assert "the rollback rule more-codes is left out: its change does not fit the changed recipe" in out
    assert "the scenario rule after is left out: so is more-codes, which it waits for" in out


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--scenario", "Z"], 2, "'Z' has not fired in"),
        (["--scenario", "Z"], 2, "It has no rule of this id. There are R, attention_uniform, "),
        (["--set", "data.side=9"], 2, "A rollback goes on with the data that its run began with, so data.side=9"),
        (["--to", "-1"], 2, "--to -1 is no step"),
        (["--to", "0.5"], 2, "--to 0.5 is no step, which is a whole number"),
        (["--to", "last"], 2, "--to last is no step, which is a whole number"),
        (["--set", "aggregator.kind=mean", "--set", "train.epochz=2"], 2, "no field of this name in train"),
        (["--use", "nowhere"], 2, "No recipe nowhere: no such file"),
        (["--set", "train.epochs"], 2, "expected KEY=VALUE"),
        (["--scenario", "R", "--set", "aggregator.kind=attention"], 2, "R fired in"),
    ],
)
def test_what_cannot_be_done_is_explained_and_leaves_everything(  # noqa: PLR0917  # what is tried
    finished: Path, runs: Runs, capsys: pytest.CaptureFixture[str], flags: list[str], code: int, message: str
) -> None:
    before = contents(runs.folder)
    capsys.readouterr()
    assert runs.rollback(finished, *flags) == code
    out, err = capsys.readouterr()
    assert message in out + err
    assert contents(runs.folder) == before
    assert state_of(finished) == "finished"


def test_a_checkpoint_that_is_not_there_is_explained(
    finished: Path, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (finished / "checkpoints").iterdir():
        (path / "state.json").write_text("{}")
    assert runs.rollback(finished, "--to", "5") == 1
    assert "No checkpoint of" in (err := capsys.readouterr().err)
    assert "step-5: state.json is damaged" in err
    assert runs.rollback(finished, "--scenario", "R") == 0
    assert "no checkpoint before the first sign can be used: training begins anew" in capsys.readouterr().out
    child = runs.child_of(finished)
    assert steps_of(child) == [1, 2, 3, 4, 5, 6]
    assert [event.name for event in RunReader(child).events()][:2] == ["rolled back from", "started"]


def test_the_plan_as_json(finished: Path, runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert runs.rollback(finished, "--dry-run", "--json") == 0
    plan: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (plan["scenario"], plan["fired_step"], plan["first_sign"], plan["checkpoint_step"]) == ("R", 4, 4, 3)
    assert plan["changes"] == [{"key": "aggregator.kind", "left": "attention", "right": "mean"}]
    assert plan["command"] == f"jepa rollback {finished} --scenario R --plugin {PARTS}"


def test_a_plan_reads_the_checkpoint_that_it_goes_back_to_once(
    finished: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To see that the changed recipe can go on from it, and what of it would start anew."""
    reads: list[str] = []

    def counted(path: Path) -> Any:
        reads.append(path.parent.name)
        return load_file(path)

    monkeypatch.setattr("jepa_core.engine.checkpoint.load_file", counted)
    assert runs.rollback(finished, "--dry-run", "--set", "projector.dim=8") == 0
    assert reads == ["step-3"]


def test_a_signal_in_the_child_ends_it_with_a_checkpoint(
    finished: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = TrainingScreen.progress

    def stop(screen: TrainingScreen, step: int, epoch: float) -> None:
        progress(screen, step, epoch)
        if step == 4:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(TrainingScreen, "progress", stop)
    assert runs.rollback(finished) == 143
    child = runs.child_of(finished)
    assert state_of(child) == "interrupted"
    assert f"Go on with: jepa run --resume {child}" in capsys.readouterr().out


def test_a_run_of_the_demo_shows_its_plan_and_is_not_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tell_demo(tmp_path)[-1])
    for flags, code in ((["--dry-run"], 0), ([], 1)):
        with pytest.raises(SystemExit) as left:
            main(["rollback", run, "--to", "0", "--set", "optimizer.lr=1e-4", *flags])
        said = capsys.readouterr()
        assert left.value.code == code, said.err
    assert "was written by jepa demo: there is no model. A real run: jepa run quickstart" in said.err
