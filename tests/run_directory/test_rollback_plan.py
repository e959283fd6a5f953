"""Plans of rollbacks, from recorded files alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from jepa_core.errors import CheckpointError, RecipeError
from jepa_core.recipes.difference import Change
from jepa_core.run_directory.rollback_changes import changes_of, flags_of, planned_changes
from jepa_core.run_directory.rollback_flag import rollback_flag
from jepa_core.run_directory.rollback_plan import plan_rollback, plan_to_json
from jepa_core.run_directory.stored_checkpoints import FILES, FORMAT, file_sum, manifest_sum
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.findings import Firing

RECIPE = """
name = "mine"
[quantizer]
kind = "ema_vq"
codes = 8
[aggregator]
kind = "attention"
heads = 2
[train]
seed = 3
[losses.relational]
kind = "relational"
weight = 0.02
[[watch.rollback]]
id = "A"
title = "it broke"
when = "loss.total > 1"
set = { aggregator = { kind = "mean" } }
"""


def firing(name: str = "A", *, kind: Any = "rollback", first_sign: float = 8, **more: Any) -> Firing:
    changes = {"aggregator": {"kind": "mean"}} if kind == "rollback" else {}
    evidence = {"rows": [{"step": 9.0, "loss.total": 2.0}]}
    return Firing(
        **{
            "name": name,
            "kind": kind,
            "severity": "warning",
            "message": f"{name}: loss.total > 1",
            "step": 12.0,
            "first_sign": first_sign,
            "set": changes,
            "evidence": evidence,
            "advice": "mend it",
            **more,
        }
    )


def checkpoint(run: Path, step: int) -> None:
    folder = run / "checkpoints" / f"step-{step}"
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_text(f"{name} of {step}")
    files = {name: {"sha256": file_sum(folder / name)} for name in FILES}
    manifest: dict[str, Any] = {"format": FORMAT, "step": step, "files": files}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "sum": manifest_sum(manifest)}))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """With checkpoints at 4, 6, 8, 10, and nothing fired."""
    path = tmp_path / "mine-1"
    path.mkdir()
    with RunWriter(path, recipe="mine") as writer:
        writer.write_recipe(RECIPE)
    for step in (4, 6, 8, 10):
        checkpoint(path, step)
    return path


def fire(run: Path, *firings: Firing, **event: Any) -> None:
    with RunWriter(run) as writer:
        for one in firings:
            writer.firing(one)
        if event:
            writer.event(**event)


def non_finite(run: Path, step: int) -> None:
    fire(run, name="non-finite", severity="critical", message="Step was not finite", step=step, evidence={"step": step})


def test_the_plan_goes_to_the_newest_checkpoint_before_the_first_sign(run: Path) -> None:
    fire(run, firing())
    plan = plan_rollback(run)
    assert (plan.scenario, plan.title, plan.fired_step, plan.first_sign) == ("A", "it broke", 12, 8)
    assert plan.checkpoint_step == 6
    assert plan.evidence_rows == ({"step": 9.0, "loss.total": 2.0},)
    assert plan.changes == (Change("aggregator.kind", "attention", "mean"),)
    assert plan.changes_in_words == ("aggregator.kind attention → mean",)
    assert plan.command == f"jepa rollback {run} --scenario A"
    assert plan_to_json(plan)["checkpoint_step"] == 6


def test_a_damaged_checkpoint_is_passed_over_and_said(run: Path) -> None:
    fire(run, firing())
    (run / "checkpoints" / "step-6" / "state.json").write_text("other")
    plan = plan_rollback(run)
    assert plan.checkpoint_step == 4
    assert plan.notes[0].startswith("step-6: state.json is damaged")


def test_without_a_checkpoint_before_the_sign_it_begins_anew_and_says_so(run: Path) -> None:
    fire(run, firing(first_sign=4))
    plan = plan_rollback(run)
    assert plan.checkpoint_step is None
    assert "training begins anew" in plan.notes[-1]


def test_the_last_rollback_rule_counts_and_another_can_be_named(run: Path) -> None:
    fire(run, firing("A"), firing("C", first_sign=10, use=""), firing("slide", kind="scenario"))
    assert plan_rollback(run).scenario == "C"
    assert plan_rollback(run, scenario="A").checkpoint_step == 6


def test_a_non_finite_stop_goes_back_before_its_bad_step(run: Path) -> None:
    non_finite(run, 11)
    plan = plan_rollback(run, set={"optimizer": {"lr": 0.1}})
    assert (plan.scenario, plan.checkpoint_step) == ("non-finite", 10)


def test_given_changes_come_on_top_of_the_rules(run: Path) -> None:
    fire(run, firing())
    plan = plan_rollback(run, set={"train": {"clip_norm": 1.0}})
    assert plan.set == {"aggregator": {"kind": "mean"}, "train": {"clip_norm": 1.0}}
    assert plan.command.endswith("--scenario A --set train.clip_norm=1.0")


def test_a_step_and_a_change_need_no_firing(run: Path) -> None:
    fire(run, firing())
    plan = plan_rollback(run, to=9, set={"train": {"clip_norm": 1.0}})
    assert (plan.scenario, plan.checkpoint_step, plan.set) == ("", 8, {"train": {"clip_norm": 1.0}})
    assert plan_rollback(run, to=0, set={"train": {"clip_norm": 1.0}}).checkpoint_step is None


def test_the_same_recipe_is_trained_again_only_from_a_step_that_is_given(run: Path) -> None:
    assert "the same is trained again" in plan_rollback(run, to=8).notes[-1]
    fire(run, firing("slide", kind="scenario"))
    with pytest.raises(RecipeError, match=r"(?s)slide fired in mine-1, but no change .*--set KEY=VALUE.*--to STEP"):
        plan_rollback(run, scenario="slide")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, RecipeError, r"No rollback rule has fired in mine-1.*--to STEP --set KEY=VALUE.*4, 6, 8, 10"),
        ({"scenario": "A"}, RecipeError, r"'A' has not fired in mine-1.\nFired so far: none"),
        ({"scenario": "Q"}, RecipeError, r"no rule of this id"),
        ({"to": 3}, CheckpointError, r"up to step 3 can be used.*Steps there: 4, 6, 8, 10"),
        ({"to": 8, "set": {"data": {"side": 9}}}, RecipeError, r"data.side=9 cannot be set.*start a new run"),
        ({"to": 8, "use": "nowhere"}, RecipeError, r"No recipe nowhere"),
        ({"to": -1}, RecipeError, r"is no step"),
    ],
)
def test_what_cannot_be_planned_is_explained(
    run: Path, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"(?s){message}"):
        plan_rollback(run, **arguments)


def test_another_recipe_is_found_beside_the_one_that_the_run_was_made_from(run: Path, tmp_path: Path) -> None:
    (tmp_path / "gentle.toml").write_text('name = "gentle"\n[quantizer]\nkind = "fsq"\n[train]\nseed = 9\nepochs = 2\n')
    table = {
        "resolved": {"from": str(tmp_path / "mine.toml")},
        "train": {"seed": 3, "epochs": 1},
        "quantizer": {"kind": "ema_vq", "codes": 8},
        "aggregator": {"kind": "attention"},
        "losses": {"relational": {"kind": "relational", "weight": 1.0}},
    }
    changes = {change.key: (change.left, change.right) for change in planned_changes(table, {}, "gentle")}
    assert changes == {
        "train.epochs": (1, 2),
        "quantizer.kind": ("ema_vq", "fsq"),
        "aggregator.kind": ("attention", "mean"),
        "losses.relational.kind": ("relational", None),
    }


def test_the_flags_that_a_run_was_begun_with_are_no_difference_to_another_recipe_that_has_a_place_for_them(
    run: Path, tmp_path: Path
) -> None:
    (tmp_path / "gentle.toml").write_text(
        'name = "gentle"\n[encoder]\nkind = "cells"\ndim = 64\n[quantizer]\nkind = "fsq"\n'
        "[losses.info_nce]\nqueue = 512\n[train]\nepochs = 9\n"
    )
    table = {
        "resolved": {"from": str(tmp_path / "mine.toml")},
        "train": {"epochs": 1},
        "encoder": {"kind": "cells", "dim": 16},
        "quantizer": {"kind": "ema_vq", "codes": 8},
        "losses": {"info_nce": {"kind": "info_nce", "queue": 4}},
    }
    flags = ["train.epochs=1", "encoder.dim=16", "quantizer.codes=8", "losses.info_nce.queue=4", "data.kind=arc"]
    changes = {change.key: change.right for change in planned_changes(table, {}, "gentle", flags)}
    assert changes == {"quantizer.kind": "fsq"}


@pytest.mark.parametrize(
    "changes",
    [
        {"aggregator": {"kind": "mean"}},
        {"losses": {"x": {"weight": 0.5}}, "train": {"clip_norm": 1.0}},
        {"a b": {"c": "d"}},
    ],
)
def test_changes_and_flags_are_two_ways_to_write_the_same(changes: Mapping[str, Any]) -> None:
    assert changes_of(flags_of(changes)) == changes


def test_a_firing_without_a_change_has_no_flag_and_one_in_force_asks_for_another(run: Path) -> None:
    assert rollback_flag(run, firing("slide", kind="scenario")) is None
    flag = rollback_flag(run, firing(set={"aggregator": {"kind": "attention"}}))
    assert flag is not None
    assert (flag.changes, flag.command) == ((), f"jepa rollback {run} --scenario A --set KEY=VALUE")
