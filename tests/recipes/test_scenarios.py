"""`[watch.scenarios]`: installed scenarios as plain rules, switched off and changed by a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

from jepa_core.errors import PluginError
from jepa_core.metrics import Metric
from jepa_core.recipes.faults import RecipeFaultsError
from jepa_core.recipes.reading import LoadedRecipe, load_recipe, with_scenarios
from jepa_core.recipes.writing import recipe_to_toml
from jepa_core.registry import Component, Registry
from jepa_core.settings import setting
from jepa_core.watch.rules import Scenario
from tests.recipes.small_registry import small_registry
from tests.recipes.writing_recipes import MINIMAL, write


@attrs.frozen(kw_only=True)
class FewCodesConfig:
    """Few codes are in use."""

    kind: ClassVar[str] = "few_codes"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    usage: float = setting("few is below", default=0.1, above=0, below=1)

    def build(self, facts: Any) -> tuple[Any, ...]:
        assert "temperature" in facts.metrics
        return (Scenario(id="few_codes", when=f"vq.usage < {self.usage:g}", title="Few codes", advice="More."),)


def registry_with(config_class: type[Any]) -> Registry:
    small = small_registry()
    component = Component(
        family="scenario", name="few_codes", config_class=config_class, distribution="jepa-mine", version="1"
    )
    return attrs.evolve(small, components={**small.components, ("scenario", "few_codes"): component})


REGISTRY = registry_with(FewCodesConfig)


def load(folder: Path, text: str = "", registry: Registry = REGISTRY) -> LoadedRecipe:
    loaded = load_recipe(write(folder, "small", MINIMAL + text), registry=registry)
    return with_scenarios(loaded, registry)


def conditions(loaded: LoadedRecipe) -> list[tuple[str, str]]:
    return [(rule.of, rule.when) for rule in loaded.recipe.watch.scenario]


def test_installed_scenarios_are_on_and_stand_in_the_resolved_recipe(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    assert conditions(loaded) == [("few_codes", "vq.usage < 0.1")]
    assert loaded.table["watch"]["scenario"][0]["when"] == "vq.usage < 0.1"


def test_a_recipe_that_is_only_read_is_left_as_it_is(tmp_path: Path) -> None:
    assert load_recipe(write(tmp_path, "small", MINIMAL), registry=REGISTRY).recipe.watch.scenario == ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("false", []),
        ("true", [("few_codes", "vq.usage < 0.1")]),
        ("{ usage = 0.2 }", [("few_codes", "vq.usage < 0.2")]),
    ],
)
def test_a_recipe_switches_a_scenario_off_or_changes_it(
    tmp_path: Path, value: str, expected: list[tuple[str, str]]
) -> None:
    assert conditions(load(tmp_path, f"[watch.scenarios]\nfew_codes = {value}\n")) == expected


def test_a_rule_of_the_recipe_replaces_one_of_its_id(tmp_path: Path) -> None:
    own = '[[watch.scenario]]\nid = "few_codes"\nwhen = "vq.usage < 0.3"\nfor = 2\n'
    (rule,) = load(tmp_path, own).recipe.watch.scenario
    assert (rule.of, rule.when, rule.evaluations) == ("", "vq.usage < 0.3", 2)


def test_rules_may_ask_whether_an_installed_scenario_has_fired(tmp_path: Path) -> None:
    load(tmp_path, '[[watch.abort]]\nid = "a"\nwhen = "fired(\'few_codes\')"\n')


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("few_code = false", 'no scenario of this name. Did you mean "few_codes"?'),
        ("below_cell_counting = false", "no scenario of this name. It is called below_strongest_null now."),
        ("few_codes = 3", "expected false, or a table of settings, got "),
        ("few_codes = { usage = 2.0 }", "expected a number > 0 and < 1, got the number 2.0"),
        ("few_codes = { use = 0.2 }", "no field of this name in watch.scenarios.few_codes"),
    ],
)
def test_what_is_wrong_is_told_at_its_line(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(RecipeFaultsError) as caught:
        load(tmp_path, f"[watch.scenarios]\n{line}\n")
    (fault,) = caught.value.faults
    assert fault.message.startswith(message)
    assert ":9:" in fault.where


def test_a_resolved_recipe_needs_no_plugin_and_expands_to_the_same(tmp_path: Path) -> None:
    loaded = load(tmp_path, "[watch.scenarios]\nfew_codes = { usage = 0.2 }\n")
    resolved = write(tmp_path, "resolved", recipe_to_toml(loaded.table))
    assert load_recipe(resolved, registry=small_registry()).recipe == loaded.recipe
    assert conditions(with_scenarios(load_recipe(resolved, registry=REGISTRY), REGISTRY)) == conditions(loaded)


@pytest.mark.parametrize(
    ("built", "message"),
    [
        (("vq.usage < 1",), "gives a str among its rules"),
        ((Scenario(id="a", when="vq.usag < 1"),), "no metric of this recipe is named vq.usag"),
        ((Scenario(id="a", when="import os"),), "gives a rule that cannot be read"),
        ((Scenario(id="a", when="lr > 1"), Scenario(id="a", when="lr > 2")), "two rules of the id 'a'"),
        (3, "cannot be built: TypeError"),
        (SystemExit(0), "cannot be built: SystemExit: 0"),
    ],
)
def test_a_scenario_that_breaks_its_contract_is_named_with_a_remedy(tmp_path: Path, built: Any, message: str) -> None:
    @attrs.frozen(kw_only=True)
    class Broken:
        """Breaks its contract."""

        kind: ClassVar[str] = "few_codes"
        metrics: ClassVar[tuple[Metric, ...]] = ()

        def build(self, facts: Any) -> Any:
            if isinstance(built, SystemExit):
                raise built
            return built

    with pytest.raises(PluginError, match=r"(?s)few_codes of jepa-mine 1.*few_codes = false") as caught:
        load(tmp_path, registry=registry_with(Broken))
    assert message in str(caught.value)
