"""`jepa.recipe`: a recipe by name, from a file or from a dictionary, with values changed."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from jepa_core.api.arguments import PluginFiles, registry_with
from jepa_core.api.process import undisturbed
from jepa_core.api.wording import in_python_words
from jepa_core.errors import RecipeError
from jepa_core.recipes.key_path import KeyPath
from jepa_core.recipes.layers import Layer, override_layers, parsed_key
from jepa_core.recipes.reading import LoadedRecipe, load_layers, load_recipe
from jepa_core.recipes.recipe_path import find_recipe
from jepa_core.recipes.writing import value_to_toml
from jepa_core.registry import Registry

Source = str | Path | Mapping[str, Any]

_DEEPEST = 16
"""Tables and lists within each other; recipes have a handful."""


@attrs.frozen(kw_only=True, repr=False)
class Recipe:
    """A recipe that is in order, to be trained. It stays as it was read: other values are given with `set`."""

    loaded: LoadedRecipe
    registry: Registry
    """The components that it was read with."""

    @property
    def name(self) -> str:
        return self.loaded.recipe.name

    @property
    def table(self) -> dict[str, Any]:
        """Every value, defaults filled in, as nested dictionaries: a copy, which changes nothing here."""
        return copy.deepcopy(self.loaded.table)

    @property
    def toml(self) -> str:
        """The same as text, which `jepa run` reads."""
        return self.loaded.resolved()

    def __repr__(self) -> str:
        recipe = self.loaded.recipe
        parts = [recipe.data.kind, recipe.encoder.kind, recipe.aggregator.kind, *recipe.losses]
        return f"<Recipe {self.name}: {', '.join(parts)}, {recipe.train.epochs} epochs>"


@in_python_words()
@undisturbed()
def recipe(
    source: Source,
    *,
    set: Mapping[str, Any] | None = None,  # noqa: A002  # as on the command line
    plugins: PluginFiles = (),
) -> Recipe:
    """Read a recipe, and check all of it.

    For example: `jepa.recipe("quickstart", set={"train.epochs": 2, "optimizer": {"lr": 1e-3}})`

    Args:
        source: a file, the name of a recipe that comes with the package or lies in `recipes/`, or tables as a
            dictionary.
        set: values to change, by dotted keys or nested.
        plugins: local Python files with plugins, which are run.

    Raises:
        RecipeFaultsError: with every fault of it, each with its place.
        RecipeError: there is no such recipe, or a value is none that a recipe holds.
        PluginError: a plugin file does not work.
    """
    flags = flags_of(set)
    registry = registry_with(plugins)
    if not isinstance(source, Mapping):
        loaded = load_recipe(find_recipe(str(source)), overrides=flags, registry=registry)
        return Recipe(loaded=loaded, registry=registry)
    table = _plain("", source)
    if "extends" in table:
        raise RecipeError(
            f"extends = {table['extends']!r}: a dictionary extends nothing. Change values of that recipe instead: "
            f"jepa.recipe({table['extends']!r}, set={{…}})."
        )
    name = table["name"] if isinstance(table.get("name"), str) else "recipe"
    layers = [Layer(where="the dictionary", table=table, is_recipe=True), *override_layers(flags)]
    loaded = load_layers(layers, path=Path(f"{name}.toml"), registry=registry)
    return Recipe(loaded=attrs.evolve(loaded, overrides=tuple(flags)), registry=registry)


def flags_of(changes: Mapping[str, Any] | None) -> list[str]:
    """`KEY=VALUE` for each value, as they are typed after `--set`.

    Raises:
        RecipeError: it is no dictionary of keys, a key is there twice, or a recipe cannot hold a value.
    """
    if changes is None:
        return []
    if not isinstance(changes, Mapping):
        raise RecipeError(f'set = {changes!r}: give a dictionary, such as {{"train.epochs": 2}}.')
    flags: dict[KeyPath, str] = {}
    for key, value in _values("", _plain("", changes)):
        # What is behind an = would be read as the value.
        path = None if "=" in key else parsed_key(key)
        if path is None:
            raise RecipeError(f'set: {key!r} is no key of a recipe. Use dotted keys, such as "train.epochs".')
        if any(path[: len(other)] == other[: len(path)] for other in flags):
            raise RecipeError(f"set has {key} twice, by a dotted key and nested. Leave one of them.")
        flags[path] = f"{key}={value_to_toml(value)}"
    return list(flags.values())


def _values(prefix: str, table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """All values by dotted keys; an empty table is a value, too."""
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from _values(f"{prefix}{key}.", value)
        else:
            yield f"{prefix}{key}", value


def _plain(key: str, value: Any, depth: int = 0) -> Any:
    """What TOML has for a value: paths are text, and numbers of numpy or torch are numbers.

    Raises:
        RecipeError: it has nothing for it.
    """
    if depth > _DEEPEST:
        raise RecipeError(f"{key[:40]}… is nested deeper than any recipe, or contains itself.")
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        odd = [name for name in value if not isinstance(name, str)]
        if odd:
            raise RecipeError(f"{odd[0]!r} is no key{f' in {key}' if key else ''}: keys of a recipe are text.")
        return {name: _plain(f"{key}.{name}" if key else name, entry, depth + 1) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(f"{key}[{index}]", entry, depth + 1) for index, entry in enumerate(value)]
    if getattr(value, "ndim", None) == 0:
        return _plain(key, value.item(), depth + 1)
    remedy = "Leave the key out to have its default." if value is None else "Give text, a number, a truth or a list."
    raise RecipeError(f"{key} = {value!r} cannot stand in a recipe. {remedy}")
