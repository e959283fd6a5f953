"""Plans of rollbacks, from recorded files alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from jepa_core.errors import CheckpointError, JepaError, RecipeError
from jepa_core.recipes.difference import Change
from jepa_core.recipes.reading import load_recipe
from jepa_core.recipes.tables import Optimizer, Recipe
from jepa_core.registry import installed
from jepa_core.rollback.change import changes_of
from jepa_core.rollback.orders import RollbackOrders
from jepa_core.rollback.plan import RollbackPlan, flagged_command, flags_of, rollback_command
from jepa_core.rollback.planning import Trial, plan_rollback
from jepa_core.rollback.ways_back import after_non_finite
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.stored_checkpoints import Checkpoint
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.decision import Decision
from jepa_core.watch.findings import Finding, Firing
from jepa_core.watch.run_findings import finding_of
from jepa_monitor.demo.leg import write_checkpoint

RULE = "watch.rollback=[{id='A', title='it broke', when='loss.total > 1', set={aggregator={kind='mean'}}}]"
GENTLE = """
name = "gentle"
[data]
kind = "pairs"
[encoder]
kind = "cells"
dim = 64
[quantizer]
kind = "fsq"
[losses.info_nce]
queue = 512
[train]
seed = 9
epochs = 9
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
    (run / "checkpoints").mkdir(exist_ok=True)
    write_checkpoint(run / "checkpoints", step, step / 6)


def recorded(recipe_file: Path, run: Path, *flags: str) -> None:
    """The run directory of a recipe."""
    run.mkdir()
    loaded = load_recipe(recipe_file, overrides=[RULE, *flags], registry=installed())
    with RunWriter(run, recipe="tiny") as writer:
        writer.write_recipe(loaded.resolved())
        writer.write_environment({"overrides": [RULE, *flags]})


def planned(run: Path, **asked: Any) -> RollbackPlan:
    return plan_rollback(run, installed(), **asked).plan


def values(changes: Iterable[Change]) -> dict[str, tuple[Any, Any]]:
    return {change.key: (change.left, change.right) for change in changes}


@pytest.fixture
def run(tmp_path: Path, tiny_recipe_file: Path) -> Path:
    """With checkpoints at 4, 6, 8, 10, and nothing fired."""
    path = tmp_path / "mine-1"
    recorded(tiny_recipe_file, path)
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
    plan = planned(run)
    assert (plan.scenario, plan.title, plan.fired_step, plan.first_sign) == ("A", "it broke", 12, 8)
    assert plan.checkpoint_step == 6
    assert plan.rows == ({"step": 9.0, "loss.total": 2.0},)
    assert plan.changes == (Change("aggregator.kind", "attention", "mean"),)
    assert plan.changes_in_words == ("aggregator.kind attention → mean",)
    assert plan.command == f"jepa rollback {run} --scenario A"
    assert RollbackPlan.from_json(plan.to_json()) == plan


def test_a_damaged_checkpoint_is_passed_over_and_said(run: Path) -> None:
    fire(run, firing())
    (run / "checkpoints" / "step-6" / "state.json").write_text("other")
    plan = planned(run)
    assert plan.checkpoint_step == 4
    assert plan.notes[0].startswith("step-6: state.json is damaged")


def test_without_a_checkpoint_before_the_sign_it_begins_anew_and_says_so(run: Path) -> None:
    fire(run, firing(first_sign=4))
    plan = planned(run)
    assert plan.checkpoint_step is None
    assert "training begins anew" in plan.notes[-1]


def test_the_last_rollback_rule_counts_and_another_can_be_named(run: Path) -> None:
    fire(run, firing("A"), firing("C", first_sign=10, use=""), firing("slide", kind="scenario"))
    assert planned(run).scenario == "C"
    assert planned(run, scenario="A").checkpoint_step == 6


def test_a_non_finite_stop_goes_back_before_its_bad_step(run: Path) -> None:
    non_finite(run, 11)
    plan = planned(run, set={"optimizer": {"lr": 0.1}})
    assert (plan.scenario, plan.checkpoint_step) == ("non-finite", 10)
    known = planned(run)
    assert known.set == {"optimizer": {"lr": RunReader(run).recipe()["optimizer"]["lr"] / 2}}
    assert planned(run, scenario="non-finite").changes == known.changes
    assert known.changes
    (command,) = after_non_finite(run)
    assert command.startswith(f"jepa rollback {run} --scenario non-finite --set optimizer.lr=")


