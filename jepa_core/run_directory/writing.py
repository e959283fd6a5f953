"""Writing a run directory: everything a trainer leaves there but its checkpoints."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import orjson

from jepa_core.errors import RunDirectoryError
from jepa_core.plain_files import plain_descriptor
from jepa_core.recorded_numbers import encode
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_core.run_directory.events import Event, EventsWriter
from jepa_core.run_directory.layout import CONSOLE, DIAGNOSTICS, ENVIRONMENT, RECIPE, VERDICT, metrics_name
from jepa_core.run_directory.line_appender import LineAppender
from jepa_core.run_directory.lock import RunLock
from jepa_core.run_directory.replacing import replace_file
from jepa_core.run_directory.status import StatusWriter
from jepa_core.watch.findings import Firing, Severity
from jepa_core.watch.verdict import Verdict, verdict_to_json


class RunWriter:
    """An open run directory; it holds the directory's lock. What it promises of full disks is in `line_appender`."""

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
            self._events = EventsWriter(path, clock)
            opened.callback(self._events.close)
            self._metrics = MetricsWriter(path, resume_at=resume_at, on_failure=self._write_failed)
            opened.callback(self._metrics.close)
            self._diagnostics = LineAppender(path / DIAGNOSTICS, self._write_failed)
            opened.callback(self._diagnostics.close)
            if resume_at is not None:
                self._diagnostics.keep_until(resume_at)
            self.status = StatusWriter(path, clock, **status)
            self.console_log: TextIO = self._open_console()
            opened.callback(self.console_log.close)
            self._lock = lock
            self._open = opened.pop_all()
        self.listener: Callable[[Event], None] | None = None
        """Is told of every event once it is written."""

    def row(self, row: Mapping[str, Any]) -> None:
        """Append a metrics row."""
        self._metrics.write(row)

    def diagnosis(self, row: Mapping[str, Any]) -> None:
        """Append a row of diagnostics; values may be lists."""
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
        event = self._events.write(
            name, message, severity=severity, step=step, epoch=epoch, evidence=evidence, advice=advice
        )
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
        """Note progress; cheap unless a second has passed."""
        self.status.heartbeat(step, epoch)

    def write_recipe(self, toml: str) -> None:
        """The resolved recipe."""
        self._replace(RECIPE, toml.encode())

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """Versions, devices, commit, command line, data fingerprint (`data_fingerprint`)."""
        self._replace(ENVIRONMENT, orjson.dumps(encode(environment), option=orjson.OPT_INDENT_2))

    def write_verdict(self, verdict: Verdict) -> None:
        """The verdict."""
        self._replace(VERDICT, orjson.dumps(verdict_to_json(verdict), option=orjson.OPT_INDENT_2))

    def close(self) -> None:
        """Close all files and let the lock go; a second call does nothing."""
        self._open.close()

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.close()

    def _write_failed(self, message: str) -> None:
        self._events.write("write failed", message, severity="critical", advice="Make room on the disk.")

    def _open_console(self) -> TextIO:
        path = self.path / CONSOLE
        try:
            descriptor = plain_descriptor(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            return os.fdopen(descriptor, "a", encoding="utf-8", errors="replace", buffering=1)
        except OSError as error:
            raise RunDirectoryError(f"{path} cannot be opened for writing: {error.strerror}.") from error

    def _replace(self, name: str, content: bytes) -> None:
        try:
            replace_file(self.path / name, content)
        except OSError as error:
            raise RunDirectoryError(
                f"{self.path / name} ({len(content)} bytes) cannot be written: {error.strerror}."
            ) from error


class MetricsWriter:
    """Writes the metrics of one rank."""

    def __init__(
        self,
        run: Path,
        *,
        rank: int = 0,
        resume_at: float | None = None,
        on_failure: Callable[[str], None] | None = None,
    ) -> None:
        """Open the file; with `resume_at`, drop the rows later than that step.

        Raises:
            RunDirectoryError: the file cannot be opened or cut.
        """
        self._lines = LineAppender(run / metrics_name(rank), on_failure)
        if resume_at is not None:
            self._lines.keep_until(resume_at)

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row; non-finite figures stand in it as text.

        Raises:
            RunDirectoryError: five writes in a row have failed. Until then rows wait in memory.
        """
        self._lines.append(dict(row))

    def close(self) -> None:
        self._lines.close()
