from __future__ import annotations

from importlib.resources import as_file, files

from jepa_core.recipes.declared_metrics import declared_metrics
from jepa_core.recipes.reading import LoadedRecipe, load_recipe, with_scenarios
from jepa_core.recipes.recipe_path import find_recipe
from jepa_core.registry import installed
from jepa_core.run_directory.recorded_recipe import recorded_metrics, recorded_watch
from jepa_monitor.demo.figures import NUM_CODES
from jepa_monitor.demo.stage import demo_recipe
from jepa_monitor.demo.story import CHECKPOINT_EVERY_EPOCHS, DIAGNOSE_EVERY, LOG_EVERY, TOTAL_EPOCHS


def loaded() -> LoadedRecipe:
    with as_file(files("jepa_monitor.demo").joinpath("recipe.toml")) as path:
        return load_recipe(find_recipe(str(path)), registry=installed())


def test_it_is_a_recipe_that_a_trainer_would_take() -> None:
    assert loaded().recipe.name == "demo"


def test_what_the_monitor_reads_of_it_is_what_the_trainer_reads() -> None:
    recorded = recorded_watch(demo_recipe())
    assert not recorded.problems
    watch = loaded().recipe.watch
    assert [rule.when for rule in recorded.watch.must] == [rule.when for rule in watch.must]
    assert [rule.id for rule in recorded.watch.alarms] == [rule.id for rule in watch.alarms]


def test_its_metrics_are_declared_as_its_components_declare_them() -> None:
    real = {metric.name: metric for metric in declared_metrics(loaded().recipe)}
    assert {metric.name for metric in recorded_metrics(demo_recipe())} <= real.keys()


def test_its_copies_of_scenarios_ask_what_the_installed_ones_ask() -> None:
    whole = with_scenarios(loaded(), installed()).recipe.watch.scenario
    asked = {rule.when for rule in whole}
    copies = [rule for rule in loaded().recipe.watch.scenario if rule.of]
    assert copies
    assert {rule.when for rule in copies} <= asked


def test_the_demos_intervals_are_its_recipes() -> None:
    recipe = loaded().recipe
    assert recipe.train.epochs == TOTAL_EPOCHS
    assert recipe.diagnostics.log_every_steps == LOG_EVERY
    assert recipe.diagnostics.every_steps == DIAGNOSE_EVERY
    assert recipe.checkpoint.every_epochs == CHECKPOINT_EVERY_EPOCHS
    assert demo_recipe()["quantizer"]["codes"] == NUM_CODES
