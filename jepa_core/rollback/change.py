"""What a rollback changes in its run's recipe: computed here, once, for whoever shows, plans or carries it out.

Data, rules and name stay the run's; so does the seed where another recipe is used whole. All faults of a change come in
one error, before anything is made.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import attrs

from jepa_core.errors import RecipeError, RunDirectoryError
from jepa_core.recipes.declared_metrics import declared_metrics
from jepa_core.recipes.difference import Change, recipe_difference
from jepa_core.recipes.faults import RecipeFaultsError
from jepa_core.recipes.layers import Layer, is_file, override_layers, read_file_layers
from jepa_core.recipes.merging import MergedRecipe
from jepa_core.recipes.reading import LoadedRecipe, load_layers, with_scenarios
from jepa_core.recipes.recipe_path import find_recipe
from jepa_core.recipes.scenarios import expand_scenarios, scenario_problems
from jepa_core.recipes.structuring import structure_recipe
from jepa_core.recipes.tables import Train
from jepa_core.recipes.writing import recipe_to_toml
from jepa_core.registry import Registry
from jepa_core.rollback.fitting_rules import fitting_rules
from jepa_core.rollback.plan import flags_of, leaves
from jepa_core.run_directory.layout import RECIPE
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.status import read_status

_OWN = ("data", "watch", "observers", "name", "resolved")
"""Top-level keys that stay the run's when another recipe is used whole."""
_FLAGS_OF_WHAT_STAYS = ("data.", "watch.", "observers.", "name", "train.seed")
"""Flags of the run that say nothing beside what stays anyway."""


@attrs.frozen(kw_only=True)
class ChangedRecipe:
    """A child's recipe."""

    loaded: LoadedRecipe
    changes: tuple[Change, ...]
    """How it differs from the parent's, defaults included."""
    notes: tuple[str, ...]
    """Rules and flags of the parent that it could not keep."""


def changed_recipe(
    parent: Path,
    registry: Registry,
    *,
    set: Mapping[str, Any],  # noqa: A002  # as in a recipe's rule
    use: str = "",
) -> ChangedRecipe:
    """The recipe of a run with a change.

    Args:
        parent: the run directory.
        registry: the installed components.
        set: recipe values to change, as nested tables.
        use: another recipe to use whole; empty for none.

    Raises:
        RecipeFaultsError: the changes do not make a recipe; every fault of them.
        RecipeError: there is no recipe called `use`.
        RunDirectoryError: the parent's recipe cannot be read.
    """
    reader = RunReader(parent)
    table, path = reader.recipe(), parent / RECIPE
    if not table:
        raise RunDirectoryError(f"{path} cannot be read, so no child can be made from it.")
    given = [Layer(where=f"--set {flag}", table=layer.table) for flag in flags_of(set) for layer in _layer(flag)]
    if use:
        layers, kept, left = _other(use, table, _recorded_flags(reader.environment()), registry)
    else:
        unruled = {key: value for key, value in table.items() if key != "watch"}
        layers, kept, left = [Layer(where=str(path), table=unruled)], _recorded_flags(reader.environment()), []
    watch, left_out = _fitting_watch([*layers, *given], table, path, registry)
    loaded = with_scenarios(load_layers([*layers, watch, *given], path=path, registry=registry), registry)
    resolved = {**loaded.table, "resolved": table.get("resolved", {})}
    loaded = attrs.evolve(loaded, table=resolved, overrides=tuple(kept))
    _refuse_too_large(loaded.recipe.train.batch_size, reader.environment().get("train_sequences"))
    named = MergedRecipe([*(layers if use else ()), *given]).table
    changes = _changes(table, loaded, {key for key, _ in leaves(named)})
    return ChangedRecipe(loaded=loaded, changes=changes, notes=(*left, *left_out))


def changes_of(overrides: Sequence[str]) -> dict[str, Any]:
    """`--set KEY=VALUE` flags as nested tables, as a rule's `set` has them.

    Raises:
        RecipeFaultsError: a flag is not `KEY=VALUE`.
    """
    return MergedRecipe(override_layers(overrides)).table


