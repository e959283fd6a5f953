"""Metrics rows: one JSON line a row, one write a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jepa_core.run_directory.layout import metrics_name
from jepa_core.run_directory.line_appender import LineAppender


class MetricsWriter:
    """Writes the metrics of one rank."""

    def __init__(
        self,
        run: Path,
        *,
        rank: int = 0,
        resume_at: float | None = None,
        on_failure: Callable[[str], None] | None = None,
    ) -> None:
        """Open the file; with `resume_at`, drop the rows later than that step.

        Raises:
            RunDirectoryError: the file cannot be opened or cut.
        """
        self._lines = LineAppender(run / metrics_name(rank), on_failure)
        if resume_at is not None:
            self._lines.keep_until(resume_at)

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row; non-finite figures stand in it as text.

        Raises:
            RunDirectoryError: five writes in a row have failed. Until then rows wait in memory.
        """
        self._lines.append(dict(row))

    def close(self) -> None:
        self._lines.close()
