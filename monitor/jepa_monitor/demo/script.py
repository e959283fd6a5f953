"""The demo, told once: the first leg, its rollback by request or when its time has come, and the leg that goes on.

The rollback is a trainer's: planned, carried out and marked by the same code.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from jepa_core.presentation.training_screen import TrainingScreen
from jepa_core.rollback.lineage import read_lineage
from jepa_core.rollback.requests import pending_requests
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_core.run_directory.environment import describe_environment
from jepa_core.run_directory.naming import create_run
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.settled import SCRIPTED
from jepa_core.run_directory.status import ALIVE
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.findings import Firing
from jepa_monitor.demo.figures import DATA_FINGERPRINT, NULLS
from jepa_monitor.demo.leg import Leg, Part, Recorder, judge_of
from jepa_monitor.demo.stage import RECIPE_NAME, Pace, Stage, changed_recipe, demo_recipe, resolved_recipe
from jepa_monitor.demo.story import NON_FINITE_AT, TOTAL_EPOCHS, TOTAL_STEPS, Plot

if TYPE_CHECKING:
    from jepa_core.rollback.orders import RollbackOrders

SECONDS = 30.0
SEED = 123

_WAIT_STEPS = 90
"""Steps' time that the first leg lies there after its end, until it is rolled back."""
_STEPS_TOLD = NON_FINITE_AT + _WAIT_STEPS + TOTAL_STEPS - 882
"""Steps of both legs with the wait between them, when nobody interferes."""
_INTERRUPTED = 130


def write_demo(
    folder: Path,
    *,
    seconds: float = SECONDS,
    seed: int = SEED,
    clock: Clock = SYSTEM_CLOCK,
    sleep: Callable[[float], None] = time.sleep,
    console: Console | None = None,
    announce: Callable[[Path], None] = lambda _path: None,
    command_line: tuple[str, ...] = ("jepa", "demo"),
) -> Path:
    """Write the demo's run directories into `folder`; the last of them, in which the story ends.

    Args:
        folder: made when it is not there.
        seconds: how long it takes, about; 0 for as fast as it can.
        seed: decides the noise; the same seed gives the same rows.
        clock: where times come from.
        sleep: how time is let pass; what it raises ends the demo, and its run is interrupted.
        console: shows what a training shows; nothing when not given.
        announce: is told of each run directory once it can be read.
        command_line: for environment.json.
    """
    stage = Stage(
        folder=folder,
        seed=seed,
        clock=clock,
        pace=Pace(seconds / _STEPS_TOLD, clock, sleep),
        console=console or Console(file=io.StringIO()),
        announce=announce,
        environment=describe_environment(
            command_line,
            **{SCRIPTED: True},
            device="a scripted run",
            precision="bf16",
            data="51,200 traces",
            data_fingerprint=DATA_FINGERPRINT,
            **NULLS.to_environment(),
        ),
    )
    part: Part | None = Part(path=create_run(folder, RECIPE_NAME, clock), recipe=demo_recipe())
    while part is not None:
        path = part.path
        part = _play(stage, part)
    return path


def _play(stage: Stage, part: Part) -> Part | None:
    """Write one leg; the leg that goes on where it was rolled back to."""
    with (
        RunWriter(
            part.path,
            clock=stage.clock,
            resume_at=part.start if part.parent else None,
            recipe=RECIPE_NAME,
            parent=part.parent,
            total_steps=TOTAL_STEPS,
            total_epochs=TOTAL_EPOCHS,
        ) as writer,
        _interruption_noted(writer),
    ):
        if not part.parent:
            writer.write_environment(stage.environment)
        writer.write_recipe(resolved_recipe(part.recipe))
        screen = TrainingScreen(
            stage.console,
            writer.console_log,
            epochs=round(TOTAL_EPOCHS),
            total_steps=TOTAL_STEPS,
            steps_done=part.start,
            null="extrapolation",
        )
        with screen:
            leg = Leg(stage, part, Recorder(writer, judge_of(part.recipe, stage.folder), screen))
            rollbacks = _Rollbacks(stage, leg)
            reason = _reason_to_roll_back(stage, leg, rollbacks)
            return None if reason is None else _goes_on(leg, rollbacks.orders, reason)


class _Rollbacks:
    """The orders of a leg, as a trainer takes them. What that needs is loaded when it is: torch takes seconds."""

    def __init__(self, stage: Stage, leg: Leg) -> None:
        self._stage = stage
        self._leg = leg

    @cached_property
    def orders(self) -> RollbackOrders:
        from jepa_core.registry import installed
        from jepa_core.rollback.orders import RollbackOrders

        leg = self._leg
        return RollbackOrders(leg.part.path, installed, leg.recorder.event, at_most=1, clock=self._stage.clock)

    def ordered(self, firing: Firing | None = None) -> str | None:
        """Why the leg is to be rolled back now: because of a firing, or because somebody asks; None while it is not."""
        if firing is None and not pending_requests(self._leg.part.path):
            return None
        return self.orders.taken_back(self._leg.step, firing, after_row=True)


def _reason_to_roll_back(stage: Stage, leg: Leg, rollbacks: _Rollbacks) -> str | None:
    """Tell the leg, until a rollback is asked for or its time has come; None when it ends without one."""
    leg.begin()
    for _step in leg.steps():
        reason = rollbacks.ordered()
        if reason is not None:
            return reason
    leg.conclude()
    if leg.part.plot.is_finite(leg.part.plot.ends_at):
        return None
    for _ in range(_WAIT_STEPS):
        stage.pace.pass_step()
        stage.pace.wait()
        reason = rollbacks.ordered()
        if reason is not None:
            return reason
    return rollbacks.ordered(leg.recorder.judge.decision.rollback)


def _goes_on(leg: Leg, orders: RollbackOrders, reason: str) -> Part:
    """The leg that goes on in the place of one that is rolled back: what was changed mends it."""
    child = orders.carry_out(leg.recorder.writer)
    lineage = read_lineage(child.path)
    changes = lineage.changes if lineage else ()
    leg.recorder.screen.event("warning", f"Rolled back: {reason}. {child.path} goes on in its place.", "")
    return Part(
        path=child.path,
        recipe=changed_recipe(
            leg.part.recipe, RunReader(child.path).recipe(), (change.partition(" ")[0] for change in changes)
        ),
        plot=Plot(mended_at=child.step),
        number=leg.part.number + 1,
        start=child.step,
        parent=leg.part.path.name,
    )


@contextmanager
def _interruption_noted(writer: RunWriter) -> Iterator[None]:
    """Say in the status that a leg was left before its end."""
    try:
        yield
    except BaseException:
        if writer.status.status.state in ALIVE:
            writer.status.update(state="interrupted", exit_code=_INTERRUPTED)
        raise