def merged_changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The second set of changes on top of the first."""
    return MergedRecipe([Layer(where="", table=dict(first)), Layer(where="", table=dict(second))]).table


def _used_recipe(name: str, parent: Mapping[str, Any]) -> Path:
    """The file of the recipe that a rule names: beside the file that the parent was made from, else as a command
    would find it.

    Raises:
        RecipeError: there is none.
    """
    resolved = parent.get("resolved")
    origin = resolved.get("from") if isinstance(resolved, dict) else None
    beside = Path(str(origin)).parent / f"{name}.toml" if origin else None
    return beside if beside is not None and Path(name).name == name and is_file(beside) else find_recipe(name)


def _recorded_flags(environment: Mapping[str, Any]) -> list[str]:
    """The `KEY=VALUE` flags that a run was begun with."""
    recorded = environment.get("overrides", [])
    return [flag for flag in recorded if isinstance(flag, str)] if isinstance(recorded, list) else []


def refuse_other_data(changes: Mapping[str, Any]) -> None:
    """
    Raises:
        RecipeError: the changes touch the data.
    """
    if "data" in changes:
        flag = flags_of({"data": changes["data"]})
        moved = "Where that lies elsewhere now, say so in the run's recipe.toml.\n"
        raise RecipeError(
            f"A rollback goes on with the data that its run began with, so {', '.join(flag) or 'data'} cannot be set.\n"
            f"{moved if any(each.startswith('data.path=') for each in flag) else ''}"
            f"For other data start a new run: jepa run RECIPE --set {flag[0] if flag else 'data.KEY=VALUE'}"
        )


def _refuse_too_large(batch_size: int, num: object) -> None:
    """What the data refuses is refused before anything is marked or stopped for it.

    Raises:
        RecipeError: there are fewer sequences than a batch has.
    """
    if isinstance(num, int) and batch_size > num:
        raise RecipeError(
            f"train.batch_size is {batch_size:,}, but the run has {num:,} training sequences. "
            "Set it to what they are, or to less."
        )


def refuse_trained_out(run: Path, step: int, train: Train) -> None:
    """A checkpoint of a run at which one with other `train` settings would be over: nothing would be trained, and that
    is no success.

    Raises:
        RecipeError: it is one.
    """
    parent, before = read_status(run), RunReader(run).recipe().get("train", {})
    sizes = before.get("accumulate", 1), before.get("batch_size", train.batch_size)
    if parent is None or not parent.epoch or not parent.step or not all(isinstance(size, int) for size in sizes):
        return
    epochs_of_a_step = parent.epoch / parent.step
    epoch = step * epochs_of_a_step
    as_large = math.prod(sizes) / (train.batch_size * train.accumulate)
    left = round((train.epochs - epoch) / epochs_of_a_step * as_large, 6)
    if left < 1:
        raise RecipeError(
            f"Step {step:,} lies at the changed run's end or beyond it: {epoch:.3g} of {train.epochs:,} epochs are "
            "done by then, so nothing would be trained. Go back further with --to, or train longer with "
            "--set train.epochs=…"
        )


def _changes(table: Mapping[str, Any], loaded: LoadedRecipe, named: Set[str]) -> tuple[Change, ...]:
    """The differences that the user meant or will notice: `named` are the keys that were given a value.

    Without scenarios' rules, whose limits follow the recipe's values; without what the notes tell; without defaults
    that come with another kind, and the fields that go with one; without equal numbers of two types.
    """
    written = tomllib.loads(recipe_to_toml(loaded.table))
    found = [change for change in recipe_difference(table, written) if not _same_number(change)]
    gone = tuple(change.key.removesuffix("kind") for change in found if change.key.endswith(".kind"))

    def is_meant(change: Change) -> bool:
        if change.key.endswith(".kind"):
            return True
        if change.right is None and change.key.startswith((*gone, "watch.")):
            return False
        return change.left is not None or change.key in named

    shown = [change for change in found if change.key != "description" and not change.key.startswith("watch.scenario[")]
    return tuple(filter(is_meant, shown))


def _layer(flag: str) -> Sequence[Layer]:
    return override_layers([flag])


def _other(
    use: str, table: Mapping[str, Any], flags: Sequence[str], registry: Registry
) -> tuple[list[Layer], list[str], list[str]]:
    """The layers of another recipe with what stays the parent's; the parent's flags that fit, and those that do not."""
    path = _used_recipe(use, table)
    own = {key: value for key, value in table.items() if key in _OWN and key != "watch"}
    seed = table.get("train", {}).get("seed")
    layers = [
        *(
            attrs.evolve(layer, table={key: value for key, value in layer.table.items() if key not in _OWN})
            for layer in read_file_layers(path)
        ),
        Layer(where="the run", table={**own, **({} if seed is None else {"train": {"seed": seed}})}),
    ]
    kept, left = [], []
    for flag in flags:
        if flag.startswith(_FLAGS_OF_WHAT_STAYS):
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


def _same_number(change: Change) -> bool:
    left, right = change.left, change.right
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (left, right))
    return numbers and bool(left == right)
