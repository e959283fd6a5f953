"""Where a leg's rows and events go: into its run directory, before the judge, onto the screen. As in the trainer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jepa_core.presentation.training_screen import TrainingScreen
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.findings import Finding, Severity
from jepa_core.watch.judge import Judge
from jepa_core.watch.run_findings import RunFindings, finding_of


class Recorder:
    """Writes one leg down and lets its rules fire; acts on none of them."""

    def __init__(self, writer: RunWriter, judge: Judge, screen: TrainingScreen) -> None:
        self.writer = writer
        self.judge = judge
        self.screen = screen
        self.findings = RunFindings()
        """What was not fine, for the verdict."""

    def recall(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Let the judge see the rows that the leg has from its parent; what they set off was told there."""
        for firing in (firing for row in rows for firing in self.judge.observe(row)):
            self.findings.add(finding_of(firing))

    def row(self, row: Mapping[str, float]) -> None:
        self.writer.row(row)
        self.screen.row(row)
        for firing in self.judge.observe(row):
            self.writer.firing(firing)
            self.findings.add(finding_of(firing))
            self.screen.event(firing.severity, firing.message, firing.advice)

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
        self.writer.event(name, severity, message, step=step, evidence=evidence, advice=advice)
        evidence = evidence or {}
        self.findings.add(
            Finding(name=name, severity=severity, message=message, step=step, evidence=evidence, advice=advice)
        )
        self.screen.event(severity, message, advice)

    def heartbeat(self, step: int, epoch: float) -> None:
        self.writer.heartbeat(step, epoch)
        self.screen.progress(step, epoch)