@pytest.mark.parametrize(
    ("rate", "advised", "told"),
    [
        (1e300, Optimizer().lr, "with the usual learning rate"),
        (1.5, Optimizer().lr, "with the usual learning rate"),
        (1.0, 0.5, "with half the learning rate"),
        (6e-4, 3e-4, "with half the learning rate"),
    ],
)
def test_of_a_learning_rate_far_above_the_usual_not_half_is_advised_but_the_usual(
    run: Path, rate: float, advised: float, told: str
) -> None:
    recipe = (run / "recipe.toml").read_text()
    (run / "recipe.toml").write_text(re.sub(r"(?m)^lr = .*$", f"lr = {rate!r}", recipe))
    non_finite(run, 11)
    ((command, effect),) = after_non_finite(run).items()
    assert command.endswith(f" --set optimizer.lr={advised!r}")
    assert effect == f"goes on from step 10 {told}"
    assert planned(run).set == {"optimizer": {"lr": advised}}


@pytest.mark.parametrize(("plugin", "first"), [("my_loss", "jepa plugins check my_loss"), ("", "jepa audit ")])
def test_before_a_step_was_taken_no_learning_rate_is_advised(run: Path, plugin: str, first: str) -> None:
    evidence = {"step": 1, **({"plugin": plugin} if plugin else {})}
    fire(run, name="non-finite", severity="critical", message="Step 1 was not finite", step=1, evidence=evidence)
    commands = list(after_non_finite(run))
    assert commands[0].startswith(first)
    assert commands[-1] == f"jepa audit {run}/recipe.toml"
    assert not any("optimizer.lr" in command for command in commands)


def test_given_changes_come_on_top_of_the_rules(run: Path) -> None:
    fire(run, firing())
    plan = planned(run, set={"train": {"clip_norm": 1.0}})
    assert plan.set == {"aggregator": {"kind": "mean"}, "train": {"clip_norm": 1.0}}
    assert plan.command.endswith("--scenario A --set train.clip_norm=1.0")


def test_a_step_and_a_change_need_no_firing(run: Path) -> None:
    fire(run, firing())
    plan = planned(run, to=9, set={"train": {"clip_norm": 1.0}})
    assert (plan.scenario, plan.checkpoint_step, plan.set) == ("", 8, {"train": {"clip_norm": 1.0}})
    assert planned(run, to=0, set={"train": {"clip_norm": 1.0}}).checkpoint_step is None


def test_the_same_recipe_is_trained_again_only_from_a_step_that_is_given(run: Path) -> None:
    assert "the same is trained again" in planned(run, to=8).notes[-1]
    fire(run, firing("slide", kind="scenario"))
    with pytest.raises(RecipeError, match=r"(?s)slide fired in mine-1, but no change .*--set KEY=VALUE.*--to STEP"):
        planned(run, scenario="slide")


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
        planned(run, **arguments)


def test_another_recipe_is_used_whole_but_for_data_seed_and_rules(run: Path, tmp_path: Path) -> None:
    (tmp_path / "gentle.toml").write_text(GENTLE)
    rollback = plan_rollback(run, installed(), to=8, use="gentle")
    changes = values(rollback.plan.changes)
    assert {key: changes[key] for key in ("encoder.dim", "train.epochs", "aggregator.kind")} == {
        "encoder.dim": (16, 64),
        "train.epochs": (1, 9),
        "aggregator.kind": ("attention", "mean"),
    }
    assert not any(key.startswith(("data", "train.seed", "name")) for key in changes)
    recipe = rollback.recipe.recipe
    assert (recipe.name, recipe.train.seed, [rule.id for rule in recipe.watch.rollback]) == ("tiny", 3, ["A"])


def test_the_flags_that_a_run_was_begun_with_are_given_to_another_recipe_that_has_a_place_for_them(
    tiny_recipe_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "gentle.toml").write_text(GENTLE)
    flags = ["encoder.dim=24", "quantizer.codes=9", "losses.info_nce.queue=8", "train.epochs=2"]
    recorded(tiny_recipe_file, tmp_path / "flagged", *flags)
    checkpoint(tmp_path / "flagged", 8)
    plan = planned(tmp_path / "flagged", to=8, use="gentle")
    assert values(plan.changes).keys().isdisjoint({"encoder.dim", "losses.info_nce.queue", "train.epochs"})
    assert "--set quantizer.codes=9 is left out: it does not fit gentle" in plan.notes


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
    orders = RollbackOrders(run, installed, lambda *_told, **_more: None, at_most=None)
    assert orders.flag(firing("slide", kind="scenario")) is None
    flag = orders.flag(firing())
    assert flag is not None
    assert flag.describe() == f"jepa rollback {run} --scenario A  (aggregator.kind attention → mean)"
    flag = orders.flag(firing(set={"aggregator": {"kind": "attention"}}))
    assert flag is not None
    assert (flag.changes, flag.command) == ((), f"jepa rollback {run} --scenario A --set KEY=VALUE")


