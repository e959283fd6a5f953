"""How a session starts: anew, from its own newest checkpoint, or from the one that a rollback handed down.

And what becomes of the run directory when it fails.
"""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from jepa_core.engine.interruption import StoppedBeforeTraining
from jepa_core.errors import CheckpointError
from jepa_core.run_directory.layout import CHECKPOINTS, RECIPE
from jepa_core.run_directory.lineage import Lineage, read_lineage
from jepa_core.run_directory.resumable import refuse_rolled_back
from jepa_core.run_directory.stored_checkpoints import Checkpoint, newest_verified
from jepa_core.run_directory.writing import RunWriter


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
    def of(run: Path) -> Resumption:
        """From the newest checkpoint that verifies.

        Raises:
            RunDirectoryError: the run was rolled back, and goes on elsewhere.
            CheckpointError: no checkpoint can be used.
        """
        refuse_rolled_back(run)
        newest, lineage = newest_verified(run / CHECKPOINTS), read_lineage(run)
        if newest.checkpoint is None and not (lineage is not None and lineage.step == 0 and not newest.faults):
            found = "\n".join(f"  {fault}" for fault in newest.faults) or "  there is none"
            raise CheckpointError(
                f"{run} cannot be resumed: no checkpoint in it can be used.\n{found}\nStart a new run."
            )
        return Resumption(checkpoint=newest.checkpoint, damaged=newest.faults, lineage=lineage)


@contextmanager
def removed_unless_begun(path: Path) -> Iterator[None]:
    """Remove the run directory after a failure before its recipe was written: nobody could read or resume it."""
    try:
        yield
    except BaseException:
        if not (path / RECIPE).exists():
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
    except BaseException as error:
        last_line = traceback.format_exception_only(error)[-1].strip()
        writer.event("failed", "critical", last_line, evidence={"traceback": traceback.format_exc()})
        writer.status.update(state="failed", exit_code=getattr(error, "exit_code", 1))
        raise
