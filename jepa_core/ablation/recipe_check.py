"""Every cell's recipe loaded before anything runs, with all faults of all cells in one error.

Loading needs the installed components, which import torch; that happens in a process of its own, so that the one that
waits for the runs stays small.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from jepa_core.ablation.grid import Cell, cells_of, settings_of
from jepa_core.ablation.variation import Variation
from jepa_core.metrics import Metric, declaration_of
from jepa_core.recipes.faults import Fault, RecipeFaultsError, did_you_mean

if TYPE_CHECKING:
    from jepa_core.discovery.components import Registry
    from jepa_core.recipes.reading import LoadedRecipe

_NAMED_TABLES = ("losses", "observers")
"""Tables of tables: a key below a name that is not there would add a component instead of varying one."""


@attrs.frozen(kw_only=True)
class GridRequest:
    """What to check."""

    recipe: str
    """A path, or the name of a recipe."""
    overrides: tuple[str, ...]
    variations: tuple[Variation, ...]
    metric: str
    """Empty: the first that the recipe is judged by."""
    devices: tuple[str, ...]
    """Where runs shall go, such as `auto` or `cuda:1`."""
    plugin_files: tuple[Path, ...] = ()
    blocked_plugins: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class CheckedGrid:
    """A grid in which every recipe is in order."""

    name: str
    """The recipe's."""
    path: str
    seed: int
    """The recipe's own: the first of the ablation's."""
    recipes: tuple[str, ...]
    """Of each cell, resolved, as TOML."""
    fingerprint: str
    """Of everything that decides the runs but their seeds: more seeds are more of the same ablation."""
    metric: Metric
    """The one judged by, as the cells declare it."""
    plugin_files: tuple[tuple[str, str], ...]
    """Path and SHA-256."""


def check_grid(request: GridRequest) -> CheckedGrid:
    """Load every cell's recipe in another process.

    Raises:
        JepaError: a recipe, a flag, a plugin or a device is at fault.
    """
    with _nothing_from_here(), ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as elsewhere:
        return elsewhere.submit(load_grid, request).result()


@contextmanager
def _nothing_from_here() -> Iterator[None]:
    """While entered, new processes of Python import nothing from the working folder, as `jepa` itself."""
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


def load_grid(request: GridRequest) -> CheckedGrid:
    """The same in this process, which loads torch."""
    from jepa_core.recipes.recipe_path import find_recipe
    from jepa_core.recipes.writing import recipe_to_toml
    from jepa_core.registry import chosen_plugins

    registry = chosen_plugins(request.plugin_files, request.blocked_plugins)
    path = find_recipe(request.recipe)
    loaded = _load_cells(request, path, registry)
    _check_devices(request, loaded)
    _refuse_equal_cells(request, loaded)
    return CheckedGrid(
        name=loaded[0].recipe.name,
        path=str(path),
        seed=loaded[0].recipe.train.seed,
        recipes=tuple(recipe_to_toml(one.table) for one in loaded),
        fingerprint=_fingerprint(request, loaded, registry),
        metric=_metric(request.metric or loaded[0].recipe.watch.judge[0], loaded),
        plugin_files=tuple((str(file.path.resolve()), file.sha256) for file in registry.files),
    )


def _load_cells(request: GridRequest, path: Path, registry: Registry) -> list[LoadedRecipe]:
    """
    Raises:
        RecipeFaultsError: with the faults of all cells, each once.
    """
    from jepa_core.recipes.reading import load_recipe

    loaded, faults = [], _absent_tables(request, path)
    told = {fault.where for fault in faults}
    for cell in cells_of(request.variations):
        settings = settings_of(request.variations, cell)
        try:
            loaded.append(load_recipe(path, overrides=(*request.overrides, *settings), registry=registry))
        except RecipeFaultsError as error:
            traced = (_at_variation(fault, request.variations, cell) for fault in error.faults)
            faults += [fault for fault in traced if fault.where not in told]
    if faults:
        raise RecipeFaultsError(str(path), list(dict.fromkeys(faults)))
    return loaded


