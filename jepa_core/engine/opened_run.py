"""A run opened to be looked at: a checkpoint's weights, and the run's data or other. Nothing in the run is changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import attrs

from jepa_core.contracts import SequenceDataset
from jepa_core.engine.component_faults import component_faults_told
from jepa_core.engine.dataset import built_dataset
from jepa_core.engine.device import Compute, choose_compute, set_numerics
from jepa_core.engine.stored_model import ChosenCheckpoint, StoredModel, choose_checkpoint, load_model, why_no_model
from jepa_core.errors import RunDirectoryError
from jepa_core.recipes.faults import Fault, RecipeFaultsError
from jepa_core.recipes.layers import Layer, override_layers
from jepa_core.recipes.reading import load_recipe
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import Registry
from jepa_core.run_directory.layout import RECIPE
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.recorded_files import check_same_files
from jepa_core.run_directory.status import ALIVE

_CHANGEABLE_TRAIN_KEYS = frozenset({"precision", "batch_size"})

_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")


@attrs.frozen(kw_only=True)
class OpenedRun:
    """A run directory with one of its checkpoints."""

    reader: RunReader
    trained: Recipe
    """The run's recipe."""
    recipe: Recipe
    """The same with data, precision or batch size changed for this look."""
    chosen: ChosenCheckpoint
    compute: Compute
    model: StoredModel
    registry: Registry
    """The installed components."""

    def dataset(self) -> SequenceDataset:
        """The data of `recipe`, as the weights take it.

        Raises:
            JepaError: it cannot be built, or does not fit.
        """
        shape = self.model.shape
        given = built_dataset(self.recipe, shape.space)
        train, validation = (shape.fitted(split, given.space) for split in (given.train, given.validation))
        return dataclasses.replace(given, train=train, validation=validation)


def faults_told(
    work: Callable[Concatenate[OpenedRun, _Given], _Found],
) -> Callable[Concatenate[OpenedRun, _Given], _Found]:
    """What is done with an opened run; a component that fails meanwhile is reported in a few lines."""

    @wraps(work)
    def told(opened: OpenedRun, /, *args: _Given.args, **more: _Given.kwargs) -> _Found:
        with component_faults_told(opened.trained, opened.registry):
            return work(opened, *args, **more)

    return told


def open_run(run: Path, *, overrides: Sequence[str], step: str, device: str, registry: Registry) -> OpenedRun:
    """Load the checkpoint `step` (see `choose_checkpoint`) of a run directory.

    Only TOML, JSON and safetensors that fit their SHA-256 sums are read, so that anybody's run directory can be opened.

    `overrides` are `KEY=VALUE`, for `data.*`, `train.precision` and `train.batch_size` only.

    Raises:
        JepaError: the run, its recipe, its local plugin files, the flags, the checkpoint or the device is at fault.
    """
    reader = RunReader(run)
    path = recipe_of(reader)
    check_same_files(run, registry.files)
    _refuse_changes_to_the_model(override_layers(overrides))
    trained = load_recipe(path, registry=registry).recipe
    recipe = load_recipe(path, overrides=overrides, registry=registry).recipe
    chosen = choose_checkpoint(reader, step, partial(why_no_model, trained))
    compute = choose_compute(device, recipe.train.precision)
    set_numerics(deterministic=recipe.train.deterministic, tf32=recipe.train.tf32)
    model = load_model(trained, chosen.checkpoint, compute.device)
    return OpenedRun(
        reader=reader, trained=trained, recipe=recipe, chosen=chosen, compute=compute, model=model, registry=registry
    )


def recipe_of(run: RunReader) -> Path:
    """A run's recipe.toml.

    Raises:
        RunDirectoryError: it is not there, or not yet.
    """
    path = run.path / RECIPE
    if path.exists():
        return path
    if run.state() in ALIVE:
        raise RunDirectoryError(
            f"{run.name} is starting: it has no recipe and no checkpoint yet. Try again in a while."
        )
    raise RunDirectoryError(
        f"{run.path} has no {RECIPE}, so nobody can say what it trains. Copy it along, or start anew."
    )


def _refuse_changes_to_the_model(layers: Sequence[Layer]) -> None:
    """
    Raises:
        RecipeFaultsError: a flag changes what the weights were trained with.
    """
    message = "not here: the weights were trained with the run's own value"
    note = "can be set here: data.*, train.precision, train.batch_size"
    faults = [
        Fault(where=layer.where, key=key, message=message, notes=(note,), from_flag=True)
        for layer in layers
        for key in _keys_of_the_model(layer.table)
    ]
    if faults:
        raise RecipeFaultsError("The command line", faults)


def _keys_of_the_model(table: Mapping[str, Any]) -> list[str]:
    tables = [name for name in table if name not in ("data", "train")]
    train = table.get("train", {})
    if not isinstance(train, Mapping):
        return [*tables, "train"]
    return [*tables, *(f"train.{key}" for key in sorted(train.keys() - _CHANGEABLE_TRAIN_KEYS))]
