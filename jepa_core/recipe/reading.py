"""Reading a recipe: layers, merging, structure, cross-checks, and all faults of it in one error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from jepa_core.recipe.cross_checks import CrossChecks
from jepa_core.recipe.faults import Fault, RecipeFaultsError
from jepa_core.recipe.layers import override_layers, read_file_layers
from jepa_core.recipe.merging import MergedRecipe
from jepa_core.recipe.structuring import recipe_table, structure_recipe
from jepa_core.recipe.tables import Recipe
from jepa_core.registry import Registry


@attrs.frozen(kw_only=True)
class LoadedRecipe:
    """A recipe that is in order."""

    recipe: Recipe
    table: dict[str, Any]
    """The resolved recipe as plain TOML data: what it extends and all defaults filled in, flags applied.

    Its table `resolved` says where it comes from, and that the recipes which its rules name are not beside it.
    """
    path: Path


def load_recipe(path: Path, *, overrides: Sequence[str] = (), registry: Registry) -> LoadedRecipe:
    """Read the recipe at `path`, with `KEY=VALUE` overrides on top.

    Raises:
        RecipeFaultsError: with every fault of it, each at its file and line, or flag.
    """
    merged = MergedRecipe([*read_file_layers(path), *override_layers(overrides)])
    structured = structure_recipe(merged.table, path=path, registry=registry)
    checks = CrossChecks(structured=structured, merged=merged, path=path, registry=registry)
    problems = [*structured.problems, *checks.problems()]
    if structured.recipe is not None and not problems:
        table = {**recipe_table(structured.recipe), "resolved": {"from": str(path)}}
        return LoadedRecipe(recipe=structured.recipe, table=table, path=path)
    faults = [merged.located(problem) for problem in problems]
    raise RecipeFaultsError(str(path), sorted(faults, key=lambda fault: _reading_order(fault, path)))


def _reading_order(fault: Fault, path: Path) -> tuple[bool, bool, str, int, int]:
    """The recipe itself from top to bottom, then what it extends, then flags."""
    excerpt = fault.excerpt
    file = fault.where if excerpt is None else fault.where.removesuffix(f":{excerpt.line}:{excerpt.column}")
    line, column = (excerpt.line, excerpt.column) if excerpt is not None else (0, 0)
    return fault.from_flag, file != str(path), file, line, column
