"""`jepa.recipe`: a recipe by name, from a file or from a dictionary, with values changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from jepa_core.api.process import undisturbed
from jepa_core.errors import RecipeError
from jepa_core.recipes.layers import Layer, override_layers
from jepa_core.recipes.reading import LoadedRecipe, load_layers, load_recipe
from jepa_core.recipes.recipe_path import find_recipe
from jepa_core.recipes.writing import value_to_toml
from jepa_core.registry import Registry, chosen_plugins

Source = str | Path | Mapping[str, Any]


@attrs.frozen(kw_only=True, repr=False)
class Recipe:
    """A recipe that is in order, to be trained."""

    loaded: LoadedRecipe
    registry: Registry
    """The components that it was read with."""

    @property
    def name(self) -> str:
        return self.loaded.recipe.name

    @property
    def table(self) -> dict[str, Any]:
        """Every value, defaults filled in, as nested dictionaries."""
        return self.loaded.table

    @property
    def toml(self) -> str:
        """The same as text, which `jepa run` reads."""
        return self.loaded.resolved()

    def __repr__(self) -> str:
        recipe = self.loaded.recipe
        parts = [recipe.data.kind, recipe.encoder.kind, recipe.aggregator.kind, *recipe.losses]
        return f"<Recipe {self.name}: {', '.join(parts)}, {recipe.train.epochs} epochs>"


def recipe(
    source: Source,
    *,
    set: Mapping[str, Any] | None = None,  # noqa: A002  # as on the command line
    plugins: Sequence[str | Path] = (),
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
        RecipeError: there is no such recipe.
        PluginError: a plugin file does not work.
    """
    with undisturbed():
        return _read(source, flags_of(set or {}), [Path(file) for file in plugins])


def _read(source: Source, flags: list[str], plugins: Sequence[Path]) -> Recipe:
    registry = chosen_plugins(plugins, ())
    if not isinstance(source, Mapping):
        loaded = load_recipe(find_recipe(str(source)), overrides=flags, registry=registry)
        return Recipe(loaded=loaded, registry=registry)
    table = {key: _plain(key, value) for key, value in source.items()}
    name = table.get("name") if isinstance(table.get("name"), str) else "recipe"
    layers = [Layer(where="the dictionary", table=table), *override_layers(flags)]
    loaded = load_layers(layers, path=Path(f"{name}.toml"), registry=registry)
    return Recipe(loaded=attrs.evolve(loaded, overrides=tuple(flags)), registry=registry)


def flags_of(changes: Mapping[str, Any], prefix: str = "") -> list[str]:
    """`KEY=VALUE` for each value, as they are typed after `--set`.

    Raises:
        RecipeError: a recipe cannot hold a value.
    """
    flags = []
    for key, value in changes.items():
        if isinstance(value, Mapping) and value:
            flags += flags_of(value, f"{prefix}{key}.")
        else:
            flags.append(f"{prefix}{key}={value_to_toml(_plain(f'{prefix}{key}', value))}")
    return flags


def _plain(key: str, value: Any) -> Any:
    """What TOML has for a value: paths are text, and numbers of numpy or torch are numbers."""
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(f"{key}.{name}", entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(f"{key}[{index}]", entry) for index, entry in enumerate(value)]
    if getattr(value, "ndim", None) == 0:
        return value.item()
    remedy = "Leave the key out to have its default." if value is None else "Give text, a number, a truth or a list."
    raise RecipeError(f"{key} = {value!r} cannot stand in a recipe. {remedy}")
