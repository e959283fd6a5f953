"""What the rollback screen knows: which scenarios fired, the plan for the chosen one, and what became of a request.

Reading and writing the run directory is done here, by functions made for a worker thread; nothing here knows widgets.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import attrs

from jepa_core.errors import JepaError
from jepa_core.run_directory.requests import (
    PendingRequest,
    RequestAnswer,
    RollbackRequest,
    answer_to,
    pending_requests,
    write_request,
)
from jepa_core.run_directory.rollback_plan import RollbackPlan, plan_rollback
from jepa_core.run_directory.status import ALIVE
from jepa_core.watch.findings import Firing
from jepa_monitor.model.run_view import RunView

Stage = Literal["looking", "ready", "confirming", "writing"]


@attrs.frozen(kw_only=True)
class Standing:
    """What became of requests."""

    waiting: tuple[PendingRequest, ...] = ()
    """Not answered yet."""
    answers: tuple[RequestAnswer, ...] = ()
    """To the requests that were seen waiting while the screen is open."""
    followed: tuple[Path, ...] = ()
    """The requests that were seen waiting."""


NOTHING_ASKED = Standing()


@attrs.frozen(kw_only=True)
class RollbackState:
    """One moment of the screen."""

    fired: tuple[Firing, ...]
    """What can be gone back behind, rollback scenarios first, the newest of each first."""
    chosen: int = 0
    stage: Stage = "looking"
    plan: RollbackPlan | None = None
    """For the chosen one."""
    problem: str = ""
    """Why there is no plan, or why the request could not be written."""
    standing: Standing = NOTHING_ASKED

    @property
    def scenario(self) -> Firing | None:
        return self.fired[self.chosen] if self.fired else None


@attrs.frozen(kw_only=True)
class Findings:
    """What was found in the run directory."""

    scenario: str
    plan: RollbackPlan | None
    problem: str
    standing: Standing


def fired_scenarios(firings: Sequence[Firing]) -> tuple[Firing, ...]:
    """Firings with a way back: rollback scenarios, and aborts and pathologies beside them; each rule once."""
    newest = {firing.name: firing for firing in firings if firing.kind in ("rollback", "abort", "scenario")}
    remedied = [firing for firing in reversed(newest.values()) if firing.kind != "scenario" or firing.set]
    return tuple(sorted(remedied, key=lambda firing: firing.kind != "rollback"))


def why_no_request(view: RunView) -> str:
    """Why nobody would read a request; empty when the run's trainer does."""
    if view.replay_position:
        return "This is a replay."
    if view.state == "stale":
        return "The run gives no sign of life: nobody may read a request."
    return "" if view.state in ALIVE else f"The run is {view.state.replace('_', ' ')}: nobody would read a request."


def look(run: Path, scenario: str, before: Standing) -> Findings:
    """Plan the way back for a scenario; verifies checkpoints, so it may take a while."""
    plan, problem = None, ""
    try:
        plan = plan_rollback(run, scenario=scenario)
    except JepaError as error:
        problem = str(error)
    except Exception as error:  # a run directory may hold anything, and the dashboard shall not fall with the plan
        problem = f"The way back cannot be planned: {type(error).__name__}: {error}"
    return Findings(scenario=scenario, plan=plan, problem=problem, standing=look_for_answers(run, before))


def look_for_answers(run: Path, before: Standing) -> Standing:
    """Which requests wait, and what was said to those that waited before."""
    try:
        waiting = pending_requests(run)
    except ValueError:
        return before  # a path that no file can have
    followed = tuple(dict.fromkeys((*before.followed, *(pending.path for pending in waiting))))
    answers = (answer_to(path) for path in followed)
    return Standing(waiting=waiting, answers=tuple(answer for answer in answers if answer), followed=followed)


def request(run: Path, plan: RollbackPlan, before: Standing) -> Findings:
    """Ask the run's trainer to go back, and see how that stands."""
    problem = ""
    try:
        write_request(run, RollbackRequest(scenario=plan.scenario))
    except (JepaError, OSError, ValueError) as error:
        problem = str(error)
    return Findings(scenario=plan.scenario, plan=plan, problem=problem, standing=look_for_answers(run, before))
