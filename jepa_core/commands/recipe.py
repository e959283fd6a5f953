"""`jepa recipe`: list, begin, show, check and compare recipes, and their JSON Schema for editors."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from jepa_core.commands.flag import Flag
from jepa_core.commands.options import NoPlugins, Overrides, PluginFiles
from jepa_core.errors import RecipeError
from jepa_core.json_text import print_json

if TYPE_CHECKING:
    from jepa_core.recipes.reading import LoadedRecipe
    from jepa_core.registry import Registry

app = App(name="recipe", help="List, begin, show, check and compare recipes.")

EXIT_FAULTY = 2


@app.command(name="list")
def list_recipes(*, json: Flag = False) -> None:
    """List the recipes that are found by name: those of recipes/ here, and those that come with the package.

    For example: jepa recipe list

    Parameters
    ----------
    json
        Print names, files and descriptions as JSON.
    """
    from jepa_core.presentation.recipe_view import recipes_list
    from jepa_core.presentation.terminal import console_for
    from jepa_core.recipes.recipe_path import described_recipes

    found = described_recipes()
    if json:
        plain = [{"name": name, "path": str(path), "description": text} for name, (path, text) in found.items()]
        print_json(plain)
        return
    console_for().print(recipes_list(found))


@app.command
def new(file: Path, /, *, source: Annotated[str, Parameter(name="--from")] = "quickstart") -> None:
    """Write a recipe to edit: a copy of another, with its comments.

    For example: jepa recipe new mine.toml --from quickstart

    Parameters
    ----------
    file
        Where to; the file's name is the recipe's. Nothing is overwritten.
    source
        The recipe to begin with: a file, or the name of a recipe (see jepa recipe list).

    Raises
    ------
    RecipeError
        There is no such recipe, or the file cannot be written.
    """
    from jepa_core.recipes.new_recipe import write_recipe
    from jepa_core.visible_text import visible

    written = visible(shlex.quote(str(write_recipe(file, source))))
    print(f"Wrote {written}. Edit it, then: jepa recipe check {written}, and: jepa run {written}")


@app.command
def show(
    recipe: str,
    /,
    *,
    overrides: Overrides = (),
    plugin: PluginFiles = (),
    no_plugin: NoPlugins = (),
    toml: Flag = False,
) -> None:
    """Show a recipe with everything that it extends and all defaults filled in.

    For example: jepa recipe show optimized --set train.epochs=3

    Parameters
    ----------
    recipe
        A file, or the name of a recipe (see jepa recipe list).
    overrides
        KEY=VALUE, such as train.epochs=3; may be repeated.
    toml
        Print TOML that can be saved and run.

    Raises
    ------
    RecipeError
        The recipe is faulty, or there is none of this name.
    """
    from jepa_core.presentation.recipe_view import recipe_view
    from jepa_core.presentation.terminal import console_for
    from jepa_core.recipes.writing import recipe_to_toml
    from jepa_core.registry import chosen_plugins

    registry = chosen_plugins(plugin, no_plugin)
    loaded = _load(recipe, registry, overrides)
    if toml:
        sys.stdout.write(recipe_to_toml(loaded.table))
    else:
        console_for().print(recipe_view(loaded, registry))


@app.command
def check(
    *recipes: str,
    overrides: Overrides = (),
    plugin: PluginFiles = (),
    no_plugin: NoPlugins = (),
    json: Flag = False,
) -> int:
    """Check recipes: every fault with its file, line and what is allowed. Exits with 2 when there is one.

    Of a recipe without faults it is seen whether this computer could train it at all.

    For example: jepa recipe check quickstart

    Parameters
    ----------
    recipes
        Files, or names of recipes (see jepa recipe list).
    overrides
        KEY=VALUE, such as train.epochs=3; may be repeated.
    json
        Print a JSON array with the faults of each recipe.
    """
    from jepa_core.engine.affordable import require_affordable
    from jepa_core.engine.device import choose_compute
    from jepa_core.presentation.terminal import console_for
    from jepa_core.registry import chosen_plugins

    if not recipes:
        raise RecipeError("Which recipe? For example: jepa recipe check mine.toml")
    registry = chosen_plugins(plugin, no_plugin)
    errors: dict[str, RecipeError | None] = {}
    for recipe in recipes:
        try:
            require_affordable(_load(recipe, registry, overrides).recipe, choose_compute("auto", "fp32"))
            errors[recipe] = None
        except RecipeError as error:
            errors[recipe] = error
    if json:
        print_json([_checked(recipe, found) for recipe, found in errors.items()])
    else:
        for recipe, found in errors.items():
            console_for().print(f"{recipe} is in order" if found is None else found)
    return EXIT_FAULTY if any(found is not None for found in errors.values()) else 0


@app.command
def diff(
    left: str,
    right: str,
    /,
    *,
    overrides: Overrides = (),
    plugin: PluginFiles = (),
    no_plugin: NoPlugins = (),
    json: Flag = False,
) -> None:
    """Compare two recipes key by key, after what they extend and with defaults.

    For example: jepa recipe diff gentle_vq optimized

    Parameters
    ----------
    left
        A file, or the name of a recipe (see jepa recipe list).
    right
        The other.
    overrides
        KEY=VALUE for the second recipe; may be repeated.
    json
        Print a JSON array of key, left and right.

    Raises
    ------
    RecipeError
        One of the recipes is faulty, or there is none of this name.
    """
    import attrs

    from jepa_core.presentation.recipe_view import differences_view
    from jepa_core.presentation.terminal import console_for
    from jepa_core.recipes.difference import recipe_difference
    from jepa_core.registry import chosen_plugins

    registry = chosen_plugins(plugin, no_plugin)
    first, second = _load(left, registry), _load(right, registry, overrides)
    changes = recipe_difference(first.table, second.table)
    if json:
        print_json([attrs.asdict(change) for change in changes])
    else:
        console_for().print(differences_view(changes, str(first.path), str(second.path)))


@app.command
def schema(*, plugin: PluginFiles = (), no_plugin: NoPlugins = ()) -> None:
    """Print the JSON Schema of recipes with the installed components, for completion in editors.

    For example: jepa recipe schema > schema.json

    A recipe that starts with the line `#:schema ./schema.json` is then completed and checked by Taplo.
    """
    from jepa_core.recipes.json_schema import recipe_schema
    from jepa_core.registry import chosen_plugins

    print_json(recipe_schema(chosen_plugins(plugin, no_plugin)))


def _load(recipe: str, registry: Registry, overrides: tuple[str, ...] = ()) -> LoadedRecipe:
    from jepa_core.recipes.reading import load_recipe
    from jepa_core.recipes.recipe_path import find_recipe

    return load_recipe(find_recipe(recipe), overrides=overrides, registry=registry)


def _checked(recipe: str, error: RecipeError | None) -> dict[str, Any]:
    from jepa_core.recipes.faults import Fault, RecipeFaultsError

    faults: tuple[Fault, ...] = ()
    if error is not None:
        faults = (
            error.faults if isinstance(error, RecipeFaultsError) else (Fault(where=recipe, key="", message=str(error)),)
        )
    entries = [{"where": f.where, "key": f.key, "message": f.message, "notes": list(f.notes)} for f in faults]
    return {"recipe": recipe, "ok": error is None, "faults": entries}
