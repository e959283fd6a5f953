"""`jepa rollback` and `jepa run --auto-rollback`: scenarios A, B and C of recipes/optimized.toml, made to happen."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from jepa_core.cli import main
from jepa_core.facts import DatasetFacts
from jepa_core.presentation.training_screen import TrainingScreen
from jepa_core.registry import installed
from jepa_core.rollback.lineage import read_lineage
from jepa_core.rollback.requests import RollbackRequest, answer_to, write_request
from jepa_core.run_directory.baseline_runs import resolve_baseline
from jepa_core.run_directory.lock import RunLock
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.recorded_recipe import recorded_baseline, recorded_metrics, recorded_watch
from jepa_core.watch.judge import Judge
from jepa_core.watch.replay import replay
from jepa_core.watch.verdict import Verdict
from jepa_plugins.grids.datasets.traces import TracesConfig
from tests.conftest import TINY
from tests.monitor.demo.telling import tell_demo

ROOT = Path(__file__).parents[2]
PARTS = ROOT / "tests" / "engine" / "failing_parts.py"
SMALL = {
    "data.num_sequences": "96",
    "data.side": "8",
    "encoder.dim": "16",
    "encoder.layers": "1",
    "encoder.heads": "2",
    "encoder.max_objects": "8",
    "projector.dim": "12",
    "losses.info_nce.queue": "16",
    "losses.sigreg.slices": "8",
    "losses.sigreg.points": "5",
    "train.batch_size": "16",
    "train.accumulate": "1",
    "train.epochs": "4",
    "schedule.warmup_steps": "2",
    "schedule.total_steps": "40",
    "diagnostics.log_every_steps": "1",
    "diagnostics.every_steps": "10",
    "diagnostics.sample": "16",
    "checkpoint.every_steps": "2",
    "checkpoint.every_epochs": "1000",
}
"""The recipe on five steps an epoch."""

Jepa = Callable[..., int]


class Runs:
    """The program, in a folder of runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: object) -> int:
        installed.cache_clear()
        with pytest.raises(SystemExit) as done:
            main([str(argument) for argument in arguments])
        assert isinstance(done.value.code, int)
        return done.value.code

    def train(self, *flags: str, **settings: str) -> int:
        """Train optimized.toml, small; settings are given with two underscores for a dot."""
        given = SMALL | {key.replace("__", "."): value for key, value in settings.items()}
        sets = [part for key, value in given.items() for part in ("--set", f"{key}={value}")]
        recipe = ROOT / "recipes" / "optimized.toml"
        return self("run", recipe, "--no-audit", "--plugin", PARTS, "--runs-dir", self.folder, *flags, *sets)

    def rollback(self, run: Path, *flags: str) -> int:
        return self("rollback", run, "--plugin", PARTS, *flags)

    def all(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir())

    def child_of(self, run: Path) -> Path:
        status = RunReader(run).status()
        assert status is not None
        assert status.child
        return self.folder / status.child


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    yield Runs(tmp_path / "runs")
    installed.cache_clear()


def contents(run: Path) -> dict[str, bytes]:
    """All files but those that a rollback marks."""
    marked = {"status.json", "events.jsonl", "run.lock"}
    return {str(path): path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name not in marked}


def state_of(run: Path) -> str:
    return RunReader(run).state()


def verdict_of(run: Path) -> Verdict:
    verdict = RunReader(run).verdict()
    assert verdict is not None
    return verdict


def steps_of(run: Path) -> list[float]:
    return [row["step"] for row in RunReader(run).rows()]


def fired_live(run: Path) -> list[tuple[str, float | None]]:
    kinds = {"must", "nice", "abort", "rollback", "scenario"}
    return [(event.name, event.step) for event in RunReader(run).events() if event.name.split()[0] in kinds]


def fired_again(run: Path) -> list[tuple[str, float | None]]:
    recipe = RunReader(run).recipe()
    watch = recorded_watch(recipe).watch
    baseline = resolve_baseline(recorded_baseline(watch), run.parent)
    found = replay(RunReader(run).rows(), Judge(watch, recorded_metrics(recipe), baseline.values), finished=True)
    return [(f"{firing.kind} {firing.name}", firing.step) for firing in found.firings]


