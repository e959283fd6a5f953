"""What a verdict tells of rollbacks: from which run, because of what, and what was changed. Plain data."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class PastRollback:
    """One rollback on the way to a run."""

    parent: str
    """Name of the run that was taken back."""
    scenario: str = ""
    """Id of the rule; empty when somebody asked for it by hand."""
    title: str = ""
    """What had happened, in words."""
    from_step: float | None = None
    """When it showed; None where that is not known."""
    to_step: int = 0
    """The checkpoint that training went on from; 0 when it began anew."""
    changes: tuple[str, ...] = ()
    """Recipe values that were changed, such as "aggregator.kind attention → mean"."""

    def describe(self) -> str:
        """In a line. What had happened stands for the rule, whose id most often says the same."""
        shown = "" if self.from_step is None else f" step {self.from_step:.0f}"
        back = f"to step {self.to_step}" if self.to_step else "to the start"
        cause = self.title or self.scenario
        because = f" because {cause}" if cause else ""
        return f"from {self.parent}{shown} {back}{because}: {', '.join(self.changes) or 'nothing was changed'}"
