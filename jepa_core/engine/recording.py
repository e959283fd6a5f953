"""What a run leaves: rows and events to the run directory, to the judge of its rules, and to whoever watches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from jepa_core.observing.dispatch import Notice, Observers
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.decision import Decision
from jepa_core.watch.findings import Severity
from jepa_core.watch.judge import Judge


class Audience(Protocol):
    """Whoever watches while the run goes on, such as the terminal."""

    def progress(self, step: int, epoch: float) -> None: ...

    def row(self, row: Mapping[str, float]) -> None: ...

    def event(self, severity: Severity, message: str, advice: str) -> None: ...


class RunRecord:
    """Implements what the trainer calls `Record`."""

    def __init__(self, writer: RunWriter, judge: Judge, observers: Observers | None = None) -> None:
        self._writer = writer
        self._judge = judge
        self._observers = observers or Observers()
        writer.listener = self._observers.event
        self.audience: Audience | None = None
        """Set once it can be told how long the run is."""
        self.warnings: list[str] = []
        """Messages of what was not fine while the run went on."""

    def replay(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Let the judge see the rows that a resumed run recorded before; what they set off has been told."""
        for row in rows:
            self.warnings += [firing.message for firing in self._judge.observe(row) if firing.severity != "info"]

    @property
    def decision(self) -> Decision:
        """What the rules ask for, after all rows so far."""
        return self._judge.decision

    def row(self, row: Mapping[str, float]) -> None:
        """Write a metrics row, and flag the rules that it sets off."""
        self._writer.row(row)
        self._observers.row(row)
        if self.audience is not None:
            self.audience.row(row)
        for firing in self._judge.observe(row):
            self._writer.firing(firing)
            if firing.severity != "info":
                self.warnings.append(firing.message)
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
        """Write an event and tell of it. One that is critical ends the run, and is no warning but its cause."""
        self._writer.event(name, severity, message, step=step, evidence=evidence, advice=advice)
        if severity == "warning":
            self.warnings.append(message)
        self._tell(severity, message, advice)

    def heartbeat(self, step: int, epoch: float) -> None:
        """Note progress."""
        self._writer.heartbeat(step, epoch)
        for notice in self._observers.notices():
            self.observer_notice(notice, step)
        if self.audience is not None:
            self.audience.progress(step, epoch)

    def observer_notice(self, notice: Notice, step: int) -> None:
        """Say what went wrong with an observer."""
        self.event(notice.name, "warning", notice.message, step=step, evidence=notice.evidence, advice=notice.advice)

    def _tell(self, severity: Severity, message: str, advice: str) -> None:
        if self.audience is not None:
            self.audience.event(severity, message, advice)
