"""An ablation's folder: ablation.json, the resolved recipe of each cell, the runs' directories and what they printed.

    runs/ablate-quickstart-1a2b3c4d/
      ablation.json        the plan, and for each cell and seed its run and how its process ended
      cells/c1-mean.toml   the cell's resolved recipe: what its runs are trained from
      c1-mean-s0-20261123-101500/   a run directory like any other
      logs/c1-mean-s0.txt  what the run's process printed

Which state a run is in is told by its directory, by its process's outcome where it never made one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import attrs
import orjson

from jepa_core.ablation.grid import Cell
from jepa_core.ablation.plan import (
    AblationPlan,
    Outcome,
    PlannedRun,
    outcomes_from_json,
    plan_from_json,
    plan_to_json,
    with_seeds_of,
)
from jepa_core.errors import RunDirectoryError
from jepa_core.plain_files import read_plain
from jepa_core.recorded_numbers import encode
from jepa_core.run_directory.folded import ABLATION
from jepa_core.run_directory.layout import CHECKPOINTS
from jepa_core.run_directory.lock import RunLock
from jepa_core.run_directory.naming import runs_in
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.replacing import replace_file
from jepa_core.run_directory.status import ShownState

PLAN = ABLATION
CELLS = "cells"
LOGS = "logs"

_STARTED = re.compile(r"-\d{8}-\d{6}(-\d+)?$")
_MAX_PLAN = 16 << 20

RunState = Literal["waiting", "running", "interrupted", "finished", "aborted", "failed"]

_STATES: dict[ShownState, RunState] = {
    "starting": "running",
    "running": "running",
    "finished": "finished",
    "aborted": "aborted",
    "rolled_back": "aborted",
    "failed": "failed",
    "interrupted": "interrupted",
    "stale": "interrupted",
    "crashed": "interrupted",
    "unknown": "interrupted",
}


@attrs.frozen(kw_only=True)
class FoundRun:
    """A planned run as its folder shows it."""

    planned: PlannedRun
    state: RunState
    path: Path | None = None
    """None before it has a directory."""
    why: str = ""
    """Why it was aborted or failed."""

    @property
    def can_resume(self) -> bool:
        """Whether it was stopped on its way and has a checkpoint to go on from."""
        checkpoints = self.path / CHECKPOINTS if self.path else None
        return self.state == "interrupted" and checkpoints is not None and any(checkpoints.glob("step-*"))


class AblationFolder:
    """The folder of one ablation."""

    def __init__(self, path: Path, plan: AblationPlan, outcomes: Mapping[str, Outcome]) -> None:
        self.path = path
        self.plan = plan
        """What is to be done now; the recorded plan may have more seeds."""
        self._outcomes = dict(outcomes)

    @classmethod
    def of(cls, runs_dir: Path, plan: AblationPlan) -> AblationFolder:
        """The folder of `plan` below `runs_dir`, which need not exist yet.

        Raises:
            RunDirectoryError: what is there cannot be read.
        """
        path = runs_dir / f"ablate-{plan.name}-{plan.fingerprint[:8]}"
        recorded = _read(path) if (path / PLAN).exists() else {}
        return cls(path, plan, outcomes_from_json(recorded))

    @classmethod
    def recorded(cls, path: Path) -> AblationFolder:
        """A folder with all that was ever planned in it.

        Raises:
            RunDirectoryError: it is no ablation's, or cannot be read.
        """
        if not (path / PLAN).is_file():
            raise RunDirectoryError(f"{path} is no ablation's folder: it has no {PLAN}.")
        recorded = _read(path)
        return cls(path, _plan(path, recorded), outcomes_from_json(recorded))

    def lock(self) -> RunLock:
        """Make the folder, and keep other processes from it until the lock is released.

        Raises:
            RunDirectoryError: another process has it, or it cannot be written.
        """
        try:
            for name in (CELLS, LOGS):
                (self.path / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunDirectoryError(
                f"{self.path} cannot be written: {error.strerror or error}.\nChoose another place with --runs-dir."
            ) from error
        lock = RunLock(self.path)
        if (self.path / PLAN).exists():
            # Whoever had the lock before may have recorded more since.
            self._outcomes = outcomes_from_json(_read(self.path))
        return lock

    def record(self, recipes: Mapping[Cell, str]) -> None:
        """Write the cells' recipes and the plan; the lock is held.

        Raises:
            RunDirectoryError: they cannot be written.
        """
        for cell, toml in recipes.items():
            _replace(self.recipe_file(cell), toml.encode())
        self._write()

    def begin(self, planned: PlannedRun) -> None:
        """Forget how an earlier attempt ended: a new one is about to be made.

        Raises:
            RunDirectoryError: it cannot be written.
        """
        if self._outcomes.pop(planned.name, None) is not None:
            self._write()

    def note(self, planned: PlannedRun, outcome: Outcome) -> None:
        """Record how an attempt ended.

        Raises:
            RunDirectoryError: it cannot be written.
        """
        self._outcomes[planned.name] = outcome
        self._write()

    def recipe_file(self, cell: Cell) -> Path:
        """The cell's resolved recipe."""
        return self.path / CELLS / f"{cell.name}.toml"

    def log_file(self, planned: PlannedRun) -> Path:
        """What the run's processes print."""
        return self.path / LOGS / f"{planned.name}.txt"

    def runs(self) -> tuple[FoundRun, ...]:
        """Every planned run as it stands, in the order of the plan."""
        newest = self._newest()
        return tuple(self._found(planned, newest.get(planned.name)) for planned in self.plan.runs)

    def run(self, planned: PlannedRun) -> FoundRun:
        """One of them."""
        return self._found(planned, self._newest().get(planned.name))

    def _newest(self) -> dict[str, Path]:
        """The newest run directory of each name."""
        return {_STARTED.sub("", path.name): path for path in runs_in(self.path)}

    def _found(self, planned: PlannedRun, path: Path | None) -> FoundRun:
        outcome = self._outcomes.get(planned.name)
        told = outcome if outcome is not None and outcome.failed else None
        if path is None:
            # A run that fails before it trains leaves no directory.
            return FoundRun(planned=planned, state="failed" if told else "waiting", why=told.message if told else "")
        reader = RunReader(path)
        state = _STATES[reader.state()]
        if state == "interrupted" and told:
            return FoundRun(planned=planned, state="failed", path=path, why=told.message)
        return FoundRun(planned=planned, state=state, path=path, why=_why(reader, state))

    def _write(self) -> None:
        plan = self.plan
        if (self.path / PLAN).exists():
            plan = with_seeds_of(plan, _plan(self.path, _read(self.path)))
        found = {name: path.name for name, path in self._newest().items()}
        content = orjson.dumps(encode(plan_to_json(plan, self._outcomes, found)), option=orjson.OPT_INDENT_2)
        _replace(self.path / PLAN, content)


def _why(reader: RunReader, state: RunState) -> str:
    """The event that ended it, in words."""
    if state not in ("aborted", "failed"):
        return ""
    ends = [event.message for event in reader.events() if event.name in ("aborted", "failed", "rolled_back")]
    return ends[-1] if ends else ""


def _plan(path: Path, recorded: Mapping[str, Any]) -> AblationPlan:
    try:
        return plan_from_json(recorded)
    except ValueError as error:
        raise RunDirectoryError(f"{path / PLAN} is damaged: {error}.") from error


def _replace(path: Path, content: bytes) -> None:
    try:
        replace_file(path, content)
    except OSError as error:
        raise RunDirectoryError(f"{path} ({len(content)} bytes) cannot be written: {error.strerror}.") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        recorded = orjson.loads(read_plain(path / PLAN, _MAX_PLAN))
    except OSError as error:
        raise RunDirectoryError(f"{path / PLAN} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise RunDirectoryError(f"{path / PLAN} is damaged: {error}") from error
    if not isinstance(recorded, dict):
        raise RunDirectoryError(f"{path / PLAN} is damaged: it holds no object.")
    return recorded
