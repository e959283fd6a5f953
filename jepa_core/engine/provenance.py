"""What a run directory says about its run before training begins: the resolved recipe, and where it is made."""

from __future__ import annotations

import sys
from typing import Any

import attrs

from jepa_core.contracts import GridDataset
from jepa_core.engine.device import Compute, device_name, processor_model
from jepa_core.errors import DataError
from jepa_core.plugins.recorded_files import recorded_files
from jepa_core.recipe.declared_metrics import declared_metrics
from jepa_core.recipe.reading import LoadedRecipe
from jepa_core.recipe.writing import recipe_to_toml
from jepa_core.run_directory.baseline_runs import ResolvedBaseline
from jepa_core.run_directory.environment import describe_environment
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.nulls import RankedNulls
from jepa_core.watch.rules import Baseline


def write_provenance(
    writer: RunWriter,
    loaded: LoadedRecipe,
    dataset: GridDataset,
    compute: Compute,
    *,
    baseline: ResolvedBaseline,
    nulls: RankedNulls,
) -> None:
    """The environment, with what the nulls reach; then the resolved recipe, with all metric declarations and the
    baseline found."""
    writer.write_environment(
        describe_environment(
            sys.argv,
            device=device_name(compute.device),
            processor=processor_model(),
            precision=compute.precision,
            data=dataset.description,
            data_fingerprint=dataset.fingerprint,
            plugin_files=recorded_files(loaded.plugin_files),
            overrides=list(loaded.overrides),
            **nulls.to_environment(),
        )
    )
    writer.write_recipe(resolved_recipe(loaded, baseline.baseline))


def resolved_recipe(loaded: LoadedRecipe, baseline: Baseline | None) -> str:
    """The text of recipe.toml; `baseline` is what the recipe's was found to be."""
    table = dict(loaded.table)
    if baseline is not None:
        found = {key: value for key, value in attrs.asdict(baseline).items() if value}
        table["watch"] = {**table["watch"], "baseline": found}
    table["metrics"] = [_without_none(attrs.asdict(metric)) for metric in declared_metrics(loaded.recipe)]
    return recipe_to_toml(table)


def check_same_data(run: RunReader, dataset: GridDataset) -> None:
    """A resumed run goes on with the data it began with.

    Raises:
        DataError: it is other data now.
    """
    recorded = run.environment().get("data_fingerprint")
    if recorded is not None and recorded != dataset.fingerprint:
        raise DataError(
            f"{run.path} cannot be resumed: its data has changed since it began.\n"
            f"It is now {dataset.description}. Put the data back as it was, or start a new run."
        )


def _without_none(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value is not None}
