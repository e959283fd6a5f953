"""The status of a run: a small file that its process replaces as a whole, at most once a second while it trains."""

from __future__ import annotations

import os
import shlex
import socket
from pathlib import Path
from typing import Any, Literal, get_args

import attrs
import cattrs
import orjson

from jepa_core.disk_errors import remedy
from jepa_core.errors import RunDirectoryError
from jepa_core.plain_files import read_plain
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_core.run_directory.layout import STATUS
from jepa_core.run_directory.replacing import put_aside, replace_file, replace_in

State = Literal["starting", "running", "finished", "aborted", "failed", "interrupted", "rolled_back"]
ShownState = Literal[State, "stale", "crashed", "unknown"]
"""Also: stale, running without a sign of life; crashed, running by its own word but its process is gone."""

ALIVE: tuple[State, ...] = ("starting", "running")
HEARTBEAT_SECONDS = 1.0
"""Least time between two heartbeats in the file."""
STALE_SECONDS = 60.0
"""Age of the last heartbeat after which a run counts as stale."""
_MAX_BYTES = 1 << 16


@attrs.frozen(kw_only=True)
class Status:
    """What status.json says."""

    state: State = "starting"
    pid: int = 0
    host: str = ""
    recipe: str = ""
    """Name of the recipe."""
    step: int = 0
    epoch: float = 0.0
    total_steps: int = 0
    total_epochs: float = 0.0
    started: float = 0.0
    """Seconds since 1970; kept over a resume."""
    heartbeat: float = 0.0
    """Last sign of life, seconds since 1970."""
    elapsed: float = 0.0
    """Seconds this process has been at it, by a clock that is never set back."""
    exit_code: int | None = None
    """None while it runs."""
    parent: str = ""
    """Name of the run that this one was rolled back from."""
    child: str = ""
    """Name of the run that continues this one after a rollback."""
    events: int = 0
    """Events recorded by then, so that a resume can tell whether some were lost; 0 where that was not counted."""


class StatusWriter:
    """Keeps status.json."""

    def __init__(self, run: Path, clock: Clock = SYSTEM_CLOCK, *, folder: int | None = None, **first: Any) -> None:
        """Write the first status.

        Args:
            run: the directory.
            clock: where times come from.
            folder: its descriptor, by which it is written to wherever it is moved.
            first: fields of `Status` such as recipe, total_steps, parent.

        Raises:
            RunDirectoryError: the file cannot be written.
        """
        self._path = run / STATUS
        self._folder = folder
        self._clock = clock
        self._began = clock.monotonic()
        self._failing_since: float | None = None
        before = read_status(run)
        # How far it came, too: a run that is stopped again before its first step has come no less far.
        lasting = ("started", "parent", "step", "epoch", "total_steps")
        kept = {name: getattr(before, name) for name in lasting} if before else {"started": clock.now()}
        self.status = Status(**{**kept, "pid": os.getpid(), "host": socket.gethostname(), **first})
        self._written_at = self._began
        try:
            self._replace()
        except OSError as error:
            raise RunDirectoryError(f"{self._path} cannot be written: {error.strerror}.") from error

    def update(self, **changes: Any) -> None:
        """Change fields of `Status`, and write it now.

        Raises:
            RunDirectoryError: no write has succeeded for a minute, after which readers take the process for dead.
        """
        self.status = attrs.evolve(self.status, **changes)
        self._written_at = now = self._clock.monotonic()
        try:
            self._replace()
        except OSError as error:
            self._failing_since = now if self._failing_since is None else self._failing_since
            if now - self._failing_since >= STALE_SECONDS:
                raise RunDirectoryError(
                    f"{self._path} cannot be written: {error.strerror}, for {now - self._failing_since:.0f} s.\n"
                    f"{remedy(error)}. How to go on then: jepa autopsy {shlex.quote(str(self._path.parent))}"
                ) from error
            return
        self._failing_since = None

    def note_events(self, count: int) -> None:
        """Say with the next write how many events there are."""
        self.status = attrs.evolve(self.status, events=count)

    @property
    def heartbeat_due(self) -> bool:
        """Whether a second has passed since the last write."""
        return self._clock.monotonic() - self._written_at >= HEARTBEAT_SECONDS

    def heartbeat(self, step: int, epoch: float) -> None:
        """Note progress; cheap unless it is due."""
        if self.heartbeat_due:
            self.update(step=step, epoch=epoch)

    def _replace(self) -> None:
        self.status = attrs.evolve(
            self.status, heartbeat=self._clock.now(), elapsed=self._clock.monotonic() - self._began
        )
        content = orjson.dumps(attrs.asdict(self.status), option=orjson.OPT_INDENT_2)
        if self._folder is None:
            replace_file(self._path, content, durable=False)
        else:
            put_aside(self._folder, self._path.name)
            replace_in(self._folder, self._path.name, content, durable=False)


def write_status(run: Path, status: Status, *, durable: bool = True) -> None:
    """Replace the status of a run that no process trains; `durable` as of `replace_file`.

    Raises:
        RunDirectoryError: the file cannot be written.
    """
    path = run / STATUS
    try:
        replace_file(path, orjson.dumps(attrs.asdict(status), option=orjson.OPT_INDENT_2), durable=durable)
    except OSError as error:
        raise RunDirectoryError(f"{path} cannot be written: {error.strerror}.") from error


def read_status(run: Path) -> Status | None:
    """What status.json says; None when it is missing or damaged."""
    try:
        recorded = orjson.loads(read_plain(run / STATUS, _MAX_BYTES))
        if not isinstance(recorded, dict) or recorded.get("state") not in get_args(State):
            return None
        return cattrs.structure(recorded, Status)
    except (OSError, ValueError, TypeError, OverflowError, cattrs.BaseValidationError):
        return None


def shown_state(status: Status | None, clock: Clock = SYSTEM_CLOCK, host: str | None = None) -> ShownState:
    """The state as a reader should tell it, who can see whether the process still lives when it is on its host."""
    if status is None:
        return "unknown"
    if status.state not in ALIVE:
        return status.state
    if status.host == (socket.gethostname() if host is None else host) and not process_lives(status.pid):
        return "crashed"
    return "stale" if clock.now() - status.heartbeat > STALE_SECONDS else status.state


def process_lives(pid: int) -> bool:
    """Whether this host has a process of this number."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
