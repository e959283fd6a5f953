"""Which file a recipe argument means: a path, or the bare name of a recipe in `recipes/` or of one that comes along."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from jepa_core.errors import RecipeError
from jepa_core.home import at_home
from jepa_core.plain_files import obstacle
from jepa_core.recipes.faults import RecipeFaultsError, did_you_mean, nearest_file
from jepa_core.recipes.layers import is_file, read_file_layers, recipe_names, shipped_recipes
from jepa_core.visible_text import clean

OWN = Path("recipes")
"""Where a project keeps its own, below the working directory."""
OF_DATA = (".csv", ".tsv", ".txt", ".npy", ".npz", ".json", ".jsonl", ".safetensors", ".parquet", ".xlsx")
"""How names of files end that hold data, and no recipe."""


def find_recipe(text: str) -> Path:
    """The file behind a path such as `mine/a.toml`, or a name such as `quickstart`: of `recipes/` here, else of those
    that come with the package. `recipes/quickstart.toml` means that, too, where there is no such file.

    Raises:
        RecipeError: there is no such file; the text lists names that are near.
    """
    path = Path(at_home(text))
    if is_file(path):
        if path.name.lower().removesuffix(".gz").endswith(OF_DATA):
            raise RecipeError(
                f"{clean(text)} is no recipe: by its name it holds data. Give a recipe (jepa recipe list), and this "
                "file as its data.path."
            )
        return path
    name = path.name.removesuffix(".toml") if path.parent == OWN else text
    meant = [path] if text else []
    if Path(name).name == name:
        for folder in (OWN, shipped_recipes()):
            if is_file(folder / f"{name}.toml"):
                return folder / f"{name}.toml"
            meant.append(folder / f"{name}.toml")
    own, shipped = recipe_names(OWN), recipe_names(shipped_recipes())
    hint = did_you_mean(path.stem, [*own, *shipped])
    with suppress(OSError, ValueError):
        beside = nearest_file(path.name, [clean(file.name) for file in path.parent.glob("*.toml") if is_file(file)])
        hint = hint or (f' Did you mean "{beside}"?' if beside else "")
    there = [f"In {OWN}/: {', '.join(own)}"] if own else []
    there += [f"Found from anywhere: {', '.join(shipped)}"] if shipped != own else []
    found, what = next(((each, obstacle(each)) for each in meant if obstacle(each)), (path, ""))
    if what:
        named = "it" if found == path else str(found)
        raise RecipeError("\n".join([f"No recipe {clean(text)}: {clean(named)} is {clean(what)}.", *there]))
    place = "" if path.is_absolute() or path.name == text else f" ({clean(str(Path.cwd() / path))})"
    raise RecipeError("\n".join([f"No recipe {clean(text)}: no such file{place}.{hint}", *there]))


def described_recipes() -> dict[str, tuple[Path, str]]:
    """File and description of every recipe that is found by its name; of one that is no TOML why."""
    found: dict[str, tuple[Path, str]] = {}
    for folder in (OWN, shipped_recipes()):
        for name in recipe_names(folder):
            path = folder / f"{name}.toml"
            found.setdefault(name, (path, _description(path)))
    return found


def _description(path: Path) -> str:
    """The recipe's own, or that of the nearest which it extends."""
    try:
        tables = [layer.table for layer in read_file_layers(path)]
    except RecipeFaultsError as error:
        return f"cannot be read: {error.faults[0].message}"
    return str(next((table["description"] for table in reversed(tables) if "description" in table), ""))
