"""When a run is taken back while it trains: a rollback rule has fired and may act, or somebody asks in `control/`.

An order is checked as a whole before training stops for it; one that cannot be carried out is refused in words, and
training goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import attrs

from jepa_core.engine.changed_recipe import ChangedRecipe, changed_recipe
from jepa_core.engine.rollback import Child, describe_rollback, make_child
from jepa_core.errors import JepaError
from jepa_core.registry import Registry
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_core.run_directory.lineage import read_lineage
from jepa_core.run_directory.requests import PendingRequest, RequestAnswer, close_request, pending_requests
from jepa_core.run_directory.rollback_plan import RollbackPlan, plan_rollback
from jepa_core.run_directory.status import HEARTBEAT_SECONDS
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.findings import Firing, Severity


class Tell(Protocol):
    """Where events go."""

    def __call__(
        self, name: str, severity: Severity, message: str, *, step: int, evidence: Mapping[str, Any] | None = None
    ) -> None: ...


@attrs.frozen(kw_only=True)
class _Order:
    plan: RollbackPlan
    changed: ChangedRecipe
    request: Path | None


class RollbackOrders:
    """Looks for orders at step boundaries, and keeps the one that is to be carried out."""

    def __init__(
        self,
        run: Path,
        registry: Callable[[], Registry],
        tell: Tell,
        *,
        at_most: int | None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """`at_most`: rollbacks that rules may make on the way to a run and on from it; None: rules only flag."""
        self._run = run
        self._registry = registry
        self._tell = tell
        self.settle: Callable[[], None] = lambda: None
        """Waits for a checkpoint that is being written; called before the run's checkpoints are looked at."""
        self._clock = clock
        lineage = read_lineage(run)
        self._generation = 0 if lineage is None else lineage.generation
        self._inherited = 0 if lineage is None else lineage.step
        self._at_most = at_most
        self._considered: Firing | None = None
        self._looked_at = float("-inf")
        self._closed: set[Path] = set()
        self._order: _Order | None = None

    def act_on(self, firing: Firing) -> bool:
        """Whether a rule's firing takes the run back by itself, as far as can be told before it is tried."""
        allowed = self._at_most is not None and self._generation < self._at_most
        return allowed and firing.kind == "rollback" and (firing.step or 0) > self._inherited

    def taken_back(self, step: int, firing: Firing | None, *, after_row: bool) -> str | None:
        """Why the run is to be taken back now; None while it is not.

        Args:
            step: steps done.
            firing: the last rollback rule that fired.
            after_row: whether a row was just written; requests are looked for then, and after a second.
        """
        if firing is not None and firing is not self._considered:
            self._considered = firing
            self._order = self._order_of_rule(step, firing)
        if self._order is None and (after_row or self._clock.monotonic() - self._looked_at >= HEARTBEAT_SECONDS):
            self._looked_at = self._clock.monotonic()
            self._order = self._order_of_request(step)
        if self._order is None:
            return None
        plan, changed = self._order.plan, self._order.changed
        return describe_rollback(plan, plan.checkpoint_step or 0, changed.changes)

    def carry_out(self, runs_dir: Path, writer: RunWriter) -> Child:
        """Make the child, mark the run, and answer whoever asked.

        Raises:
            JepaError: it cannot be made; the request has its answer.
        """
        order = self._order
        assert order is not None
        try:
            child = make_child(order.plan, self._run, self._registry(), runs_dir, writer=writer, changed=order.changed)
        except JepaError as error:
            if order.request is not None:
                close_request(order.request, RequestAnswer(accepted=False, message=str(error)))
            raise
        if order.request is not None:
            message = f"goes on as {child.path.name} from step {child.step}"
            close_request(order.request, RequestAnswer(accepted=True, message=message, child=child.path.name))
        for pending in pending_requests(self._run):
            message = f"the run was rolled back before: it goes on as {child.path.name}"
            close_request(pending.path, RequestAnswer(accepted=False, message=message, child=child.path.name))
        return child

    def _order_of_rule(self, step: int, firing: Firing) -> _Order | None:
        if self._at_most is None or (firing.step or 0) <= self._inherited:
            return None
        if self._generation >= self._at_most:
            message = f"{firing.name} is flagged only: watch.max_rollbacks = {self._at_most} is used up."
            self._tell("not rolled back", "warning", message, step=step)
            return None
        self.settle()
        try:
            return self._checked(plan_rollback(self._run, scenario=firing.name), None)
        except JepaError as error:
            message = f"{firing.name} is flagged only, it cannot be rolled back: {error}"
            self._tell("not rolled back", "warning", message, step=step)
            return None

    def _order_of_request(self, step: int) -> _Order | None:
        for pending in pending_requests(self._run):
            if pending.path in self._closed:
                continue
            try:
                return self._of_request(pending)
            except JepaError as error:
                self._refuse(pending, str(error), step)
        return None

    def _of_request(self, pending: PendingRequest) -> _Order:
        request = pending.request
        if request is None:
            raise JepaError(pending.refusal)
        self.settle()
        plan = plan_rollback(self._run, scenario=request.scenario, to=request.to, set=request.set, use=request.use)
        return self._checked(plan, pending.path)

    def _refuse(self, pending: PendingRequest, message: str, step: int) -> None:
        # Where the disk refuses the answer, the request stays: it must not be refused again each second.
        self._closed.add(pending.path)
        close_request(pending.path, RequestAnswer(accepted=False, message=message))
        told = f"The request {pending.path.name} was refused: {message}"
        self._tell("request refused", "warning", told, step=step)

    def _checked(self, plan: RollbackPlan, request: Path | None) -> _Order:
        return _Order(plan=plan, changed=changed_recipe(plan, self._run, self._registry()), request=request)
