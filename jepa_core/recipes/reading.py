"""Reading a recipe: layers, merging, structure, cross-checks, and all faults of it in one error."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from jepa_core.discovery.remarks import PluginRemark
from jepa_core.discovery.source import LocalFile
from jepa_core.home import at_home
from jepa_core.recipes.cross_checks import CrossChecks
from jepa_core.recipes.declared_metrics import declared_metrics
from jepa_core.recipes.faults import Fault, RecipeFaultsError
from jepa_core.recipes.layers import Layer, override_layers, read_file_layers
from jepa_core.recipes.layout import COMPONENT_TABLES
from jepa_core.recipes.merging import MergedRecipe
from jepa_core.recipes.scenarios import expand_scenarios
from jepa_core.recipes.structuring import recipe_table, structure_recipe
from jepa_core.recipes.tables import Recipe
from jepa_core.recipes.writing import recipe_to_toml
from jepa_core.registry import Registry
from jepa_core.watch.rules import Baseline


@attrs.frozen(kw_only=True)
class LoadedRecipe:
    """A recipe that is in order."""

    recipe: Recipe
    table: dict[str, Any]
    """The resolved recipe as plain TOML data: what it extends and all defaults filled in, flags applied.

    Its table `resolved` says where it comes from, and that the recipes which its rules name are not beside it.
    """
    path: Path
    notes: tuple[str, ...] = ()
    """What the user should know about the plugins behind it."""
    plugin_files: tuple[LocalFile, ...] = ()
    """Local files that components may come from."""
    kept_out: tuple[str, ...] = ()
    """Plugins that were not imported, by their entry points' names."""
    overrides: tuple[str, ...] = ()
    """The `KEY=VALUE` flags that are applied in it."""
    tags: tuple[str, ...] = ()
    """Words of the user's by which its run is found again; they change nothing."""

    @property
    def data_path(self) -> str:
        """The whole of a data.path at which something is; empty where nothing is, and where the data has none."""
        path = self.table["data"].get("path")
        if not isinstance(path, str) or not path:
            return ""
        whole = os.path.abspath(at_home(path))  # noqa: PTH100  # links stay links
        return whole if os.path.lexists(whole) else ""

    def resolved(self, baseline: Baseline | None = None) -> str:
        """The text of recipe.toml, with all metrics declared; `baseline` is what the recipe's was found to be.

        A data.path at which something is becomes the whole path: the run is read from other folders later.
        """
        table = dict(self.table)
        if self.data_path:
            table["data"] = {**table["data"], "path": self.data_path}
        if baseline is not None:
            found = {key: value for key, value in attrs.asdict(baseline).items() if value}
            table["watch"] = {**table["watch"], "baseline": found}
        metrics = [attrs.asdict(metric) for metric in declared_metrics(self.recipe)]
        table["metrics"] = [{key: value for key, value in metric.items() if value is not None} for metric in metrics]
        return recipe_to_toml(table)


def load_recipe(path: Path, *, overrides: Sequence[str] = (), registry: Registry) -> LoadedRecipe:
    """Read the recipe at `path`, with `KEY=VALUE` overrides on top.

    Raises:
        RecipeFaultsError: with every fault of it, each at its file and line, or flag.
    """
    layers = [*read_file_layers(path), *override_layers(overrides)]
    return attrs.evolve(load_layers(layers, path=path, registry=registry), overrides=tuple(overrides))


def load_layers(layers: Iterable[Layer], *, path: Path, registry: Registry) -> LoadedRecipe:
    """The recipe that layers give together; `path` is what it is called by.

    Raises:
        RecipeFaultsError: with every fault of it.
    """
    merged = MergedRecipe(layers)
    structured = structure_recipe(merged.table, path=path, registry=registry)
    checks = CrossChecks(structured=structured, merged=merged, path=path, registry=registry)
    problems = [*structured.problems, *checks.problems()]
    if structured.recipe is not None and not problems and not merged.without_effect:
        table = {**recipe_table(structured.recipe), "resolved": {"from": str(path)}}
        return LoadedRecipe(
            recipe=structured.recipe,
            table=table,
            path=path,
            notes=tuple(_notes(structured.recipe, registry)),
            plugin_files=registry.files,
            kept_out=tuple(dict.fromkeys(plugin.entry_point for plugin in registry.blocked)),
        )
    faults = [*merged.without_effect, *(merged.located(problem) for problem in problems)]
    of_flags = [fault.from_flag for fault in faults]
    title = "The command line" if all(of_flags) else f"{path}, with what is set," if any(of_flags) else str(path)
    raise RecipeFaultsError(title, sorted(faults, key=lambda fault: _reading_order(fault, path)))


def with_scenarios(loaded: LoadedRecipe, registry: Registry) -> LoadedRecipe:
    """The recipe with the rules of all installed scenarios that it leaves on, for a run that begins.

    A run that goes on keeps the rules which it recorded.

    Raises:
        PluginError: a scenario breaks its contract.
    """
    own = tuple(rule for rule in loaded.recipe.watch.scenario if not rule.of)
    recipe = attrs.evolve(loaded.recipe, watch=attrs.evolve(loaded.recipe.watch, scenario=own))
    watch = attrs.evolve(recipe.watch, scenario=(*own, *expand_scenarios(recipe, registry)))
    recipe = attrs.evolve(recipe, watch=watch)
    return attrs.evolve(loaded, recipe=recipe, table={**loaded.table, "watch": recipe_table(recipe)["watch"]})


def _notes(recipe: Recipe, registry: Registry) -> Iterator[str]:
    """Slow plugins, and plugins that claim a component which the recipe names."""
    named = [(table.family, getattr(recipe, name)) for name, table in COMPONENT_TABLES.items()]
    named += [("loss", entry.config) for entry in recipe.losses.values()]
    named += [("observer", entry.config) for entry in recipe.observers.values()]
    claims = {claim: None for family, config in named for claim in registry.claims_on(family, config.kind)}
    remarks: list[PluginRemark] = [*registry.slow, *claims]
    for remark in remarks:
        yield f"{remark.distribution} {remark.version} {remark.cause}. Remedy: {remark.remedy}"


def _reading_order(fault: Fault, path: Path) -> tuple[bool, bool, str, int, int]:
    """The recipe itself from top to bottom, then what it extends, then flags."""
    excerpt = fault.excerpt
    file = fault.where if excerpt is None else fault.where.removesuffix(f":{excerpt.line}:{excerpt.column}")
    line, column = (excerpt.line, excerpt.column) if excerpt is not None else (0, 0)
    return fault.from_flag, file != str(path), file, line, column
