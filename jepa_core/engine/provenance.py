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
from jepa_core.run_directory.recorded_files import KEPT_OUT, recorded_plugins
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
            **recorded_plugins(loaded.plugin_files, loaded.kept_out),
            overrides=list(loaded.overrides),
            tags=list(loaded.tags),
            **nulls.to_environment(),
        )
    )
    writer.write_recipe(loaded.resolved(baseline.baseline))


def kept_provenance(writer: RunWriter, loaded: LoadedRecipe, dataset: SequenceDataset) -> RankedNulls:
    """A resumed run goes on with the data it began with, and with its nulls, which are given; plugins that are kept out
    now are noted, so that the next command does so, too.

    Raises:
        DataError: it is other data now.
    """
    run = RunReader(writer.path)
    environment = run.environment()
    recorded = environment.get("data_fingerprint")
    if recorded is not None and recorded != dataset.fingerprint:
        raise DataError(
            f"{run.path} cannot be resumed: its data has changed since it began.\n"
            f"It is now {dataset.description}. Put the data back as it was, or start a new run."
        )
    if environment and list(loaded.kept_out) != environment.get(KEPT_OUT, []):
        writer.write_environment({**environment, KEPT_OUT: list(loaded.kept_out)})
    return run.nulls()
