"""A run in a few figures, for lists."""

from __future__ import annotations

import math
from pathlib import Path

import attrs

from jepa_core.errors import RunDirectoryError
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.status import ShownState
from jepa_core.watch.verdict import Verdict


@attrs.frozen(kw_only=True)
class RunSummary:
    """One line in a list of runs."""

    name: str
    path: str
    state: ShownState
    epoch: float | None
    total_epochs: float | None
    best_mrr: float | None
    """Highest retrieval on validation so far."""
    baseline_mrr: float | None
    """Counting equal cells on the same list."""
    outcome: str
    """The verdict's; empty before there is one, "damaged" when it cannot be read."""
    baseline: str
    """What the verdict compares with; may be empty."""
    exit_code: int | None


def summarise(path: Path, clock: Clock = SYSTEM_CLOCK) -> RunSummary:
    """Read what a list shows of the run in `path`.

    Raises:
        RunDirectoryError: there is no run directory there.
    """
    reader = RunReader(path)
    status = reader.status()
    verdict, outcome = _verdict(reader)
    best, baseline_mrr, epoch = _validation(reader)
    return RunSummary(
        name=reader.name,
        path=str(path),
        state=reader.state(clock),
        epoch=status.epoch if status else epoch,
        total_epochs=(status.total_epochs or None) if status else None,
        best_mrr=best,
        baseline_mrr=baseline_mrr,
        outcome=outcome,
        baseline=verdict.baseline if verdict else "",
        exit_code=status.exit_code if status else None,
    )


def _verdict(reader: RunReader) -> tuple[Verdict | None, str]:
    try:
        verdict = reader.verdict()
    except RunDirectoryError:
        return None, "damaged"
    return verdict, verdict.outcome if verdict else ""


def _validation(reader: RunReader) -> tuple[float | None, float | None, float | None]:
    best = baseline_mrr = epoch = None
    for row in reader.rows(containing="val.retrieval.mrr"):
        mrr = row.get("val.retrieval.mrr", math.nan)
        if not math.isnan(mrr):
            best = mrr if best is None else max(best, mrr)
        baseline_mrr = row.get("val.retrieval.baseline_mrr", baseline_mrr)
        epoch = row.get("epoch", epoch)
    return best, baseline_mrr, epoch
