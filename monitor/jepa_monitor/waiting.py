"""Waiting for a run, telling what happens to it meanwhile, over a rollback into the run that continues it.

When it is over, and with which exit code, is decided by pure functions of what is known of the run.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import orjson
from rich.text import Text

from jepa_core.errors import RunDirectoryError
from jepa_core.figures import rank_text
from jepa_core.presentation.finding_text import SEVERITY_MARKS, moment_of
from jepa_core.presentation.terminal import console_for
from jepa_core.recorded_numbers import encode
from jepa_core.run_directory.clock import local_time
from jepa_core.run_directory.events import Event
from jepa_core.run_directory.layout import is_run
from jepa_core.run_directory.lock import is_locked
from jepa_core.run_directory.naming import typed_name
from jepa_core.run_directory.recorded_files import plugin_flags
from jepa_core.run_directory.status import ALIVE, STALE_SECONDS, process_lives
from jepa_core.visible_text import clean, escaped
from jepa_core.watch.findings import Firing
from jepa_core.watch.verdict import EXIT_FINISHED, EXIT_MUST_FAILED, EXIT_STOPPED
from jepa_monitor.model.run_model import RunModel, live_model
from jepa_monitor.model.run_view import RunView
from jepa_monitor.progress_text import age_text, seconds_left, whole_epoch
from jepa_monitor.sieves import CHECKPOINT
from jepa_monitor.snapshot import firing_to_json
from jepa_monitor.text_view import event_line
from jepa_monitor.until import Until

POLL_SECONDS = 0.1
"""Between two looks at the files."""
CATCH_UP_SECONDS = 10.0
"""About the longest that the rows of a run are judged before the first look; the rest follows while waiting."""
PROGRESS_SECONDS = 60.0
"""Between two lines on how far the run is."""
EXIT_FAILED = 1
_EXIT_CODES = {"finished": EXIT_FINISHED, "aborted": EXIT_STOPPED, "failed": EXIT_FAILED, "interrupted": 130}
"""Of a run that did not leave its own."""
_LARGEST_CODE = 255


def wait_for(path: Path, until: Until, *, timeout: float | None, json: bool) -> int:
    """The exit code of the run at `path`, once `until` is reached; `timeout` in seconds.

    Raises:
        RunDirectoryError: the run goes on as one that is not there, or that was waited for already.
    """
    waited_for = {path.resolve()}
    gives_up = float("inf") if timeout is None else time.monotonic() + timeout
    teller = _Teller(json)
    while True:
        over = _wait(live_model(path), until, gives_up, teller)
        if isinstance(over, WaitingIsOver):
            teller.end(path, over)
            return over.exit_code
        path = _child(path, over)
        if path.resolve() in waited_for:
            raise RunDirectoryError(
                f"{path} was rolled back, and its runs go on as each other: its end cannot be told."
            )
        waited_for.add(path.resolve())


def _wait(model: RunModel, until: Until, gives_up: float, teller: _Teller) -> WaitingIsOver | str:
    """Why waiting is over, or the name of the run that continues this one."""
    view = model.catch_up(CATCH_UP_SECONDS)
    teller.begin(view)
    try:
        while True:
            teller.tell(view)
            over = waiting_is_over(view, until)
            time_is_up = time.monotonic() >= gives_up
            if over is not None and (time_is_up or not (_may_be_taken_back(view) or _is_about_to_start(view))):
                was_alive = view.state in ALIVE
                view = model.catch_up(0.0)  # what was written between its last events and its status
                teller.tell(view)
                if was_alive or view.state not in ALIVE:
                    return child_of(view) or waiting_is_over(view, until) or over
            if time_is_up:
                message = f"the time is up, and {view.name} is {_state_in_words(view)} at step {view.step:,.0f}"
                return WaitingIsOver(exit_code=EXIT_FAILED, message=message)
            time.sleep(POLL_SECONDS)
            view = model.refresh() or view
    finally:
        model.close()


def _may_be_taken_back(view: RunView) -> bool:
    """Whether a run that was aborted is not left by its process yet: that may take it back, and go on as a child."""
    return view.state == "aborted" and is_locked(Path(view.path))


def _is_made_by_rollback(view: RunView) -> bool:
    """Whether a rollback has made the run, and no process has trained it yet: it says that it is interrupted, and each
    process that was interrupted has left a sign of life."""
    status = view.status
    return status is not None and view.state == "interrupted" and bool(status.parent) and status.heartbeat == 0


def _is_about_to_start(view: RunView) -> bool:
    """Whether a run that a rollback has made may still begin: whoever made it lives, or has it open by now. On another
    host that cannot be seen; there it has as long as any run may be silent."""
    status = view.status
    if status is None or not _is_made_by_rollback(view):
        return False
    if status.pid and status.host == socket.gethostname():
        return process_lives(status.pid) or is_locked(Path(view.path))
    return is_locked(Path(view.path)) or time.time() - status.started < STALE_SECONDS


def _state_in_words(view: RunView) -> str:
    return "about to start" if _is_about_to_start(view) else view.state.replace("_", " ")


def _child(parent: Path, name: str) -> Path:
    """
    Raises:
        RunDirectoryError: it is not there.
    """
    path = parent.parent / name
    if name != path.name or not is_run(path):
        raise RunDirectoryError(f"{parent} was rolled back and goes on as {clean(name)!r}, which is not there.")
    return path


class _Teller:
    """Prints what is new, a line each."""

    def __init__(self, json: bool) -> None:
        self._json = json
        self._console = console_for()
        self._told: frozenset[object] = frozenset()
        self._is_first_run = True
        self._step, self._said_at = 0.0, 0.0

    def begin(self, view: RunView) -> None:
        """Say which run; of the first one only what comes from now on is told."""
        if not self._json:
            self._line(Text(f"watching {clean(view.name)}: {_state_in_words(view)}, step {view.step:,.0f}"))
        self._step, self._said_at = view.step, time.monotonic()
        self._told = frozenset(key for key, _ in _happened(view)) if self._is_first_run else frozenset()
        self._is_first_run = False

    def tell(self, view: RunView) -> None:
        """What has happened since, and now and then how far the run is. A firing that the trainer tells of too, once;
        of checkpoints JSON alone: there are many, and they are no news."""
        happened = dict(_happened(view))
        for key, what in happened.items():
            if key not in self._told and (self._json or not _is_checkpoint(what)):
                self._print(what)
        self._told = frozenset(happened)
        is_due = time.monotonic() - self._said_at >= PROGRESS_SECONDS and view.step > self._step
        if is_due and view.state in ALIVE and not self._json:
            self._line(_progress_line(view))
            self._step, self._said_at = view.step, time.monotonic()

    def end(self, run: Path, over: WaitingIsOver) -> None:
        """Why waiting is over."""
        if self._json:
            self._object({"type": "end", "run": str(run), "exit_code": over.exit_code, "message": over.message})
        else:
            self._line(Text(clean(over.message)))

    def _print(self, what: Event | Firing) -> None:
        if self._json:
            plain = firing_to_json(what) if isinstance(what, Firing) else attrs.asdict(what)
            self._object({"type": "firing" if isinstance(what, Firing) else "event", **plain})
        else:
            self._line(event_line(what) if isinstance(what, Event) else _firing_line(what))

    def _object(self, plain: dict[str, Any]) -> None:
        sys.stdout.write(escaped(orjson.dumps(encode(plain)).decode()) + "\n")
        sys.stdout.flush()

    def _line(self, line: Text) -> None:
        self._console.print(line, soft_wrap=True)
        self._console.file.flush()


def _happened(view: RunView) -> Iterator[tuple[object, Event | Firing]]:
    """Firings and events, each with what it is known by. A firing and the event that tells of it are one."""
    fired = {f"{firing.kind} {firing.name}" for firing in view.firings}
    for event in view.events:
        if event.name not in fired:
            yield (event.sequence, event.time, event.name), event
    for firing in view.firings:
        yield f"{firing.kind} {firing.name}", firing


def _is_checkpoint(what: Event | Firing) -> bool:
    return isinstance(what, Event) and what.name == CHECKPOINT and what.severity == "info"


def _progress_line(view: RunView) -> Text:
    """Such as "12:06:30  step 700/1,440   epoch 17/30   9 min 12 s left   val MRR 0.412"."""
    status, left, mrr = view.status, seconds_left(view), view.finals.get("val.retrieval.mrr")
    parts = [f"step {view.step:,.0f}" + (f"/{status.total_steps:,}" if status and status.total_steps else "")]
    if view.epoch:
        parts.append(f"epoch {whole_epoch(view.epoch, status.total_epochs if status else 0)}")
    parts += [] if left is None else [f"{age_text(left)} left"]
    parts += [] if mrr is None else [f"val MRR {rank_text(mrr)}"]
    return Text(local_time(time.time(), "%H:%M:%S"), style="dim").append(f"  {'   '.join(parts)}", style="none")


def _firing_line(firing: Firing) -> Text:
    mark, style = SEVERITY_MARKS[firing.severity]
    line = Text(mark, style=style).append(f" {clean(f'{firing.kind} {firing.name}', 60)}")
    line.append(moment_of(firing), style="dim").append(f"   {clean(firing.message)}")
    return line.append(f"   {clean(firing.advice)}" if firing.advice else "", style="dim")


@attrs.frozen(kw_only=True)
class WaitingIsOver:
    """Why, and what to exit with."""

    exit_code: int
    message: str


def waiting_is_over(view: RunView, until: Until) -> WaitingIsOver | None:
    """None while there is something to wait for; a run that was rolled back goes on in its child, see `child_of`."""
    if view.state in ALIVE:
        return _while_it_runs(view, until)
    if view.status is not None and view.state in _EXIT_CODES and not _is_made_by_rollback(view):
        return _ended(view)
    return WaitingIsOver(exit_code=EXIT_FAILED, message=_why_it_cannot_go_on(view))


def child_of(view: RunView) -> str:
    """Name of the run that continues this one after a rollback; empty when none does."""
    return view.status.child if view.status is not None and view.state == "rolled_back" else ""


def _while_it_runs(view: RunView, until: Until) -> WaitingIsOver | None:
    if until == "finished":
        return None
    for firing in view.firings:
        if firing.kind == "abort":
            return WaitingIsOver(exit_code=EXIT_STOPPED, message=f"abort rule {firing.name} fired: {firing.message}")
    if until == "abort":
        return None
    for outlook in view.outlooks:
        judgement = outlook.judgement
        if judgement.kind == "must" and judgement.state == "failed":
            message = f"must {judgement.id} can no longer hold: {judgement.when}"
            return WaitingIsOver(exit_code=EXIT_MUST_FAILED, message=message)
    return None


def _ended(view: RunView) -> WaitingIsOver:
    assert view.status is not None
    code = view.status.exit_code
    if code is None or not 0 <= code <= _LARGEST_CODE:  # 256 would leave as 0
        code = _EXIT_CODES[view.state]
    verdict = f", verdict {view.verdict.outcome}" if view.verdict is not None else ""
    return WaitingIsOver(exit_code=code, message=f"{view.name} {view.state}: exit code {code}{verdict}")


def _why_it_cannot_go_on(view: RunView) -> str:
    status = view.status
    if status is None:
        return f"{view.path} has no readable status.json: whether it runs cannot be told"
    if view.state == "rolled_back":
        return f"{view.name} was rolled back, and names no run that continues it"
    if _is_made_by_rollback(view):
        name = clean(typed_name(Path(view.path)))
        flags = clean(plugin_flags(Path(view.path)))
        return f"{view.name} was made by a rollback, and no process trains it: jepa run --resume {name}{flags}"
    age = f"{view.heartbeat_age or 0.0:,.0f} s"
    if view.state == "stale":
        return f"{view.name} has given no sign of life for {age} (process {status.pid} on {status.host})"
    return f"{view.name} died without a word, {age} after its last sign of life (process {status.pid} is gone)"
