"""What a run directory says about its run before training begins: the resolved recipe, and where it is made."""

from __future__ import annotations

import os
import sys

import attrs

from jepa_core.contracts import SequenceDataset
from jepa_core.engine.device import Compute, device_name, processor_model
from jepa_core.errors import DataError
from jepa_core.home import at_home
from jepa_core.recipes.reading import LoadedRecipe
from jepa_core.recipes.writing import recipe_to_toml
from jepa_core.run_directory.environment import describe_environment
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.recorded_files import KEPT_OUT, recorded_plugins
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.nulls import RankedNulls
from jepa_core.watch.rules import Baseline


def write_provenance(
    writer: RunWriter,
    loaded: LoadedRecipe,
    compute: Compute,
    *,
    num_ranks: int = 1,
    dataset: SequenceDataset | None = None,
    baseline: Baseline | None = None,
    nulls: RankedNulls | None = None,
) -> None:
    """The environment, then the resolved recipe with all metric declarations. What is not known yet is left out: the
    data, what the recipe's baseline was found to be, and what the nulls reach."""
    environment = describe_environment(
        sys.argv,
        device=device_name(compute.device),
        processor=processor_model(),
        precision=compute.precision,
        ranks=num_ranks,
        **recorded_plugins(loaded.plugin_files, loaded.kept_out),
        overrides=list(loaded.overrides),
        tags=list(loaded.tags),
        **(nulls or RankedNulls()).to_environment(),
    )
    if dataset is not None:
        environment |= {
            "data": dataset.description,
            "data_fingerprint": dataset.fingerprint,
            "train_sequences": len(dataset.train),
        }
    writer.write_environment(environment)
    writer.write_recipe(loaded.resolved(baseline))


@attrs.frozen
class Kept:
    """What a resumed run goes on with."""

    nulls: RankedNulls
    moved: str
    """That its data lies elsewhere now, in words; empty where it does not."""


def kept_provenance(writer: RunWriter, loaded: LoadedRecipe, dataset: SequenceDataset) -> Kept:
    """A resumed run goes on with the data it began with, wherever that lies now, and with its nulls; plugins that are
    kept out now are noted, so that the next command does so, too.

    Raises:
        DataError: it is other data now.
    """
    run = RunReader(writer.path)
    environment = run.environment()
    recorded, moved = environment.get("data_fingerprint"), _moved(writer, loaded)
    if moved and recorded is None:
        raise DataError(
            f"{run.path} cannot be resumed: it does not say which data it began with, so nobody can tell whether that "
            f"lies at {loaded.data_path} now. Put it back where it was, or start a new run."
        )
    if recorded is not None and recorded != dataset.fingerprint:
        raise DataError(
            f"{run.path} cannot be resumed: its data has changed since it began.\n"
            f"It is now {dataset.description}. Put the data back as it was, or start a new run."
        )
    if environment and list(loaded.kept_out) != environment.get(KEPT_OUT, []):
        writer.write_environment({**environment, KEPT_OUT: list(loaded.kept_out)})
    if moved:
        table = run.recipe()
        # Whatever comes next looks there, too.
        writer.write_recipe(recipe_to_toml({**table, "data": {**table["data"], "path": loaded.data_path}}))
        writer.event("data moved", "info", f"{moved[:1].upper()}{moved[1:]}.", evidence={"path": loaded.data_path})
    return Kept(run.nulls(), moved)


def _moved(writer: RunWriter, loaded: LoadedRecipe) -> str:
    table = RunReader(writer.path).recipe().get("data")
    before = table.get("path") if isinstance(table, dict) else None
    if not before or not loaded.data_path or loaded.data_path == os.path.abspath(at_home(str(before))):  # noqa: PTH100  # as in the recipe
        return ""
    return f"the data lies at {loaded.data_path} now, and is what the run began with"
