"""How a session starts: anew, from its own newest checkpoint, or from the one that a rollback handed down.

And what becomes of the run directory when it fails.
"""

from __future__ import annotations

import os
import re
import shutil
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs

from jepa_core.contracts import Crew
from jepa_core.engine.calendar import Calendar
from jepa_core.engine.component_faults import ComponentError
from jepa_core.engine.interruption import StoppedBeforeTraining
from jepa_core.engine.memory_faults import OutOfMemory
from jepa_core.engine.parallel import RankLostError
from jepa_core.engine.run_state import why_not
from jepa_core.errors import CheckpointError, RunDirectoryError
from jepa_core.recipes.tables import Recipe
from jepa_core.rollback.lineage import Lineage, read_lineage
from jepa_core.rollback.successor import refuse_rolled_back
from jepa_core.run_directory.layout import CHECKPOINTS, RECIPE
from jepa_core.run_directory.lock import DirectoryLostError
from jepa_core.run_directory.naming import create_run, typed_name
from jepa_core.run_directory.recorded_files import plugin_flags
from jepa_core.run_directory.status import ALIVE
from jepa_core.run_directory.stored_checkpoints import Checkpoint, newest_verified
from jepa_core.run_directory.writing import RunWriter
from jepa_core.shell_words import typed_path

_MOST_STEPS = 10_000_000
"""Steps of which it is looked which rows are missing."""
_MOST_GAPS = 5
"""Gaps in the rows that are told one by one."""

_ANOTHER_MODEL = re.compile(r"the checkpoint's (?:online|target|losses) does not fit the recipe: ")


@attrs.frozen(kw_only=True)
class Resumption:
    """Where a run directory's training goes on from."""

    checkpoint: Checkpoint | None
    """None: a rollback left nothing to go on from, so training begins anew."""
    damaged: tuple[str, ...]
    """Newer checkpoints that cannot be used, and why."""
    lineage: Lineage | None
    """Where the run comes from, when a rollback made it."""

    @property
    def step(self) -> int:
        """Steps that lie behind it."""
        return 0 if self.checkpoint is None else self.checkpoint.step

    @property
    def inherits(self) -> bool:
        """Whether it goes on from what the parent's recipe wrote, so that parts of it may not fit."""
        return self.lineage is not None and self.step <= self.lineage.step

    @staticmethod
    def of(run: Path, recipe: Recipe) -> Resumption:
        """From the newest checkpoint that verifies and fits the run's recipe.

        Raises:
            CheckpointError: no checkpoint can be used.
        """
        lineage = read_lineage(run)
        inherited = -1 if lineage is None else lineage.step
        newest = newest_verified(
            run / CHECKPOINTS, refused=lambda found: why_not(found, recipe, inherits=found.step <= inherited)
        )
        if newest.checkpoint is None and not (lineage is not None and lineage.step == 0 and not newest.faults):
            found = "\n".join(f"  {fault}" for fault in newest.faults) or "  there is none"
            anew = f"jepa run {typed_path(run / RECIPE)}{plugin_flags(run)}"
            edited = _edited(run) if any(map(_ANOTHER_MODEL.search, newest.faults)) else ""
            raise CheckpointError(
                f"{run} cannot be resumed: no checkpoint in it can be used.\n{found}\n{edited}Start a new run: {anew}"
            )
        return Resumption(checkpoint=newest.checkpoint, damaged=newest.faults, lineage=lineage)


def _edited(run: Path) -> str:
    """What to do where checkpoints hold another model than the run's recipe has."""
    return (
        f"{run / RECIPE} is not the recipe that they were made with, or a component in it has changed since. Put it "
        f"back as it was, and resume; with a change go on from there: jepa rollback {typed_name(run)} --to STEP "
        f"--set KEY=VALUE{plugin_flags(run)}\n"
    )


class NotBegunError(RunDirectoryError):
    """Why no rank of several has begun: all of them say the same, and none has crashed."""


def led_off(crew: Crew, resume: Path | None, runs_dir: Path, recipe: Recipe) -> tuple[Path, Resumption | None]:
    """The run directory, and where its training goes on from where it is resumed; the other ranks are told.

    Raises:
        RunDirectoryError: none can be made; the run goes on elsewhere, or from no checkpoint.
    """
    try:
        if resume:
            refuse_rolled_back(resume)
        resumption = Resumption.of(resume, recipe) if resume else None
        path = resume or create_run(runs_dir, recipe.name)
    except RunDirectoryError as error:
        if crew.size == 1:
            raise
        # The others wait to be told, and would take this rank for lost.
        crew.told({"refused": str(error)})
        raise NotBegunError(str(error)) from error
    crew.told({"run": str(path), "resumes": resume is not None})
    return path, resumption


