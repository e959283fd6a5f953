"""What a rollback would change in a recipe, told from recorded data alone: without the components, without torch.

Defaults of components that come in anew are not known here, so they are not among the changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jepa_core.errors import RecipeError
from jepa_core.recipes.difference import Change, recipe_difference
from jepa_core.recipes.layers import Layer, is_file, override_layers, read_file_layers
from jepa_core.recipes.layout import COMPONENT_TABLES, LOSSES, TEXT_KEYS
from jepa_core.recipes.merging import MergedRecipe
from jepa_core.recipes.recipe_path import find_recipe
from jepa_core.recipes.writing import toml_key, value_to_toml

KEPT_TABLES = ("data", "watch", "observers")
SEED = "train.seed"
"""What stays the parent's when another recipe is used whole."""
FLAGS_OF_WHAT_STAYS = ("data.", "watch.", "observers.", "name", SEED)
"""Flags of the parent that say nothing beside what stays anyway."""


def changes_of(overrides: Sequence[str]) -> dict[str, Any]:
    """`--set KEY=VALUE` flags as nested tables, as a rule's `set` has them.

    Raises:
        RecipeFaultsError: a flag is not `KEY=VALUE`.
    """
    return MergedRecipe(override_layers(overrides)).table


def flags_of(changes: Mapping[str, Any]) -> list[str]:
    """The inverse: one `KEY=VALUE` for each value."""
    return [f"{key}={value_to_toml(value)}" for key, value in _leaves(changes)]


def merged_changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The second set of changes on top of the first."""
    return MergedRecipe([Layer(where="", table=dict(first)), Layer(where="", table=dict(second))]).table


def used_recipe(name: str, parent: Mapping[str, Any]) -> Path:
    """The file of the recipe that a rule names: beside the file that the parent was made from, else as a command
    would find it.

    Raises:
        RecipeError: there is none.
    """
    resolved = parent.get("resolved")
    origin = resolved.get("from") if isinstance(resolved, dict) else None
    beside = Path(str(origin)).parent / f"{name}.toml" if origin else None
    return beside if beside is not None and Path(name).name == name and is_file(beside) else find_recipe(name)


def recorded_flags(environment: Mapping[str, Any]) -> list[str]:
    """The `KEY=VALUE` flags that a run was begun with."""
    recorded = environment.get("overrides", [])
    return [flag for flag in recorded if isinstance(flag, str)] if isinstance(recorded, list) else []


def planned_changes(
    parent: Mapping[str, Any], changes: Mapping[str, Any], use: str, flags: Sequence[str] = ()
) -> tuple[Change, ...]:
    """How the child's recipe would differ from the parent's resolved one.

    Args:
        parent: its recorded recipe.
        changes: recipe values to change, as nested tables.
        use: another recipe to use whole; empty for none.
        flags: those that the parent was begun with: they are given to the other recipe too.

    Raises:
        RecipeError: the recipe to use cannot be found or read.
    """
    base = {key: value for key, value in parent.items() if key not in TEXT_KEYS}
    if not use:
        changed = MergedRecipe([Layer(where="", table=base), Layer(where="", table=dict(changes))]).table
        return worth_telling(recipe_difference(base, changed))
    other = MergedRecipe(read_file_layers(used_recipe(use, parent))).table
    theirs = {key: value for key, value in other.items() if key not in (*TEXT_KEYS, *KEPT_TABLES)}
    for layer in override_layers([flag for flag in flags if not flag.startswith(FLAGS_OF_WHAT_STAYS)]):
        if _fits(layer.table, base, theirs):
            theirs = merged_changes(theirs, layer.table)
    changed = merged_changes({**_default_kinds(base), **theirs}, changes)
    ours = {key: value for key, value in base.items() if key not in KEPT_TABLES}
    return worth_telling(change for change in recipe_difference(ours, changed) if _is_known(change, changed))


def worth_telling(changes: Iterator[Change] | Sequence[Change]) -> tuple[Change, ...]:
    """Without equal numbers of other types, and without the fields that go with a kind or a loss that goes."""
    found = [change for change in changes if not _same_number(change)]
    gone = [change.key.removesuffix("kind") for change in found if change.key.endswith(".kind")]
    return tuple(
        change
        for change in found
        if change.right is not None or change.key.endswith(".kind") or not change.key.startswith(tuple(gone))
    )


def change_in_words(change: Change) -> str:
    """Such as "aggregator.kind attention → mean"."""
    return f"{change.key} {_value(change.left)} → {_value(change.right)}"


def refuse_other_data(changes: Mapping[str, Any]) -> None:
    """
    Raises:
        RecipeError: the changes touch the data.
    """
    if "data" in changes:
        flag = flags_of({"data": changes["data"]})
        raise RecipeError(
            f"A rollback goes on with the data that its run began with, so {', '.join(flag) or 'data'} cannot be set.\n"
            f"For other data start a new run: jepa run RECIPE --set {flag[0] if flag else 'data.KEY=VALUE'}"
        )


def _fits(flag: Mapping[str, Any], parent: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the other recipe has a place for a flag of the parent's: a component of the same kind, or a loss."""
    ((table, value),) = flag.items()
    ours, theirs = parent.get(table), other.get(table)
    if table == LOSSES:
        return isinstance(theirs, Mapping) and isinstance(value, Mapping) and set(value) <= set(theirs)
    if table not in COMPONENT_TABLES:
        return True
    same = isinstance(ours, Mapping) and isinstance(theirs, Mapping) and ours.get("kind") == theirs.get("kind")
    return same and isinstance(value, Mapping) and "kind" not in value


def _is_known(change: Change, changed: Mapping[str, Any]) -> bool:
    """Whether a difference is a change: the seed stays, and what the other recipe does not give is one only of a loss
    that it has not."""
    if change.right is not None:
        return change.key != SEED
    table, _, rest = change.key.partition(".")
    return table == LOSSES and rest.partition(".")[0] not in changed.get(LOSSES, {})


def _default_kinds(parent: Mapping[str, Any]) -> dict[str, Any]:
    """The kinds of components that a recipe need not name, for those that the parent has."""
    return {
        name: {"kind": table.default_kind}
        for name, table in COMPONENT_TABLES.items()
        if table.default_kind and name in parent
    }


def _same_number(change: Change) -> bool:
    left, right = change.left, change.right
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (left, right))
    return numbers and bool(left == right)


def _value(value: Any) -> str:
    if value is None:
        return "(none)"
    return value if isinstance(value, str) else value_to_toml(value)


def _leaves(changes: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in changes.items():
        path = f"{above}{toml_key(str(key))}"
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{path}.")
        else:
            yield path, value
