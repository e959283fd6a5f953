"""What is at risk, in words: when a rule's metric will be at its limit if its trend goes on."""

from __future__ import annotations

from collections.abc import Iterable

from jepa_core.watch.judgement import Kind
from jepa_monitor.model.run_view import Outlook


def risk_remarks(outlooks: Iterable[Outlook]) -> dict[tuple[Kind, str], str]:
    """For the rules at risk, by kind and id."""
    return {
        (outlook.judgement.kind, outlook.judgement.id): f"at risk: at the limit near step {outlook.crossing_step:,.0f}"
        for outlook in outlooks
        if outlook.crossing_step is not None
    }