def awaited_run(crew: Crew) -> tuple[Path, bool]:
    """What rank 0 has led off: the run directory, and whether it is resumed.

    Raises:
        NotBegunError: it could not.
    """
    told = crew.told()
    if "refused" in told:
        raise NotBegunError(told["refused"])
    return Path(told["run"]), told["resumes"]


@attrs.frozen(kw_only=True)
class LostRows:
    """Rows that were there when a checkpoint was written."""

    count: int
    noted: int
    """Rows that the checkpoint stands on."""
    step: int
    """Of the checkpoint."""
    gaps: tuple[tuple[int, int], ...]
    """The steps of the rows around them, 0 and `step` where there is none; empty where they cannot be told."""

    @staticmethod
    def of(noted: int, steps: Sequence[float], step: int, calendar: Calendar) -> LostRows | None:
        """What is missing of `noted` rows up to a checkpoint; None where nothing is.

        Args:
            noted: rows up to the checkpoint, by its own word.
            steps: of the rows that are there.
            step: the checkpoint's.
            calendar: when rows were due.
        """
        count = noted - len(steps)
        if count <= 0:
            return None
        there, missing, gaps, before = {int(each) for each in steps}, 0, list[tuple[int, int]](), 0
        is_open = False
        # Of more steps than any run takes it is not told where: looking would take for ever.
        for due in range(1, step + 1 if step <= _MOST_STEPS else 1):
            if due in there:
                if is_open:
                    gaps.append((before, due))
                before, is_open = due, False
            elif calendar.row_due(due) or calendar.diagnosis_due(due) or calendar.validation_due(due):
                missing, is_open = missing + 1, True
        if is_open:
            gaps.append((before, step))
        # Rows that a rollback handed down may have been due at other steps.
        return LostRows(count=count, noted=noted, step=step, gaps=tuple(gaps) if missing == count else ())

    def describe(self) -> str:
        """As a sentence."""
        told = [f"{before} and {after}" for before, after in self.gaps[:_MOST_GAPS]]
        more = f", and {len(self.gaps) - _MOST_GAPS} more gaps" if len(self.gaps) > _MOST_GAPS else ""
        where = f", between steps {'; '.join(told)}{more}" if told else ""
        are = "is" if self.count == 1 else "are"
        return f"{self.count} of {self.noted} rows up to step {self.step} {are} missing{where}."


@contextmanager
def removed_unless_begun(path: Path, *, resumes: bool) -> Iterator[Callable[[], None]]:
    """Remove the directory of a new run after a failure before what it gives has been called: there is nothing to
    resume. What has taken its place meanwhile is left alone, and so is one that what is raised sends its reader to:
    with the traceback of a component that failed, or what `jepa autopsy` tells."""
    before, has_begun = path.stat(), resumes

    def begin() -> None:
        nonlocal has_begun
        has_begun = True

    try:
        yield begin
    except (ComponentError, OutOfMemory, RankLostError):
        raise
    except BaseException:
        if not has_begun and path.exists() and os.path.samestat(before, path.stat()):
            shutil.rmtree(path, ignore_errors=True)
        raise


@contextmanager
def failure_recorded(writer: RunWriter) -> Iterator[None]:
    """Say in events and status what ended the run, and let it pass."""
    try:
        yield
    except StoppedBeforeTraining as stop:
        writer.status.update(state="interrupted", exit_code=stop.code)
        raise
    except DirectoryLostError as error:
        if error.loss.path is not None:
            writer.event("failed", "critical", str(error))
            writer.status.update(state="failed", exit_code=error.exit_code)
        raise
    except BaseException as error:
        found: Mapping[str, Any] = getattr(error, "evidence", {})
        # What has evidence says how to go on in further lines, for whoever is there.
        told = str(error).partition("\n")[0] if found else traceback.format_exception_only(error)[-1].strip()
        try:
            writer.event("failed", "critical", told, evidence={"traceback": traceback.format_exc(), **found})
        finally:
            # Also where events cannot be written, and that may be what ended the run.
            before = writer.status_before
            with suppress(RunDirectoryError):
                if writer.status.status.state == "starting" and before is not None and before.state not in ALIVE:
                    # A resume that has not begun, for want of the data say, has ended nothing.
                    kept = ("state", "exit_code", "step", "epoch", "total_steps", "parent", "child")
                    writer.status.update(**{name: getattr(before, name) for name in kept})
                else:
                    writer.status.update(state="failed", exit_code=getattr(error, "exit_code", 1))
        raise
