"""What a run is opened with and what it comes to: the values that pass between a session and whoever shows it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TextIO

import attrs

from jepa_core.contracts import SequenceDataset
from jepa_core.engine.device import Compute
from jepa_core.engine.ending import Ending
from jepa_core.engine.recording import Audience
from jepa_core.recipes.reading import LoadedRecipe
from jepa_core.watch.findings import Finding
from jepa_core.watch.nulls import RankedNulls
from jepa_core.watch.verdict import Verdict


class Screen(Audience, AbstractContextManager["Screen"], Protocol):
    """What a session opens while it trains."""


@attrs.frozen(kw_only=True)
class Opening:
    """What is known when training begins, for the run's first lines."""

    loaded: LoadedRecipe
    dataset: SequenceDataset
    compute: Compute
    path: Path
    num_parameters: int
    total_steps: int
    num_ranks: int
    """Processes that share the batches."""
    end_epoch: float
    """Passes over the data after all steps."""
    resumed_at: int | None
    notes: tuple[str, ...]
    audit: tuple[Finding, ...]
    """What the audit found, the most severe first."""
    nulls: RankedNulls
    """What learns nothing, on the validation candidates."""
    console_log: TextIO


@attrs.frozen(kw_only=True)
class Conclusion:
    """How a session ended."""

    path: Path
    ending: Ending
    verdict: Verdict | None
    """None after an interruption: nothing was decided yet; and of a run that was rolled back: its child has one."""
    exit_code: int
    child: Path | None = None
    """The run directory that goes on in its place, after a rollback."""
    leads: bool = True
    """Whether it was rank 0's, which has the verdict; the other ranks have its exit code."""


OpenScreen = Callable[[Opening], Screen]
