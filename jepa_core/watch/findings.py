"""One shape for everything that audits, checks and scenarios find."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import attrs

from jepa_core.watch.rules import Severity as Severity  # noqa: PLC0414  # findings have it too


@attrs.frozen(kw_only=True)
class Finding:
    """What was found, where in the run, what shows it, and what to do."""

    name: str
    severity: Severity
    message: str
    step: float | None = None
    epoch: float | None = None
    evidence: Mapping[str, Any] = attrs.field(factory=dict)
    """The figures that show it; for a rule `when`, `rows` (the newest recorded values) and `baseline`."""
    advice: str = ""
    set: Mapping[str, Any] = attrs.field(factory=dict)
    """Recipe values that would mend it, as nested tables."""

    @property
    def title(self) -> str:
        """What happened, without the figures behind the colon."""
        return self.message.partition(": ")[0]


@attrs.frozen(kw_only=True)
class Firing(Finding):
    """A rule that has just fired, or a must or nice that can no longer hold."""

    kind: Literal["must", "nice", "abort", "rollback", "scenario", "early stop"]
    first_sign: float | None = None
    """Of an abort, a rollback or a scenario: the first step that what fired can be seen at, windows and waiting
    included; a checkpoint before it is healthy as far as this rule can tell."""
    use: str = ""
    """Another recipe that would mend it, whole."""


_ORDER: dict[Severity, int] = {"critical": 0, "warning": 1, "info": 2}


def by_severity(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The most severe first, those of one severity in the order given."""
    return tuple(sorted(findings, key=lambda finding: _ORDER[finding.severity]))
