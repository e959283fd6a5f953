"""The brief audit before a run's first step: it looks, and leaves nothing behind that the run could notice."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from jepa_core.audit.brief import brief_audit
from jepa_core.contracts import SequenceDataset
from jepa_core.engine.device import Compute, numerics_kept
from jepa_core.engine.interruption import StoppedBeforeTraining
from jepa_core.errors import JepaError
from jepa_core.recipes.tables import Recipe
from jepa_core.watch.findings import Finding
from jepa_core.watch.nulls import RankedNulls


def opening_audit(
    recipe: Recipe, dataset: SequenceDataset, compute: Compute, nulls: RankedNulls
) -> tuple[Finding, ...]:
    """What the brief audit finds, the most severe first; a failure of the audit is a finding as well. `nulls` are the
    run's.

    Raises:
        JepaError: what a run of this recipe on this data would raise.
    """
    with undisturbed(compute.device):
        try:
            return brief_audit(recipe, dataset, compute, nulls=nulls)
        except (JepaError, StoppedBeforeTraining):
            raise
        except (Exception, SystemExit) as error:  # the audit advises: no fault of its own may end a run
            return (_failure(error),)


@contextmanager
def undisturbed(device: torch.device) -> Iterator[None]:
    """Afterwards torch's generators, switches and memory statistics are what they were."""
    on_cuda = device.type == "cuda"
    try:
        with numerics_kept(), torch.random.fork_rng(devices=range(torch.cuda.device_count()) if on_cuda else ()):
            yield
    finally:
        if on_cuda:
            # cuBLAS keeps a workspace, of 32 MiB on an H200, for each stream that it ran on: a capture brings new ones.
            torch._C._cuda_clearCublasWorkspaces()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)


def _failure(error: BaseException) -> Finding:
    what = traceback.format_exception_only(error)[-1].strip()
    return Finding(
        name="failed",
        severity="warning",
        message=f"The audit failed, and the run goes on without it: {what}",
        evidence={"traceback": "".join(traceback.format_exception(error))},
        advice="Leave it out with --no-audit, and report it.",
    )