def test_scenario_a_takes_the_run_back_by_itself_before_the_step_that_broke(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runs.train("--auto-rollback", aggregator__kind="fragile", aggregator__breaks_after="17") == 4
    parent, child = runs.all()
    assert (state_of(parent), state_of(child)) == ("rolled_back", "finished")
    assert runs.child_of(parent) == child
    lineage = read_lineage(child)
    assert lineage is not None
    assert (lineage.parent, lineage.scenario, lineage.step, lineage.first_sign) == (parent.name, "A", 16, 17)
    assert lineage.changes == ("aggregator.kind fragile → mean",)
    assert RunReader(child).recipe()["aggregator"]["kind"] == "mean"
    assert steps_of(child) == list(range(1, 21))
    assert not (parent / "verdict.json").exists()
    verdict = verdict_of(child)
    assert verdict.rollbacks == 1
    assert verdict.story[0].describe() == (
        f"from {parent.name} step 17 to step 16 because Attention breaks training: aggregator.kind fragile → mean"
    )
    out = capsys.readouterr().out
    assert "Rolled back: A, Attention breaks training, first seen at step 17: from step 16 with" in out
    assert "goes on after step 16 of 20" in out
    assert "aggregator has no use for 3 tensors of the checkpoint" in out
    assert "because Attention breaks training" in out
    assert fired_live(child) == fired_again(child)


def test_scenario_b_is_flagged_with_its_command_and_the_healthy_checkpoint_is_kept_for_it(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.train(quantizer__kind="merging", checkpoint__keep="2")
    (parent,) = runs.all()
    flagged = next(event for event in RunReader(parent).events() if event.name == "rollback B")
    assert (flagged.step, flagged.evidence["first_sign"]) == (12, 8)
    assert flagged.evidence["command"] == f"jepa rollback {parent} --scenario B --plugin {PARTS}"
    changes = ["losses.relational.weight 0.02 → 0.025", "losses.relational.context_self_weight 0.005 → 0.01"]
    assert flagged.evidence["changes"] == changes
    assert f"{flagged.evidence['command']}  ({', '.join(changes)})" in capsys.readouterr().out
    kept = {path.name for path in (parent / "checkpoints").iterdir()}
    assert kept >= {"step-6", "step-18", "step-20"}
    assert kept.isdisjoint({"step-2", "step-4", "step-12", "step-14"})
    before = contents(parent)

    assert runs.rollback(parent, "--scenario", "B", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "Relational loss near zero: no regularisation left" in shown
    assert "step 12, first seen at step 8" in shown
    assert "the checkpoint of step 6" in shown
    assert "Give the relational loss its old weights back." in shown
    assert runs.all() == [parent]

    assert runs.rollback(parent, "--scenario", "B") in (0, 4)
    child = runs.child_of(parent)
    losses = RunReader(child).recipe()["losses"]["relational"]
    assert (losses["weight"], losses["context_self_weight"]) == (0.025, 0.01)
    lineage = read_lineage(child)
    assert lineage is not None
    assert (lineage.step, lineage.changes) == (6, tuple(changes))
    assert contents(parent) == before
    assert verdict_of(parent).run == parent.name
    assert state_of(parent) == "rolled_back"


def test_a_plan_says_what_would_start_anew_and_from_which_checkpoint(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.train()
    (parent,) = runs.all()
    capsys.readouterr()
    change = ("--to", "19", "--set", "projector.dim=8", "--set", "losses.info_nce.queue=8")
    assert runs.rollback(parent, *change, "--dry-run") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "note no checkpoint of step 19 can be used; the newest before it is of step 18" in shown
    anew = re.findall(r"note (\d+ tensors? of \w+ starts? anew: other shape)", shown)
    assert any(" of projector " in said for said in anew)
    assert any(" of info_nce " in said for said in anew)

    assert runs.rollback(parent, *change) in (0, 4)
    told = " ".join(capsys.readouterr().out.split())
    assert [told.count(said) for said in anew] == [2] * len(anew), "once in the plan, once by the run"


def test_after_a_comes_c_with_the_other_recipe_whole_and_the_verdict_tells_both(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    traces = TracesConfig(num_sequences=int(SMALL["data.num_sequences"]), side=int(SMALL["data.side"]))
    unreachable = {
        "watch__baseline__recipe": "",
        "watch__baseline__figures": "{'val.retrieval.mrr' = 0.99}",
        "watch__baseline__data": traces.build(DatasetFacts(seed=0)).fingerprint,
    }
    runs.train(
        "--auto-rollback",
        aggregator__kind="fragile",
        aggregator__breaks_after="17",
        quantizer__kind="merging",
        **unreachable,
    )
    first, second = runs.all()
    flagged = [event.name for event in RunReader(second).events() if event.name.startswith("rollback ")]
    assert "rollback C" in flagged
    assert "watch.max_rollbacks = 1 is used up" in capsys.readouterr().out

    assert runs.rollback(second, "--scenario", "C", "--to", "6") in (0, 4)
    third = runs.child_of(second)
    recipe = RunReader(third).recipe()
    assert (recipe["name"], recipe["aggregator"]["kind"], recipe["quantizer"]["kind"]) == (
        "optimized",
        "mean",
        "ema_vq",
    )
    assert recipe["encoder"]["dim"] == 16
    assert recipe["data"] == RunReader(first).recipe()["data"]
    assert recipe["train"]["seed"] == RunReader(first).recipe()["train"]["seed"]
    assert {rule["id"] for rule in recipe["watch"]["rollback"]} == {"A", "B", "C"}
    verdict = verdict_of(third)
    assert verdict.rollbacks == 2
    told = [(past.parent, past.scenario) for past in verdict.story]
    assert told == [(first.name, story_of(second)), (second.name, "C")]
    out = capsys.readouterr().out
    assert "--set quantizer.kind=merging is left out: gentle_vq names its own components" in out
    assert re.search(r"\d+ tensors of quantizer start anew: not in the checkpoint", out)


def story_of(run: Path) -> str:
    lineage = read_lineage(run)
    assert lineage is not None
    return lineage.scenario


@pytest.mark.slow
def test_both_causes_in_one_run_let_c_take_it_back(runs: Runs) -> None:
    traces = TracesConfig(num_sequences=int(SMALL["data.num_sequences"]), side=int(SMALL["data.side"]))
    unreachable = {
        "watch__baseline__recipe": "",
        "watch__baseline__figures": "{'val.retrieval.mrr' = 0.99}",
        "watch__baseline__data": traces.build(DatasetFacts(seed=0)).fingerprint,
    }
    runs.train(quantizer__kind="merging", **unreachable)
    (parent,) = runs.all()
    assert {name for name, _ in fired_live(parent)} >= {"rollback A", "rollback B", "rollback C"}
    # Nothing named: C, since what is said of several at once comes after each of them.
    assert runs.rollback(parent) in (0, 4)
    child = runs.child_of(parent)
    assert story_of(child) == "C"
    assert RunReader(child).recipe()["quantizer"]["kind"] == "ema_vq"


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
