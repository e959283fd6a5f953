"""What the rollback screen knows: which scenarios fired, the plan for the chosen one, and what became of a request.

The plan is `jepa rollback --dry-run`'s, so that what is shown is what a trainer would do. Reading and writing the run
directory is done here, by functions made for a worker thread; nothing here knows widgets.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import attrs

from jepa_core.errors import JepaError
from jepa_core.rollback.plan import RollbackPlan, rollback_command
from jepa_core.rollback.requests import (
    PendingRequest,
    RequestAnswer,
    RollbackRequest,
    answer_to,
    pending_requests,
    write_request,
)
from jepa_core.run_directory.recorded_files import kept_out_flags
from jepa_core.run_directory.status import ALIVE
from jepa_core.watch.findings import Firing
from jepa_monitor.model.run_view import RunView

Stage = Literal["looking", "ready", "confirming", "writing"]
Planner = Callable[[Path, str], RollbackPlan]
"""Plans the way back of a run directory for the scenario of this id; raises `JepaError`."""

CONFIRMING_WORD = "rollback"
"""What a person types to confirm: no key, nor any two, asks a run to go back."""

_PATIENCE_SECONDS = 300.0
"""Longest wait for a plan: all newer checkpoints may have to be read, from a slow disk."""


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
    typed: str = ""
    """Of the confirming word, while it is asked for."""
    standing: Standing = NOTHING_ASKED

    @property
    def scenario(self) -> Firing | None:
        return self.fired[self.chosen] if self.fired else None

    @property
    def is_confirmed(self) -> bool:
        """Whether the confirming word stands there whole."""
        return self.stage == "confirming" and self.typed == CONFIRMING_WORD


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


def planned_by_command(run: Path, scenario: str) -> RollbackPlan:
    """What `jepa rollback` would do, asked of it in a process of its own: torch and plugins do not come in here.

    Raises:
        JepaError: why there is no plan, in the command's words.
    """
    named = str(run) if run.is_absolute() else f"./{run}"
    command = [sys.executable, "-P", "-m", "jepa_core", "rollback", named]
    asked = [*command, f"--scenario={scenario}", "--dry-run", "--json", *kept_out_flags(run)]
    try:
        answer = subprocess.run(
            asked, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE_SECONDS, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise JepaError(f"The way back cannot be planned: {error}") from error
    if answer.returncode:
        raise JepaError(answer.stderr.decode(errors="replace").strip() or f"It ended with {answer.returncode}.")
    try:
        return RollbackPlan.from_json(answer.stdout)
    except ValueError as error:
        raise JepaError(f"The way back cannot be planned: {error}") from error


def look(run: Path, scenario: str, before: Standing, planner: Planner) -> Findings:
    """Plan the way back for a scenario; verifies checkpoints, so it may take a while."""
    plan, problem = None, ""
    try:
        plan = planner(run, scenario)
    except JepaError as error:
        problem = str(error)
        if "--plugin" in (command := rollback_command(run, scenario=scenario)):
            # Whose code that is, whoever types it knows.
            problem = f"{problem}\nIn a shell: {command}"
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
