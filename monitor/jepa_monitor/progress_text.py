"""How far a run is and how long it takes still, in words; for screens, and for commands that have none."""

from __future__ import annotations

import math

from jepa_core.figures import figure_text
from jepa_core.presentation.quantity import duration_text
from jepa_monitor.model.run_view import RunView


def seconds_left(view: RunView) -> float | None:
    """How long the run takes still, at its present pace; None unless it runs and says its length."""
    pace = view.finals.get("time.step")
    if view.state != "running" or view.status is None or not view.status.total_steps or pace is None:
        return None
    left = (view.status.total_steps - view.step) * pace
    return left if left >= 0 and math.isfinite(left) else None


def whole_epoch(epoch: float, total: float) -> str:
    """An epoch under way counts: 16.3 of 30 is "17/30"."""
    if not total:
        return figure_text(epoch)
    return f"{min(math.floor(epoch) + 1, math.ceil(total))}/{figure_text(total)}"


def age_text(seconds: float) -> str:
    """How long ago, or how long still."""
    if seconds < 1:
        return "0 s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return duration_text(seconds)
    hours, rest = divmod(seconds, 3600)
    return f"{hours:,.0f} h {rest // 60:.0f} min"