def _at_variation(fault: Fault, variations: Sequence[Variation], cell: Cell) -> Fault:
    """A fault of one of the cell's own values, told at the flag which brought it in."""
    flags = {f"--set {setting}": index for index, setting in enumerate(settings_of(variations, cell))}
    index = flags.get(fault.where)
    if index is None:
        return fault
    note = f"for the value {cell.values[index]}"
    return attrs.evolve(fault, where=variations[index].flag, notes=(*fault.notes, note))


def _absent_tables(request: GridRequest, path: Path) -> list[Fault]:
    """Losses and observers to vary that are not in the recipe."""
    from jepa_core.recipes.layers import override_layers, read_file_layers
    from jepa_core.recipes.merging import MergedRecipe

    table = MergedRecipe([*read_file_layers(path), *override_layers(request.overrides)]).table
    return [
        Fault(where=variation.flag, key=variation.key, message=message, notes=notes, from_flag=True)
        for variation in request.variations
        for message, notes in _absent(variation.key, table)
    ]


def _absent(key: str, table: dict[str, object]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What to say of a key below a loss or an observer that is not there; nothing for other keys."""
    family, _, rest = key.partition(".")
    name = rest.partition(".")[0]
    present = table.get(family, {})
    if family not in _NAMED_TABLES or not isinstance(present, dict) or name in present:
        return
    yield (
        f"the recipe has no table {family}.{name}.{did_you_mean(name, present)}",
        (f"in {family}: {', '.join(present) or 'nothing'}", f"to add it: --set {family}.{name}.kind={name}"),
    )


def _check_devices(request: GridRequest, loaded: Sequence[LoadedRecipe]) -> None:
    """
    Raises:
        DeviceError: a device is not there, or a cell cannot compute on it in its precision.
        RecipeError: a cell could not be trained on it, by its sizes alone.
    """
    from jepa_core.engine.affordable import require_affordable
    from jepa_core.engine.device import choose_compute

    for one in loaded:
        for device in request.devices:
            require_affordable(one.recipe, choose_compute(device, one.recipe.train.precision))


def _refuse_equal_cells(request: GridRequest, loaded: Sequence[LoadedRecipe]) -> None:
    """
    Raises:
        RecipeFaultsError: two values of a factor are one and the same, such as 1 and 1.0.
    """
    seen: dict[str, Cell] = {}
    for cell, one in zip(cells_of(request.variations), loaded, strict=True):
        first = seen.setdefault(repr(one.table), cell)
        if first is cell:
            continue
        index = next(i for i, (a, b) in enumerate(zip(first.values, cell.values, strict=True)) if a != b)
        message = f"{first.values[index]} and {cell.values[index]} give the same recipe: leave one out"
        flag = request.variations[index]
        raise RecipeFaultsError(str(one.path), [Fault(where=flag.flag, key=flag.key, message=message, from_flag=True)])


def _fingerprint(request: GridRequest, loaded: Sequence[LoadedRecipe], registry: Registry) -> str:
    from jepa_core.recipes.writing import recipe_to_toml

    tables = ({key: value for key, value in one.table.items() if key != "resolved"} for one in loaded)
    parts = [
        *(recipe_to_toml(table) for table in tables),
        *(variation.flag for variation in request.variations),
        *(file.sha256 for file in registry.files),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _metric(name: str, loaded: Sequence[LoadedRecipe]) -> Metric:
    """
    Raises:
        RecipeFaultsError: no cell reports a metric of this name.
    """
    from jepa_core.recipes.declared_metrics import declared_metrics

    declared = [metric for one in loaded for metric in declared_metrics(one.recipe)]
    if metric := declaration_of(name, declared):
        return metric
    message = f"no cell reports a metric of this name.{did_you_mean(name, [metric.name for metric in declared])}"
    raise RecipeFaultsError(
        "The command line", [Fault(where=f"--metric {name}", key="", message=message, from_flag=True)]
    )
