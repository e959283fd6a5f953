"""What was found in a run that was not fine, for its verdict: of the audit, the rules, and what the trainer met."""

from __future__ import annotations

from typing import Any

import attrs

from jepa_core.recorded_numbers import encode
from jepa_core.watch.findings import Finding, Firing, by_severity


class RunFindings:
    """Warnings and worse, by their events' names. One that comes again is counted, so that a long run's are few."""

    def __init__(self) -> None:
        self._first: dict[str, Finding] = {}
        self._times: dict[str, int] = {}

    def add(self, finding: Finding) -> None:
        """Take note of it, unless it is only information."""
        if finding.severity == "info":
            return
        self._first.setdefault(finding.name, finding)
        self._times[finding.name] = self._times.get(finding.name, 0) + 1

    def all(self) -> tuple[Finding, ...]:
        """The most severe first, then in the order in which they came; `times` in the evidence of those that came
        again."""
        return by_severity(self._counted(finding) for finding in self._first.values())

    def _counted(self, finding: Finding) -> Finding:
        evidence: dict[str, Any] = encode(finding.evidence)
        times = self._times[finding.name]
        return attrs.evolve(finding, evidence={**evidence, "times": times} if times > 1 else evidence)


def finding_of(firing: Firing) -> Finding:
    """A firing under the name of its event, such as "scenario codebook_collapse"."""
    return Finding(
        name=f"{firing.kind} {firing.name}",
        severity=firing.severity,
        message=firing.message,
        step=firing.step,
        epoch=firing.epoch,
        evidence={**firing.evidence, "first_sign": firing.first_sign, "use": firing.use},
        advice=firing.advice,
        set=firing.set,
    )
