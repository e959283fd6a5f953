"""How a run ended, as far as its files and this machine tell: what is inferred is said to be so."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

import attrs

from jepa_core.exit_codes import SIGNALS
from jepa_core.plain_files import open_plain
from jepa_core.run_directory.clock import Clock, local_time
from jepa_core.run_directory.events import Event
from jepa_core.run_directory.lock import is_locked
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.status import ALIVE, STALE_SECONDS, ShownState, Status

Kind = Literal[
    "finished", "rule", "non-finite", "interrupted", "rolled back", "component", "memory", "failed", "killed",
    "elsewhere", "running", "silent", "unknown",
]  # fmt: skip
"""elsewhere: on another machine, where this one cannot look. silent: alive, and without a word for long."""

_REFUSED = ("write failed", "checkpoint failed", "checkpoints not deleted")
"""Names of events of a disk that refused."""

NOT_FINITE = ("non-finite", "state not finite")
"""Names of events."""


@attrs.frozen(kw_only=True)
class Death:
    """What ended a run, or that nothing has."""

    kind: Kind
    state: ShownState
    what: str
    """In sentences."""
    time: float | None = None
    """Of its last sign of life, in seconds since 1970."""
    exit_code: int | None = None

    @property
    def is_alive(self) -> bool:
        return self.kind in {"running", "silent"}


def death_of(reader: RunReader, events: Mapping[str, Event], last: Event | None, clock: Clock) -> Death:
    """Of a run.

    Args:
        reader: the run.
        events: the newest event of each name.
        last: the newest event.
        clock: the time now.
    """
    status = reader.status()
    if status is None:
        held = " A process holds its lock." if is_locked(reader.path) else ""
        said = f"status.json is missing or damaged, so nobody can say how it ended.{held}"
        return Death(kind="unknown", state="unknown", what=said, time=last.time if last else None)
    seen = max(status.heartbeat, last.time if last else 0.0)
    if status.state in ALIVE:
        return _without_end(reader.path, status, events, seen, clock)
    kind, what = _recorded_end(status, events)
    return Death(kind=kind, state=status.state, what=what, time=seen, exit_code=status.exit_code)


def _recorded_end(status: Status, events: Mapping[str, Event]) -> tuple[Kind, str]:
    """By its own word."""
    match status.state:
        case "finished":
            return "finished", "It came to its end."
        case "rolled_back":
            return "rolled back", f"It was rolled back: {status.child or 'another run'} goes on in its place."
        case "interrupted":
            return "interrupted", _interrupted(status)
        case "aborted":
            return _aborted(events)
    failed = events.get("failed")
    if failed is None:
        return "failed", "It failed, and its events do not say why."
    is_known: dict[str, Kind] = {"component": "component", "out_of_memory": "memory"}
    return next((kind for key, kind in is_known.items() if key in failed.evidence), "failed"), failed.message


def _interrupted(status: Status) -> str:
    if status.parent and not status.heartbeat:
        return "A rollback made it, and no process has trained it yet."
    return f"It was stopped by {SIGNALS.get(status.exit_code or 0, 'a signal')}."


def _aborted(events: Mapping[str, Event]) -> tuple[Kind, str]:
    bad = next((events[name] for name in NOT_FINITE if name in events), None)
    if bad is not None:
        return "non-finite", bad.message
    return "rule", events["aborted"].message if "aborted" in events else "An abort rule stopped it."


def _without_end(run: Path, status: Status, events: Mapping[str, Event], seen: float, clock: Clock) -> Death:
    """By its own word it goes on."""
    ago = max(0.0, clock.now() - seen)
    doing = "is starting" if status.state == "starting" else f"is at step {status.step}"
    if is_locked(run):
        if ago <= STALE_SECONDS:
            return Death(kind="running", state=status.state, what=f"It {doing}: its process is alive.", time=seen)
        said = (
            f"It {doing}, and a process holds its lock, but nothing was heard of it since {local_time(seen)}: it "
            "hangs, is suspended, or one step takes that long."
        )
        return Death(kind="silent", state="stale", what=said, time=seen)
    if status.host != socket.gethostname():
        said = (
            f"By its last word, of {local_time(seen)}, it {doing} on {status.host or 'another machine'}, as process "
            f"{status.pid}. Whether it lives cannot be seen from here."
        )
        return Death(kind="elsewhere", state="stale", what=said, time=seen)
    started = _machine_started()
    said = f"Its process ({status.pid}) is gone and left no word of its end, nor an exit code."
    if started is not None and seen < started:
        said += f" This machine was started anew at {local_time(started)}, after its last sign of life."
    else:
        # A second stop signal ends a run at once, too.
        said += (
            " That is left by kill -9, a system without memory, Ctrl-C twice, a component that ends the process, a "
            "full disk, or a machine that stops."
        )
    return Death(kind="killed", state="crashed", what=f"{said} {_refusals(events)}", time=seen)


def _refusals(events: Mapping[str, Event]) -> str:
    """What is recorded of the disk."""
    found = [events[name] for name in _REFUSED if name in events]
    if not found:
        return "No error of the disk is recorded."
    newest = max(found, key=lambda event: event.sequence)
    return f"The disk had refused before that, the last time so: {newest.message}"


def _machine_started() -> float | None:
    """Seconds since 1970; None where the system does not say."""
    with suppress(OSError, ValueError, IndexError), open_plain(Path("/proc/stat")) as file:
        for line in file:
            if line.startswith(b"btime "):
                return float(line.split()[1])
    return None
