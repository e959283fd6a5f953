"""The recipe of a run with a rollback's change: all faults of it in one error, before anything is made.

Data, seed of a recipe used whole, rules and name stay the parent's.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from jepa_core.engine.fitting_rules import fitting_rules
from jepa_core.errors import RecipeError, RunDirectoryError
from jepa_core.recipes.declared_metrics import declared_metrics
from jepa_core.recipes.difference import Change, recipe_difference
from jepa_core.recipes.faults import RecipeFaultsError
from jepa_core.recipes.layers import Layer, override_layers, read_file_layers
from jepa_core.recipes.merging import MergedRecipe
from jepa_core.recipes.reading import LoadedRecipe, load_layers, with_scenarios
from jepa_core.recipes.scenarios import expand_scenarios, scenario_problems
from jepa_core.recipes.structuring import structure_recipe
from jepa_core.recipes.tables import Train
from jepa_core.recipes.writing import recipe_to_toml
from jepa_core.registry import Registry
from jepa_core.run_directory.layout import RECIPE
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.rollback_changes import (
    FLAGS_OF_WHAT_STAYS,
    KEPT_TABLES,
    flags_of,
    recorded_flags,
    used_recipe,
    worth_telling,
)
from jepa_core.run_directory.rollback_plan import RollbackPlan
from jepa_core.run_directory.status import Status, read_status

_OWN = (*KEPT_TABLES, "name", "resolved")
"""Top-level keys that stay the parent's when another recipe is used whole."""


@attrs.frozen(kw_only=True)
class ChangedRecipe:
    """A child's recipe."""

    loaded: LoadedRecipe
    changes: tuple[Change, ...]
    """How it differs from the parent's, defaults included."""
    notes: tuple[str, ...]
    """Rules and flags of the parent that it could not keep."""


def changed_recipe(plan: RollbackPlan, parent: Path, registry: Registry) -> ChangedRecipe:
    """The recipe that a plan's child has.

    Raises:
        RecipeFaultsError: the changes do not make a recipe; every fault of them.
        RecipeError: the plan's checkpoint lies where the changed run would be over.
        RunDirectoryError: the parent's recipe cannot be read.
    """
    reader = RunReader(parent)
    table, path = reader.recipe(), parent / RECIPE
    if not table:
        raise RunDirectoryError(f"{path} cannot be read, so no child can be made from it.")
    flags = [Layer(where=f"--set {flag}", table=layer.table) for flag in flags_of(plan.set) for layer in _layer(flag)]
    if plan.use:
        layers, kept, left = _other(plan.use, table, recorded_flags(reader.environment()), registry)
    else:
        layers, kept, left = [_recorded(path, table, without=("watch",))], recorded_flags(reader.environment()), []
    watch, left_out = _fitting_watch([*layers, *flags], table, path, registry)
    loaded = load_layers([*layers, watch, *flags], path=path, registry=registry)
    loaded = with_scenarios(loaded, registry)
    loaded = attrs.evolve(
        loaded,
        table={**loaded.table, "resolved": table.get("resolved", {})},
        overrides=tuple(kept),
    )
    if plan.checkpoint is not None:
        _refuse_trained_out(plan.checkpoint.step, read_status(parent), table.get("train", {}), loaded.recipe.train)
    changes = _changes(table, loaded, _given(layers, flags, plan.use))
    return ChangedRecipe(loaded=loaded, changes=changes, notes=(*left, *left_out))


def _refuse_trained_out(step: int, parent: Status | None, before: Mapping[str, Any], train: Train) -> None:
    """A checkpoint at which the changed run would be over: nothing would be trained, and that is no success.

    Raises:
        RecipeError: it is one.
    """
    if parent is None or not parent.epoch:
        return
    epochs_of_a_step = parent.epoch / parent.step
    epoch = step * epochs_of_a_step
    as_large = before.get("accumulate", 1) * before.get("batch_size", train.batch_size)
    left = round((train.epochs - epoch) / epochs_of_a_step * as_large / (train.batch_size * train.accumulate), 6)
    if left < 1:
        raise RecipeError(
            f"Step {step:,} lies at the changed run's end or beyond it: {epoch:.3g} of {train.epochs:,} epochs are "
            "done by then, so nothing would be trained. Go back further with --to, or train longer with "
            "--set train.epochs=…"
        )


