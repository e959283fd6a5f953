"""When a run is rolled back while it trains: a rollback rule has fired and may act, or somebody asks in `control/`.

An order is checked as a whole before training stops for it; one that cannot be carried out is refused in words, and
training goes on. What a rule that only flags would change is told from here, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import attrs

from jepa_core.errors import JepaError, RecipeError, RunDirectoryError
from jepa_core.recipes.difference import Change
from jepa_core.recorded_numbers import decode_number
from jepa_core.registry import Registry
from jepa_core.rollback.change import changed_recipe, refuse_other_data
from jepa_core.rollback.child import Child, make_child
from jepa_core.rollback.lineage import read_lineage
from jepa_core.rollback.plan import change_in_words, flags_of, rollback_command
from jepa_core.rollback.planning import Rollback, Trial, Try, on_one_line, plan_rollback
from jepa_core.rollback.requests import PendingRequest, RequestAnswer, answer_late, close_request, pending_requests
from jepa_core.rollback.ways_back import after_non_finite, healthy
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_core.run_directory.layout import RECIPE
from jepa_core.run_directory.naming import typed_name
from jepa_core.run_directory.recorded_files import plugin_flags
from jepa_core.run_directory.status import HEARTBEAT_SECONDS
from jepa_core.run_directory.writing import RunWriter
from jepa_core.shell_words import typed_flag, typed_path
from jepa_core.watch.decision import Decision
from jepa_core.watch.findings import Finding, Firing, Severity


class Tell(Protocol):
    """Where events go."""

    def __call__(
        self, name: str, severity: Severity, message: str, *, step: int, evidence: Mapping[str, Any] | None = None
    ) -> None: ...


@attrs.frozen
class RollbackFlag:
    """What is said with a rule that fired and names a change."""

    changes: tuple[str, ...]
    """Each in a few words; empty when they cannot be made, or are in the recipe already."""
    command: str
    """For a change of one's own where the rule's cannot be made; empty where none can."""
    fault: str = ""
    """Why the rule's own change cannot be made; empty where it can."""

    def describe(self) -> str:
        """In a line: what to type, and what it would change or why the rule's change is not in it."""
        why = f"the rule's own change cannot be made: {self.fault}" if self.fault else ", ".join(self.changes)
        return f"{self.command}  ({why})" if self.command and why else self.command or why


