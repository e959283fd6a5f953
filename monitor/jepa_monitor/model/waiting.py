"""When waiting for a run is over, and with which exit code. Pure functions of what is known of the run."""

from __future__ import annotations

import attrs

from jepa_core.run_directory.status import ALIVE
from jepa_core.watch.verdict import EXIT_FINISHED, EXIT_MUST_FAILED, EXIT_STOPPED
from jepa_monitor.model.run_view import RunView
from jepa_monitor.until import Until

EXIT_FAILED = 1
_EXIT_CODES = {"finished": EXIT_FINISHED, "aborted": EXIT_STOPPED, "failed": EXIT_FAILED, "interrupted": 130}
"""Of a run that did not leave its own."""


@attrs.frozen(kw_only=True)
class WaitingIsOver:
    """Why, and what to exit with."""

    exit_code: int
    message: str


def waiting_is_over(view: RunView, until: Until) -> WaitingIsOver | None:
    """None while there is something to wait for; a run that was rolled back goes on in its child, see `child_of`."""
    if view.state in ALIVE:
        return _while_it_runs(view, until)
    if view.status is not None and view.state in _EXIT_CODES:
        return _ended(view)
    return WaitingIsOver(exit_code=EXIT_FAILED, message=_why_it_cannot_go_on(view))


def child_of(view: RunView) -> str:
    """Name of the run that continues this one after a rollback; empty when none does."""
    return view.status.child if view.status is not None and view.state == "rolled_back" else ""


def _while_it_runs(view: RunView, until: Until) -> WaitingIsOver | None:
    if until == "finished":
        return None
    for firing in view.firings:
        if firing.kind == "abort":
            return WaitingIsOver(exit_code=EXIT_STOPPED, message=f"abort rule {firing.name} fired: {firing.message}")
    if until == "abort":
        return None
    for outlook in view.outlooks:
        judgement = outlook.judgement
        if judgement.kind == "must" and judgement.state == "failed":
            message = f"must {judgement.id} can no longer hold: {judgement.when}"
            return WaitingIsOver(exit_code=EXIT_MUST_FAILED, message=message)
    return None


def _ended(view: RunView) -> WaitingIsOver:
    assert view.status is not None
    code = view.status.exit_code
    code = _EXIT_CODES[view.state] if code is None else code
    verdict = f", verdict {view.verdict.outcome}" if view.verdict is not None else ""
    return WaitingIsOver(exit_code=code, message=f"{view.name} {view.state}: exit code {code}{verdict}")


def _why_it_cannot_go_on(view: RunView) -> str:
    status = view.status
    if status is None:
        return f"{view.path} has no readable status.json: whether it runs cannot be told"
    if view.state == "rolled_back":
        return f"{view.name} was rolled back, and names no run that continues it"
    age = f"{view.heartbeat_age or 0.0:,.0f} s"
    if view.state == "stale":
        return f"{view.name} has given no sign of life for {age} (process {status.pid} on {status.host})"
    return f"{view.name} died without a word, {age} after its last sign of life (process {status.pid} is gone)"