def _given(layers: Sequence[Layer], flags: Sequence[Layer], use: str) -> set[str]:
    """The keys that were given a value, which are listed as changes even where the parent had none."""
    given = MergedRecipe([*(layers if use else ()), *flags]).table
    return {flag.partition("=")[0] for flag in flags_of(given)}


def _changes(table: Mapping[str, Any], loaded: LoadedRecipe, given: set[str]) -> tuple[Change, ...]:
    """Without what the notes tell, without scenarios' rules, whose limits follow the recipe's values, and without the
    defaults that come with another kind."""
    written = tomllib.loads(recipe_to_toml(loaded.table))
    changes = worth_telling(recipe_difference(table, written))
    return tuple(
        change
        for change in changes
        if not change.key.startswith("watch.scenario[")
        and change.key != "description"
        and (change.left is not None or change.key in given or change.key.endswith(".kind"))
        and not (change.key.startswith("watch.") and change.right is None)
    )


def _layer(flag: str) -> Sequence[Layer]:
    return override_layers([flag])


def _recorded(path: Path, table: Mapping[str, Any], *, without: Iterable[str] = ()) -> Layer:
    return Layer(where=str(path), table={key: value for key, value in table.items() if key not in without})


def _other(
    use: str, table: Mapping[str, Any], flags: Sequence[str], registry: Registry
) -> tuple[list[Layer], list[str], list[str]]:
    """The layers of another recipe with what stays the parent's; the parent's flags that fit, and those that do not."""
    path = used_recipe(use, table)
    own = {key: value for key, value in table.items() if key in _OWN and key != "watch"}
    seed = table.get("train", {}).get("seed")
    layers = [
        *(
            attrs.evolve(layer, table={key: value for key, value in layer.table.items() if key not in _OWN})
            for layer in read_file_layers(path)
        ),
        Layer(where="the run that is taken back", table={**own, **({} if seed is None else {"train": {"seed": seed}})}),
    ]
    kept, left = [], []
    for flag in flags:
        if flag.startswith(FLAGS_OF_WHAT_STAYS):
            continue
        if flag.partition("=")[0].endswith(".kind"):
            left.append(f"--set {flag} is left out: {use} names its own components")
            continue
        faults = _num_problems([*layers, *_layer(flag)], path, registry)
        if faults > _num_problems(layers, path, registry):
            left.append(f"--set {flag} is left out: it does not fit {use}")
        else:
            layers += _layer(flag)
            kept.append(flag)
    return layers, kept, left


def _num_problems(layers: Sequence[Layer], path: Path, registry: Registry) -> int:
    return len(structure_recipe(MergedRecipe(layers).table, path=path, registry=registry).problems)


def _fitting_watch(
    layers: Sequence[Layer], table: Mapping[str, Any], path: Path, registry: Registry
) -> tuple[Layer, tuple[str, ...]]:
    """The parent's rules as far as they fit; all of them where the recipe is at fault, which loading it tells."""
    recorded = table.get("watch", {})
    whole = Layer(where=str(path), table={"watch": recorded})
    merged = MergedRecipe([whole, *layers])
    recipe = structure_recipe(merged.table, path=path, registry=registry).recipe
    if recipe is None:
        return whole, ()
    problems = list(scenario_problems(recipe.watch.scenarios, registry))
    if problems:
        raise RecipeFaultsError(str(path), [merged.located(problem) for problem in problems])
    own = tuple(rule for rule in recipe.watch.scenario if not rule.of)
    recipe = attrs.evolve(recipe, watch=attrs.evolve(recipe.watch, scenario=own))
    changed = MergedRecipe(layers)
    known = _num_problems(layers, path, registry)
    fitting = fitting_rules(
        recorded,
        declared_metrics(recipe),
        expand_scenarios(recipe, registry),
        lambda change: (
            len(structure_recipe(changed.with_changes(dict(change)), path=path, registry=registry).problems) <= known
        ),
    )
    return Layer(where=str(path), table={"watch": fitting.watch}), fitting.left_out
