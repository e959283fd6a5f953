"""Scenarios A, B and C of recipes/optimized.toml, made to happen, and rolled back for by command or by themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jepa_core.facts import DatasetFacts
from jepa_core.rollback.lineage import read_lineage
from jepa_core.run_directory.baseline_runs import resolve_baseline
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.recorded_recipe import recorded_baseline, recorded_metrics, recorded_watch
from jepa_core.watch.judge import Judge
from jepa_core.watch.replay import replay
from jepa_core.watch.verdict import Verdict
from jepa_plugins.grids.datasets.traces import TracesConfig
from tests.commands.rolled_back import PARTS, SMALL, Runs, contents, state_of, steps_of, story_of


def verdict_of(run: Path) -> Verdict:
    verdict = RunReader(run).verdict()
    assert verdict is not None
    return verdict


def fired_live(run: Path) -> list[tuple[str, float | None]]:
    kinds = {"must", "nice", "abort", "rollback", "scenario"}
    return [(event.name, event.step) for event in RunReader(run).events() if event.name.split()[0] in kinds]


def fired_again(run: Path) -> list[tuple[str, float | None]]:
    recipe = RunReader(run).recipe()
    watch = recorded_watch(recipe).watch
    baseline = resolve_baseline(recorded_baseline(watch), run.parent)
    found = replay(RunReader(run).rows(), Judge(watch, recorded_metrics(recipe), baseline.values), finished=True)
    return [(f"{firing.kind} {firing.name}", firing.step) for firing in found.firings]


def unreachable_baseline() -> dict[str, str]:
    """Settings by which every run is below its baseline."""
    traces = TracesConfig(num_sequences=int(SMALL["data.num_sequences"]), side=int(SMALL["data.side"]))
    return {
        "watch__baseline__recipe": "",
        "watch__baseline__figures": "{'val.retrieval.mrr' = 0.99}",
        "watch__baseline__data": traces.build(DatasetFacts(seed=0)).fingerprint,
    }


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
    runs.train(
        "--auto-rollback",
        aggregator__kind="fragile",
        aggregator__breaks_after="17",
        quantizer__kind="merging",
        **unreachable_baseline(),
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


@pytest.mark.slow
def test_both_causes_in_one_run_let_c_take_it_back(runs: Runs) -> None:
    runs.train(quantizer__kind="merging", **unreachable_baseline())
    (parent,) = runs.all()
    assert {name for name, _ in fired_live(parent)} >= {"rollback A", "rollback B", "rollback C"}
    # Nothing named: C, since what is said of several at once comes after each of them.
    assert runs.rollback(parent) in (0, 4)
    child = runs.child_of(parent)
    assert story_of(child) == "C"
    assert RunReader(child).recipe()["quantizer"]["kind"] == "ema_vq"
