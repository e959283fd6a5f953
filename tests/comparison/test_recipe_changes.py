from __future__ import annotations

from typing import Any

from jepa_core.comparison.recipe_changes import changed_keys, differs_by_seed_only


def recipe(aggregator: str, *scenarios: dict[str, Any], seed: int = 1) -> dict[str, Any]:
    return {"aggregator": {"kind": aggregator}, "train": {"seed": seed}, "watch": {"scenario": list(scenarios)}}


EXPANDED = {"id": "order_ignored", "when": "order.sensitivity < 0.01", "of": "order_ignored"}
OWN = {"id": "mine", "when": "loss.total > 9"}


def test_rules_that_an_installed_scenario_was_expanded_into_are_no_choice_of_the_recipes() -> None:
    changes = changed_keys([recipe("attention", EXPANDED), recipe("mean")])
    assert [change.key for change in changes] == ["aggregator.kind"]


def test_a_recipes_own_scenario_is_one() -> None:
    keys = [change.key for change in changed_keys([recipe("mean", OWN), recipe("mean")])]
    assert keys == ["watch.scenario[mine].when"]


def test_one_recipe_under_two_versions_of_a_scenario_differs_by_seed_only() -> None:
    assert differs_by_seed_only(recipe("mean", EXPANDED), recipe("mean", seed=2))
    assert not differs_by_seed_only(recipe("mean", OWN), recipe("mean", seed=2))


def test_what_a_run_is_compared_by_makes_no_other_recipe() -> None:
    judged = recipe("mean", seed=2)
    judged["watch"]["judge"] = ["mine.spread"]
    assert differs_by_seed_only(recipe("mean"), judged)
    assert [change.key for change in changed_keys([recipe("mean", seed=2), judged])] == ["watch.judge"]