@attrs.frozen(kw_only=True)
class _Order:
    rollback: Rollback
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
        try_child: Try = lambda _checkpoint, _recipe: Trial(),
    ) -> None:
        """`at_most`: rollbacks that rules may make on the way to a run and on from it; None: rules only flag.
        `try_child`: as of `plan_rollback`."""
        self._run = run
        self._registry = registry
        self._tell = tell
        self.settle: Callable[[], None] = lambda: None
        """Waits for a checkpoint that is being written; called before the run's checkpoints are looked at."""
        self._clock = clock
        self._try_child = try_child
        self._plan = partial(plan_rollback, run, try_child=try_child)
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
        return self._order.rollback.plan.describe()

    def flag(self, firing: Firing) -> RollbackFlag | None:
        """What a firing suggests to change, and how to follow it; None when it suggests nothing."""
        if not firing.set and not firing.use:
            return None
        command = rollback_command(self._run, scenario=firing.name)
        try:
            changes = self._changes(firing)
        except JepaError as error:
            # Without a recipe of the run there is no change of it at all.
            another = "" if isinstance(error, RunDirectoryError) else f"{command} --set KEY=VALUE"
            return RollbackFlag((), another, fault=on_one_line(error))
        if not changes and not firing.use:
            # The change is in the recipe already: another has to be given.
            command = f"{command} --set KEY=VALUE"
        return RollbackFlag(tuple(map(change_in_words, changes)), command)

    def remedy(self, finding: Finding) -> str:
        """The rollback that makes the change of a rule's finding, with the change behind it, or the one with another
        change where that cannot be made; of an audit's finding a new run with its change, and why. Empty where it has
        none."""
        kind, _, rule = finding.name.partition(" ")
        if kind == "audit":
            flags = " ".join(typed_flag("--set", flag) for flag in flags_of(finding.set))
            command = f"jepa run {typed_path(self._run / RECIPE)} {flags}{plugin_flags(self._run)}"
            return f"{command}  # {finding.message.removesuffix('.')}" if flags else ""
        firing = Firing(
            name=rule,
            kind="scenario",
            severity=finding.severity,
            message=finding.message,
            set=finding.set,
            use=str(finding.evidence.get("use") or ""),
            first_sign=decode_number(finding.evidence.get("first_sign")),
        )
        flag = self.flag(firing) if rule else None
        if flag is None or not flag.command:
            return ""
        if flag.fault:
            return f"{flag.command}  # the rule's own change cannot be made: {flag.fault}"
        return f"{flag.command}  # {', '.join(flag.changes)}" if flag.changes else ""

    def _changes(self, firing: Firing) -> tuple[Change, ...]:
        """What a firing's change would do to the recipe.

        Raises:
            JepaError: there can be no such recipe, or no model of it on the run's data.
        """
        refuse_other_data(firing.set)
        changed = changed_recipe(self._run, self._registry(), set=firing.set, use=firing.use)
        trial = self._try_child(None, changed.loaded.recipe)
        if trial.fault:
            raise RecipeError(trial.fault)
        return changed.changes

    def next_command(self, decision: Decision, ending: str) -> str:
        """What to type for a rollback after the end, with what it does behind it; empty where nothing asks for one: for
        a rule that fired in this run, else for what stopped it."""
        fired = decision.rollback
        asking = fired if fired is not None and (fired.step or 0) > self._inherited else None
        firing = asking or (decision.abort if ending == "abort" else None)
        if firing is None and ending != "non-finite":
            return ""
        best = None if firing else next(iter(after_non_finite(self._run).items()), None)
        if best is not None:
            return "  # ".join(best)
        flag = self.flag(firing) if firing else None
        if flag is not None and flag.changes:
            return f"{flag.command}  # {', '.join(flag.changes)}"
        if flag is not None and flag.fault:
            return flag.command and f"{flag.command}  # the rule's own change cannot be made: {flag.fault}"
        name = firing.name if firing else ending
        command = flag.command if flag else f"{rollback_command(self._run, scenario=name)} --set KEY=VALUE"
        begins_anew = healthy(self._run, firing.first_sign if firing else None)[0] is None
        anew, onward = "begins anew: there is no checkpoint from before it", "goes on from the last healthy checkpoint"
        return f"{command}  # {anew if begins_anew else onward}"

    def carry_out(self, writer: RunWriter) -> Child:
        """Make the child, mark the run, and answer whoever asked.

        Raises:
            JepaError: it cannot be made; the request has its answer.
        """
        order = self._order
        assert order is not None
        try:
            child = make_child(order.rollback, writer=writer, clock=self._clock)
        except JepaError as error:
            if order.request is not None:
                close_request(order.request, RequestAnswer(accepted=False, message=str(error)))
            raise
        if order.request is not None:
            message = f"goes on as {child.path.name} from step {child.step}"
            close_request(order.request, RequestAnswer(accepted=True, message=message, child=child.path.name))
        answer_late(self._run, child.path.name)
        return child

    def refuse_waiting(self, step: int, why: str) -> None:
        """Answer those who have asked too late, so that they do not wait for ever."""
        command = f"jepa rollback {typed_name(self._run)} --to STEP --set KEY=VALUE{plugin_flags(self._run)}"
        for pending in pending_requests(self._run):
            if pending.path not in self._closed:
                self._refuse(pending, f"{why}. To go back from there: {command}", step)

    def _order_of_rule(self, step: int, firing: Firing) -> _Order | None:
        if self._at_most is None or (firing.step or 0) <= self._inherited:
            return None
        if self._generation >= self._at_most:
            message = f"{firing.name} is flagged only: watch.max_rollbacks = {self._at_most} is used up."
            self._tell("not rolled back", "warning", message, step=step)
            return None
        self.settle()
        try:
            return _Order(rollback=self._plan(self._registry(), scenario=firing.name), request=None)
        except JepaError as error:
            why = " ".join(str(error).splitlines())
            message = f"{firing.name} is flagged only, it cannot be rolled back: {why}"
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
        rollback = self._plan(
            self._registry(), scenario=request.scenario, to=request.to, set=request.set, use=request.use
        )
        return _Order(rollback=rollback, request=pending.path)

    def _refuse(self, pending: PendingRequest, message: str, step: int) -> None:
        # Where the disk refuses the answer, the request stays: it must not be refused again each second.
        self._closed.add(pending.path)
        close_request(pending.path, RequestAnswer(accepted=False, message=message))
        told = f"The request {pending.path.name} was refused: {message}"
        self._tell("request refused", "warning", told, step=step)
