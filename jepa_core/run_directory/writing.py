"""Writing a run directory: everything a trainer leaves there but its checkpoints."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from jepa_core.disk_errors import remedy
from jepa_core.errors import RunDirectoryError
from jepa_core.plain_files import read_plain
from jepa_core.recorded_numbers import encode
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_core.run_directory.console_log import ConsoleLog, as_text
from jepa_core.run_directory.events import Event, EventsWriter
from jepa_core.run_directory.layout import (
    CONSOLE,
    DIAGNOSTICS,
    ENVIRONMENT,
    EVENTS,
    METRICS,
    RECIPE,
    ROLLBACK,
    VERDICT,
    metrics_name,
)
from jepa_core.run_directory.line_appender import DELETED, LineAppender, lines_lost
from jepa_core.run_directory.lock import Loss, RunLock
from jepa_core.run_directory.own_folders import OwnFolders
from jepa_core.run_directory.replacing import clear_unfinished, put_aside, replace_in
from jepa_core.run_directory.status import StatusWriter, read_status
from jepa_core.watch.findings import Finding, Firing, Severity
from jepa_core.watch.verdict import Verdict, verdict_to_json

LAST_TRIES = 4
"""How often what comes last is tried, each time after a pause three times as long: over 13 s, in which a network disk
may come back, and which a batch system grants."""

_WHOLE = {RECIPE: 1 << 18, ENVIRONMENT: 4 << 20, ROLLBACK: 4 << 20}
"""Files that are written once, when a run begins, and the most bytes of each that readers read."""


class RunWriter:
    """An open run directory; it holds the directory's lock. What it promises of full disks is in `line_appender`.

    Files are written by descriptors: wherever the directory is moved they stay its files, and nothing is made at its
    old path.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock = SYSTEM_CLOCK,
        resume_at: int | None = None,
        once_held: Callable[[], None] = lambda: None,
        **status: Any,
    ) -> None:
        """Lock the directory and open its files.

        Args:
            path: an existing directory, see `create_run`.
            clock: where times come from.
            resume_at: a checkpoint's step; rows and diagnostics later than that are dropped.
            once_held: is called once nobody else can write there, before anything is changed.
            status: first values of `Status` fields, such as recipe, total_steps, total_epochs, parent.

        Raises:
            RunDirectoryError: another process writes there, or the directory cannot be written.
        """
        self.path = path
        with contextlib.ExitStack() as opened:
            opened.callback((lock := RunLock(path, clock)).release)
            once_held()
            clear_unfinished(lock.folder)
            self._events = EventsWriter(path, clock, partial(self._lines_lost, EVENTS))
            opened.callback(self._events.close)
            self._metrics = MetricsWriter(
                path,
                resume_at=resume_at,
                on_failure=self._write_failed,
                clock=clock,
                on_loss=partial(self._lines_lost, METRICS),
            )
            opened.callback(self._metrics.close)
            self._diagnostics = LineAppender(
                path / DIAGNOSTICS, self._write_failed, clock, partial(self._lines_lost, DIAGNOSTICS)
            )
            opened.callback(self._diagnostics.close)
            if resume_at is not None:
                self._diagnostics.keep_until(resume_at)
            self.status_before, num_events = read_status(path), self._events.count
            """What a process before has left; None where there was none."""
            self.lost_events = max(0, self.status_before.events - num_events) if self.status_before else 0
            """Events that a process before has recorded, and that are not there."""
            self.status = StatusWriter(path, clock, folder=lock.folder, **status, events=num_events)
            self._shown = ConsoleLog(path, self._write_failed)
            self.console_log = as_text(self._shown)
            opened.callback(self.console_log.close)
            self._lock = lock
            self.folders = OwnFolders(lock.folder)
            """`checkpoints/` and `control/`."""
            opened.callback(self.folders.close)
            self._open = opened.pop_all()
        self._is_closed = False
        self.loss: Loss | None = None
        """Why the directory is lost, once `look` has found that it is."""
        self.pause = 1.0
        """Seconds between the first two tries of the verdict."""
        self.listener: Callable[[Event], None] | None = None
        """Is told of every event once it is written."""
        self.tell_loss: Callable[[Finding], None] | None = None
        """Is told of everything that somebody has deleted, after the event of it."""
        self._whole = {name: content for name in _WHOLE if (content := self._as_it_is(name)) is not None}
        """Files that are written once, by name: what was written."""
        self._told_missing: set[str] = set()
        self._beside: list[LineAppender] = []
        self._of_others: dict[str, os.stat_result | None] = {}
        """Files of lines that other processes append to, and what each looked like last; None where it is not seen."""

    def look(self) -> Loss | None:
        """Look whether the directory is still where it was, and this process's alone. Any thread may ask."""
        if self.loss is None:
            self.loss = self._lock.loss()
        return self.loss

    def sync(self) -> None:
        """Return once all rows, events and diagnostics so far are on the disk. Any thread may ask.

        Raises:
            OSError: the disk refused.
        """
        for lines in (self._metrics, self._events, self._diagnostics):
            lines.sync()
        os.fsync(self._lock.folder)

    def row(self, row: Mapping[str, Any]) -> None:
        """Append a metrics row."""
        self.look()
        if self._is_ours:
            self._metrics.write(row)

    def diagnosis(self, row: Mapping[str, Any]) -> None:
        """Append a row of diagnostics; values may be lists."""
        if self._is_ours:
            self._diagnostics.append(dict(row))

    def event(
        self,
        name: str,
        severity: Severity,
        message: str,
        *,
        step: float | None = None,
        epoch: float | None = None,
        evidence: Mapping[str, Any] | None = None,
        advice: str = "",
    ) -> None:
        """Append an event."""
        if not self._is_ours:
            return
        event = self._events.write(
            name, message, severity=severity, step=step, epoch=epoch, evidence=evidence, advice=advice
        )
        self.status.note_events(self._events.count)
        if self.listener is not None:
            self.listener(event)

    def firing(self, firing: Firing, **more: Any) -> None:
        """Append the event of a rule that fired, or of a must or nice that failed; `more` is added to its evidence."""
        self.event(
            f"{firing.kind} {firing.name}",
            firing.severity,
            firing.message,
            step=firing.step,
            epoch=firing.epoch,
            evidence={**firing.evidence, "first_sign": firing.first_sign, "set": firing.set, "use": firing.use, **more},
            advice=firing.advice,
        )

    def heartbeat(self, step: int, epoch: float) -> None:
        """Note progress, and look for the directory and its files; cheap unless a second has passed."""
        if self.status.heartbeat_due and self.look() is None:
            self.look_for_files()
            self.status.heartbeat(step, epoch)

    def beside(self, lines: LineAppender) -> LineAppender:
        """Look for another file of lines, too, and tell of it likewise."""
        lines.on_loss = partial(self._lines_lost, lines.path.name)
        self._beside.append(lines)
        return lines

    def watch(self, names: Iterable[str]) -> None:
        """Look for files of lines that other ranks write, too: each makes its own anew, and none tells of it."""
        self._of_others |= dict.fromkeys(names)
        self._look_for_those_of_others()

    def look_for_files(self) -> None:
        """Make anew what somebody has deleted in the directory, and tell of it. A run that is about to end looks once
        more, as no line may come that would meet it."""
        if self.look() is not None:
            return
        self._metrics.look()
        self._events.look()
        for lines in (self._diagnostics, *self._beside):
            lines.look()
        self._look_for_those_of_others()
        if self._shown.is_made_anew():
            self._lines_lost(CONSOLE, f"{self.path / CONSOLE} was deleted while the run went on: what it held is lost.")
        for name, content in self._whole.items():
            if not self._is_there(name):
                self._write_again(name, content)
        for name, what in self.folders.lost():
            self._deleted(
                "folder lost", name, f"{self.path / name} was deleted or replaced while the run went on: {what}"
            )

    def write_recipe(self, toml: str) -> None:
        """The resolved recipe."""
        self._replace(RECIPE, toml.encode())

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """Versions, devices, commit, command line, data fingerprint (`data_fingerprint`)."""
        self._replace(ENVIRONMENT, orjson.dumps(encode(environment), option=orjson.OPT_INDENT_2))

    def write_verdict(self, verdict: Verdict) -> None:
        """The verdict. What a whole run comes to is tried several times.

        Raises:
            RunDirectoryError: it cannot be written.
        """
        content = orjson.dumps(verdict_to_json(verdict), option=orjson.OPT_INDENT_2)
        for attempt in range(LAST_TRIES - 1):
            with contextlib.suppress(RunDirectoryError):
                return self._replace(VERDICT, content)
            time.sleep(self.pause * 3**attempt)
        return self._replace(VERDICT, content)

    def drop_verdict(self) -> None:
        """Of a run that goes on: what was decided when it stopped holds no longer.

        Raises:
            RunDirectoryError: what is there cannot be removed.
        """
        try:
            if not put_aside(self._lock.folder, VERDICT):
                (self.path / VERDICT).unlink(missing_ok=True)
        except OSError as error:
            raise RunDirectoryError(f"{self.path / VERDICT} cannot be removed: {error.strerror}.") from error

    def close(self) -> None:
        """Look for the files once more, close them all and let the lock go; a second call does nothing."""
        if not self._is_closed:
            self._is_closed = True
            # What ends the run is told, not what is met here.
            with contextlib.suppress(RunDirectoryError):
                self.look_for_files()
        self._open.close()

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _is_ours(self) -> bool:
        """Whether there is a directory to write to which no other process has taken."""
        return self.loss is None or self.loss.path is not None

    def _write_failed(self, message: str, advice: str) -> None:
        self._events.write("write failed", message, severity="critical", advice=advice)

    def _lines_lost(self, file: str, message: str, advice: str = DELETED) -> None:
        self._deleted("lines lost", file, message, advice)

    def _deleted(self, event: str, name: str, message: str, advice: str = DELETED) -> None:
        step = self.status.status.step
        self.event(event, "warning", message, step=step, advice=advice)
        if self.tell_loss is not None:
            self.tell_loss(_found(f"{event} {name}", message, step))

    def _look_for_those_of_others(self) -> None:
        for name, before in self._of_others.items():
            found = None
            try:
                found = os.stat(name, dir_fd=self._lock.folder, follow_symlinks=False)
            except FileNotFoundError:
                pass
            except OSError:
                continue
            self._of_others[name] = found
            # A new file may have the number of the old one, but not at once as many lines.
            if before and not (found and os.path.samestat(before, found) and before.st_size <= found.st_size):
                self._lines_lost(name, lines_lost(self.path / name))

    def _is_there(self, name: str) -> bool:
        """Whether it is a file; also where the disk does not say otherwise."""
        try:
            return stat.S_ISREG(os.stat(name, dir_fd=self._lock.folder, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            return False
        except OSError:
            return True

    def _as_it_is(self, name: str) -> bytes | None:
        try:
            return read_plain(Path(name), _WHOLE[name], folder=self._lock.folder)
        except (OSError, ValueError):
            return None

    def _write_again(self, name: str, content: bytes) -> None:
        """What the disk refuses is tried again at the next look, and told of once."""
        said = f"{self.path / name} was deleted or replaced while the run went on"
        try:
            put_aside(self._lock.folder, name)
            replace_in(self._lock.folder, name, content)
        except OSError as error:
            if name not in self._told_missing:
                self._told_missing.add(name)
                self._deleted("file deleted", name, f"{said}, and cannot be written again: {error.strerror}.")
            return
        self._told_missing.discard(name)
        self._deleted("file deleted", name, f"{said}: it is written again, as it was.")

    def _replace(self, name: str, content: bytes) -> None:
        try:
            put_aside(self._lock.folder, name)
            replace_in(self._lock.folder, name, content)
            if name in _WHOLE:
                self._whole[name] = content
        except OSError as error:
            raise RunDirectoryError(
                f"{self.path / name} ({len(content)} bytes) cannot be written: {error.strerror}. {remedy(error)}."
            ) from error


def _found(name: str, message: str, step: int) -> Finding:
    return Finding(name=name, severity="warning", message=message, step=step, advice=DELETED)


class MetricsWriter:
    """Writes the metrics of one rank."""

    def __init__(
        self,
        run: Path,
        *,
        rank: int = 0,
        resume_at: float | None = None,
        on_failure: Callable[[str, str], None] | None = None,
        clock: Clock = SYSTEM_CLOCK,
        on_loss: Callable[[str, str], None] | None = None,
    ) -> None:
        """Open the file; with `resume_at`, drop the rows later than that step.

        Raises:
            RunDirectoryError: the file cannot be opened or cut.
        """
        self._lines = LineAppender(run / metrics_name(rank), on_failure, clock, on_loss)
        if resume_at is not None:
            self._lines.keep_until(resume_at)

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row; non-finite figures stand in it as text.

        Raises:
            RunDirectoryError: five writes in a row have failed, and for a minute. Until then rows wait in memory.
        """
        self._lines.append(dict(row))

    def look(self) -> None:
        """See `LineAppender.look`."""
        self._lines.look()

    def sync(self) -> None:
        """See `LineAppender.sync`."""
        self._lines.sync()

    def close(self) -> None:
        self._lines.close()
