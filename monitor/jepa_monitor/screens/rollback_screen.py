"""The way back from a scenario that fired: looked at, confirmed, requested, and followed until the trainer answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import attrs
from textual.binding import Binding, BindingType
from textual.events import Key
from textual.message import Message

from jepa_core.visible_text import clean
from jepa_monitor.charts.look import Look
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.framed_lines import Content
from jepa_monitor.screens import rollback_state
from jepa_monitor.screens.rollback_content import COMMAND_LIMIT, rollback_content
from jepa_monitor.screens.rollback_state import (
    CONFIRMING_WORD,
    Findings,
    Planner,
    RollbackState,
    Standing,
    fired_scenarios,
    planned_by_command,
    why_no_request,
)
from jepa_monitor.screens.sheet import Sheet

POLL_SECONDS = 1.0
"""Between two looks for requests that are answered."""


class RollbackScreen(Sheet):
    """Shows the plan and, after a confirmation, writes the request. Files are touched in worker threads alone."""

    SHEET_TITLE: ClassVar[str] = "rollback"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "request", "request the rollback"),
        Binding("right,l", "choose(1)", "next scenario"),
        Binding("left,h", "choose(-1)", "scenario before"),
        Binding("c", "copy", "copy the command"),
    ]

    class Found(Message):
        """The run directory was looked at."""

        def __init__(self, findings: Findings) -> None:
            super().__init__()
            self.findings = findings

    class Answered(Message):
        """It was looked for answers to requests."""

        def __init__(self, standing: Standing) -> None:
            super().__init__()
            self.standing = standing

    def __init__(
        self,
        view: RunView,
        look: Look,
        *,
        planner: Planner = planned_by_command,
    ) -> None:
        """
        Args:
            planner: plans the way back.
        """
        super().__init__(view, look)
        self.state = RollbackState(fired=fired_scenarios(view.firings))
        self._planner = planner

    def on_mount(self) -> None:
        self._look_up()
        self.set_interval(POLL_SECONDS, self._look_for_answers)

    def show(self, view: RunView, look: Look) -> None:
        """Show another view of the run; the chosen scenario stays chosen."""
        chosen = self.state.scenario
        fired = fired_scenarios(view.firings)
        names = [firing.name for firing in fired]
        index = names.index(chosen.name) if chosen is not None and chosen.name in names else 0
        is_other = (fired[index].name if fired else None) != (chosen.name if chosen else None)
        self.state = attrs.evolve(self.state, fired=fired, chosen=index)
        super().show(view, look)
        if is_other:
            self._look_up()

    def content(self, width: int, height: int) -> Content:  # noqa: ARG002  # it scrolls
        return rollback_content(self.view, self.state, width, self.look)

    def action_choose(self, by: int) -> None:
        if len(self.state.fired) > 1 and self.state.stage != "writing":
            self.state = attrs.evolve(self.state, chosen=(self.state.chosen + by) % len(self.state.fired))
            self._look_up()

    def on_key(self, event: Key) -> None:
        """While the word is asked for, keys write it and mean nothing else."""
        if self.state.stage != "confirming":
            return
        if event.is_printable and event.character:
            self._change(typed=(self.state.typed + event.character)[: len(CONFIRMING_WORD)])
            event.stop()
        elif event.key == "backspace":
            self._change(typed=self.state.typed[:-1])
            event.stop()

    def action_request(self) -> None:
        """Ask for the confirming word; write the request once it stands there."""
        plan = self.state.plan
        if plan is None or why_no_request(self.view):
            return
        if self.state.stage == "ready":
            self._change(stage="confirming", typed="")
        elif self.state.is_confirmed:
            self._change(stage="writing", problem="")
            run = Path(self.view.path)
            before = self.state.standing
            self._in_thread(lambda: self.Found(rollback_state.request(run, plan, before)), "request")

    def action_leave(self) -> None:
        if self.state.stage == "confirming":
            self._change(stage="ready")
        else:
            super().action_leave()

    def action_copy(self) -> None:
        if self.state.plan is not None:
            # What is pasted into a shell must not hold more than is seen here.
            self.app.copy_to_clipboard(clean(self.state.plan.command, COMMAND_LIMIT))
            self.notify("The command is in the clipboard, where the terminal allows it.", markup=False)

    def on_rollback_screen_found(self, message: Found) -> None:
        found, scenario = message.findings, self.state.scenario
        if scenario is not None and scenario.name == found.scenario:
            self._change(stage="ready", plan=found.plan, problem=found.problem, standing=found.standing)

    def on_rollback_screen_answered(self, message: Answered) -> None:
        if message.standing != self.state.standing:
            self._change(standing=message.standing)

    def _look_up(self) -> None:
        scenario, before = self.state.scenario, self.state.standing
        self._change(stage="looking", plan=None, problem="")
        if scenario is not None:
            run, name, planner = Path(self.view.path), scenario.name, self._planner
            self._in_thread(lambda: self.Found(rollback_state.look(run, name, before, planner)), "look")

    def _look_for_answers(self) -> None:
        if self.state.stage != "writing" and self.state.standing.waiting:
            run, before = Path(self.view.path), self.state.standing
            self._in_thread(lambda: self.Answered(rollback_state.look_for_answers(run, before)), "answers")

    def _in_thread(self, work: Callable[[], Message], group: str) -> None:
        """What `work` finds comes back as a message."""
        self.run_worker(lambda: self.post_message(work()), thread=True, exclusive=True, group=group)

    def _change(self, **changes: Any) -> None:
        self.state = attrs.evolve(self.state, **changes)
        self.redraw()
