"""Writing a run directory: everything a trainer leaves there but its checkpoints."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import orjson

from jepa_core.disk_errors import remedy
from jepa_core.errors import RunDirectoryError
from jepa_core.plain_files import own_descriptor
from jepa_core.recorded_numbers import encode
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_core.run_directory.events import Event, EventsWriter
from jepa_core.run_directory.layout import CONSOLE, DIAGNOSTICS, ENVIRONMENT, RECIPE, VERDICT, metrics_name
from jepa_core.run_directory.line_appender import LineAppender
from jepa_core.run_directory.lock import Loss, RunLock
from jepa_core.run_directory.replacing import clear_unfinished, replace_in
from jepa_core.run_directory.status import StatusWriter, read_status
from jepa_core.watch.findings import Firing, Severity
from jepa_core.watch.verdict import Verdict, verdict_to_json

LAST_TRIES = 4
"""How often what comes last is tried, each time after a pause three times as long: over 13 s, in which a network disk
may come back, and which a batch system grants."""


class RunWriter:
    """An open run directory; it holds the directory's lock. What it promises of full disks is in `line_appender`.

    Files are written by descriptors: wherever the directory is moved they stay its files, and nothing is made at its
    old path.
    """

    def __init__(self, path: Path, *, clock: Clock = SYSTEM_CLOCK, resume_at: int | None = None, **status: Any) -> None:
        """Lock the directory and open its files.

        Args:
            path: an existing directory, see `create_run`.
            clock: where times come from.
            resume_at: a checkpoint's step; rows and diagnostics later than that are dropped.
            status: first values of `Status` fields, such as recipe, total_steps, total_epochs, parent.

        Raises:
            RunDirectoryError: another process writes there, or the directory cannot be written.
        """
        self.path = path
        with contextlib.ExitStack() as opened:
            opened.callback((lock := RunLock(path, clock)).release)
            clear_unfinished(lock.folder)
            self._events = EventsWriter(path, clock, self._lines_lost)
            opened.callback(self._events.close)
            self._metrics = MetricsWriter(
                path, resume_at=resume_at, on_failure=self._write_failed, clock=clock, on_loss=self._lines_lost
            )
            opened.callback(self._metrics.close)
            self._diagnostics = LineAppender(path / DIAGNOSTICS, self._write_failed, clock, self._lines_lost)
            opened.callback(self._diagnostics.close)
            if resume_at is not None:
                self._diagnostics.keep_until(resume_at)
            before, num_events = read_status(path), self._events.count
            self.lost_events = max(0, before.events - num_events) if before else 0
            """Events that a process before has recorded, and that are not there."""
            self.status = StatusWriter(path, clock, folder=lock.folder, **status, events=num_events)
            self.console_log: TextIO = open_console(path, self._write_failed)
            opened.callback(self.console_log.close)
            self._lock = lock
            self._open = opened.pop_all()
        self.loss: Loss | None = None
        """Why the directory is lost, once `look` has found that it is."""
        self.pause = 1.0
        """Seconds between the first two tries of the verdict."""
        self.listener: Callable[[Event], None] | None = None
        """Is told of every event once it is written."""
        self.tell_loss: Callable[[str, str], None] | None = None
        """Is told, with what to do, once somebody has deleted what was recorded, after the event of it."""

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
        """Note progress, and look for the directory; cheap unless a second has passed."""
        if self.status.heartbeat_due and self.look() is None:
            self.status.heartbeat(step, epoch)

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
            (self.path / VERDICT).unlink(missing_ok=True)
        except OSError as error:
            raise RunDirectoryError(f"{self.path / VERDICT} cannot be removed: {error.strerror}.") from error

    def close(self) -> None:
        """Close all files and let the lock go; a second call does nothing."""
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

    def _lines_lost(self, message: str, advice: str) -> None:
        self.event("lines lost", "warning", message, step=self.status.status.step, advice=advice)
        if self.tell_loss is not None:
            self.tell_loss(message, advice)

    def _replace(self, name: str, content: bytes) -> None:
        try:
            replace_in(self._lock.folder, name, content)
        except OSError as error:
            raise RunDirectoryError(
                f"{self.path / name} ({len(content)} bytes) cannot be written: {error.strerror}. {remedy(error)}."
            ) from error


def open_console(run: Path, on_failure: Callable[[str, str], None] = lambda _message, _advice: None) -> TextIO:
    """The file of what was shown, to append to. Where the disk refuses a line it is left out, and `on_failure` is told
    the first time: nobody's training depends on it.

    Raises:
        RunDirectoryError: it cannot be opened.
    """
    path = run / CONSOLE
    try:
        descriptor = own_descriptor(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    except OSError as error:
        raise RunDirectoryError(f"{path} cannot be opened for writing: {error.strerror}.") from error
    lines = io.BufferedWriter(_Shown(path, descriptor, on_failure))
    return io.TextIOWrapper(lines, encoding="utf-8", errors="replace", line_buffering=True)


class _Shown(io.RawIOBase):
    """The bytes of console.log: each write is there as a whole or not at all, and none raises."""

    def __init__(self, path: Path, descriptor: int, on_failure: Callable[[str, str], None]) -> None:
        self._path, self._descriptor, self._on_failure = path, descriptor, on_failure
        self._fails = False

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        num_bytes, before = len(content), None
        try:
            before = os.fstat(self._descriptor).st_size
            if os.write(self._descriptor, content) < num_bytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._fails = False
        except OSError as error:
            with contextlib.suppress(OSError):
                if before is not None and os.fstat(self._descriptor).st_size > before:
                    os.ftruncate(self._descriptor, before)
            if not self._fails:
                self._fails = True
                self._on_failure(
                    f"{self._path} cannot be written: {error.strerror}. What is shown ({num_bytes} bytes) is left out "
                    "of it",
                    f"{remedy(error)}.",
                )
        return num_bytes

    def close(self) -> None:
        if not self.closed:
            super().close()
            with contextlib.suppress(OSError):
                os.close(self._descriptor)


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

    def sync(self) -> None:
        """See `LineAppender.sync`."""
        self._lines.sync()

    def close(self) -> None:
        self._lines.close()
