"""What a run directory says about its run before training begins: the resolved recipe, and where it is made."""

from __future__ import annotations

import sys

from jepa_core.contracts import SequenceDataset
from jepa_core.engine.device import Compute, device_name, processor_model
from jepa_core.errors import DataError
from jepa_core.recipes.reading import LoadedRecipe
from jepa_core.run_directory.baseline_runs import ResolvedBaseline
from jepa_core.run_directory.environment import describe_environment
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.recorded_files import recorded_files
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.nulls import RankedNulls


def write_provenance(
    writer: RunWriter,
    loaded: LoadedRecipe,
    dataset: SequenceDataset,
    compute: Compute,
    *,
    baseline: ResolvedBaseline,
    nulls: RankedNulls,
    num_ranks: int = 1,
) -> None:
    """The environment, with what the nulls reach; then the resolved recipe, with all metric declarations and the
    baseline found."""
    writer.write_environment(
        describe_environment(
            sys.argv,
            device=device_name(compute.device),
            processor=processor_model(),
            precision=compute.precision,
            ranks=num_ranks,
            data=dataset.description,
            data_fingerprint=dataset.fingerprint,
            train_sequences=len(dataset.train),
            plugin_files=recorded_files(loaded.plugin_files),
            overrides=list(loaded.overrides),
            tags=list(loaded.tags),
            **nulls.to_environment(),
        )
    )
    writer.write_recipe(loaded.resolved(baseline.baseline))


def check_same_data(run: RunReader, dataset: SequenceDataset) -> None:
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