@pytest.mark.parametrize(
    ("change", "comment"),
    [
        ({"aggregator": {"kind": "mean"}}, "aggregator.kind attention → mean"),
        ({"aggregator": {"kind": "attention"}}, ""),
        ({"aggregator": {"kind": "absent"}}, "the rule's own change cannot be made: aggregator.kind"),
        ({}, ""),
    ],
)
def test_a_finding_has_a_remedy_where_its_change_makes_another_recipe(
    run: Path, change: dict[str, Any], comment: str
) -> None:
    orders = RollbackOrders(run, installed, lambda *_told, **_more: None, at_most=None)
    found = finding_of(firing(set=change, kind="scenario"))
    command = f"jepa rollback {run} --scenario A{' --set KEY=VALUE' if 'cannot' in comment else ''}"
    assert orders.remedy(found).startswith(f"{command}  # {comment}" if comment else "")
    assert bool(orders.remedy(found)) == bool(comment)


def test_what_the_audit_would_change_is_a_new_run(run: Path) -> None:
    orders = RollbackOrders(run, installed, lambda *_told, **_more: None, at_most=None)
    found = Finding(name="audit few tasks", severity="warning", message="Validation has 6 tasks: too few.", advice="x")
    assert orders.remedy(found) == ""
    larger = attrs.evolve(found, set={"data": {"validation_share": 0.17}})
    command = f"jepa run {run}/recipe.toml --set data.validation_share=0.17"
    assert orders.remedy(larger) == f"{command}  # Validation has 6 tasks: too few"


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ({"set": {"aggregator": {"kind": "absent"}}}, "aggregator.kind"),
        ({"set": {"train": {"epochs": -1}, "encoder": {"dim": "x"}}}, "encoder.dim"),
        ({"set": {"data": {"num_sequences": 7}}}, "A rollback goes on with the data that its run began with"),
        ({"set": {}, "use": "absent"}, "absent"),
        ({"set": {"aggregator": {"kind": "mean"}}}, "no such model"),
    ],
)
def test_a_change_that_cannot_be_made_is_no_command_but_one_for_another_change(
    run: Path, rule: dict[str, Any], fault: str
) -> None:

    def try_child(_checkpoint: Checkpoint | None, recipe: Recipe) -> Trial:
        return Trial(fault="no such model" if getattr(recipe.aggregator, "kind", "") == "mean" else "")

    orders = RollbackOrders(run, installed, lambda *_told, **_more: None, at_most=None, try_child=try_child)
    fire(run, fired := firing(**rule))
    flag = orders.flag(fired)
    assert flag is not None
    assert (flag.changes, flag.command) == ((), f"jepa rollback {run} --scenario A --set KEY=VALUE")
    assert fault in flag.fault
    assert "\n" not in flag.fault
    assert flag.describe() == f"{flag.command}  (the rule's own change cannot be made: {flag.fault})"
    decision = Decision(rollback=fired)
    assert orders.next_command(decision, "finished").startswith(f"{flag.command}  # the rule's own change cannot be")
    with pytest.raises(JepaError):
        planned(run, scenario="A", try_child=try_child)
    other = planned(run, scenario="A", set={"train": {"clip_norm": 1.0}}, try_child=try_child)
    assert (other.checkpoint_step, other.set, other.use) == (6, {"train": {"clip_norm": 1.0}}, "")
    assert other.notes[0].startswith("the change that A names is left out: ")
    assert fault in other.notes[0]
    with pytest.raises(JepaError, match="clip_norm"):
        planned(run, scenario="A", set={"train": {"clip_norm": "x"}}, try_child=try_child)


@pytest.mark.parametrize("name", ["--to 5", "x --to 5 y", "a KEY=VALUE b", "it's"])
def test_of_a_recorded_command_no_word_of_a_rules_id_is_taken_for_a_flag(run: Path, name: str) -> None:
    command = rollback_command(run, scenario=name)
    assert flagged_command(run, name, {"command": command}) == command
    assert flagged_command(run, name, {"command": f"{command} --set KEY=VALUE"}) == f"{command} --set KEY=VALUE"
    assert "--to 7" in flagged_command(run, name, {"command": f"{command} --to 7"})


def test_of_a_run_without_a_recipe_nothing_is_said_to_be_typed(run: Path) -> None:
    orders = RollbackOrders(run, installed, lambda *_told, **_more: None, at_most=None)
    (run / "recipe.toml").unlink()
    flag = orders.flag(firing())
    assert flag is not None
    assert flag.command == ""
    assert flag.describe().startswith("the rule's own change cannot be made: ")
    assert orders.next_command(Decision(rollback=firing()), "finished") == ""


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"1", b'{"changes": 1}', b'{"rows": [1]}', b'{"changes": [{"key": "a"}]}']
)
def test_what_is_no_plan_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        RollbackPlan.from_json(text)
