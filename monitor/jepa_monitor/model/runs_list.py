"""The runs of a folder in a few figures each. Only runs whose files changed are read again, and only what is new."""

from __future__ import annotations

from pathlib import Path

from jepa_core.errors import RunDirectoryError
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_core.run_directory.naming import runs_in
from jepa_core.run_directory.summary import RunSummary, SummaryReader


class RunsList:
    """A folder of runs, asked again and again."""

    def __init__(self, folder: Path, clock: Clock = SYSTEM_CLOCK) -> None:
        self._folder = folder
        self._clock = clock
        self._readers: dict[Path, SummaryReader] = {}

    def refresh(self) -> tuple[RunSummary, ...]:
        """All runs there now, newest first. States are told as of now, whether files changed or not."""
        runs = runs_in(self._folder)[::-1]
        self._readers = {run: self._readers.get(run) or SummaryReader(run, self._clock) for run in runs}
        return tuple(summary for reader in self._readers.values() if (summary := _of(reader)) is not None)


def list_runs(folder: Path, clock: Clock = SYSTEM_CLOCK) -> tuple[RunSummary, ...]:
    """All runs of a folder now, newest first."""
    return RunsList(folder, clock).refresh()


def _of(reader: SummaryReader) -> RunSummary | None:
    try:
        return reader.summary()
    except RunDirectoryError:
        return None  # it vanished since the folder was listed
