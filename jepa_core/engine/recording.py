"""What a run leaves: rows and events to the run directory, to the judge of its rules, and to whoever watches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.findings import Severity
from jepa_core.watch.judge import Judge


class Audience(Protocol):
    """Whoever watches while the run goes on, such as the terminal."""

    def progress(self, step: int, epoch: float) -> None: ...

    def row(self, row: Mapping[str, float]) -> None: ...

    def event(self, severity: Severity, message: str, advice: str) -> None: ...


class RunRecord:
    """Implements what the trainer calls `Record`."""

    def __init__(self, writer: RunWriter, judge: Judge, audience: Audience) -> None:
        self._writer = writer
        self._judge = judge
        self._audience = audience
        self.warnings: list[str] = []
        """Messages of what was not fine while the run went on."""

    def row(self, row: Mapping[str, float]) -> None:
        """Write a metrics row, and flag the rules that it sets off."""
        self._writer.row(row)
        self._audience.row(row)
        for firing in self._judge.observe(row):
            self._writer.firing(firing)
            self._tell(firing.severity, firing.message, firing.advice)

    def diagnosis(self, row: Mapping[str, Any]) -> None:
        """Write a row of diagnostics."""
        self._writer.diagnosis(row)

    def event(
        self,
        name: str,
        severity: Severity,
        message: str,
        *,
        step: int,
        evidence: Mapping[str, Any] | None = None,
        advice: str = "",
    ) -> None:
        """Write an event and tell of it."""
        self._writer.event(name, severity, message, step=step, evidence=evidence, advice=advice)
        self._tell(severity, message, advice)

    def heartbeat(self, step: int, epoch: float) -> None:
        """Note progress."""
        self._writer.heartbeat(step, epoch)
        self._audience.progress(step, epoch)

    def _tell(self, severity: Severity, message: str, advice: str) -> None:
        if severity != "info":
            self.warnings.append(message)
        self._audience.event(severity, message, advice)
