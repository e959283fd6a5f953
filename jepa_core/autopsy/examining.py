"""All that a run's files tell of its end, in one value."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from jepa_core.autopsy.death import NOT_FINITE, Death, death_of
from jepa_core.errors import CheckpointError, RunDirectoryError
from jepa_core.plain_files import open_plain
from jepa_core.recorded_numbers import encode
from jepa_core.rollback.going_on import no_recipe
from jepa_core.run_directory.bad_batches import BadBatch, bad_batches
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_core.run_directory.events import Event
from jepa_core.run_directory.layout import CHECKPOINTS, CONSOLE
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.stored_checkpoints import Newest, newest_verified

NUM_ROWS = 5
NUM_TRACE_LINES = 8
_BEGINNINGS = ("started", "resumed")
"""Events before which another process was at work, which ended otherwise."""
_RULES = ("must", "abort", "rollback", "scenario")
_CHAINED = "\nThe above exception was the direct cause of the following exception:\n"
_TRACEBACK = "Traceback (most recent call last):"
_CALL_OF_MODULE = "torch/nn/modules/module.py"
_MOST_LOG = 1 << 18


@attrs.frozen(kw_only=True)
class BadComponent:
    """The component at fault."""

    family: str
    name: str
    distribution: str
    version: str
    place: str
    """Such as "my_loss.py:41"; empty where it is not known."""
    remedy: str


@attrs.frozen(kw_only=True)
class NewestCheckpoint:
    """What there is to go on from."""

    step: int | None
    """None where no checkpoint verifies."""
    faults: tuple[str, ...]
    """What is wrong with newer ones."""
    lost_steps: int | None
    """Steps done after it, as far as rows and status tell; None where they do not."""
    lost_seconds: float | None
    """What these took, by the newest rows."""


@attrs.frozen(kw_only=True)
class Autopsy:
    """What is known of a run's end."""

    run: str
    path: Path
    recipe: str
    """The recipe's name."""
    death: Death
    step: int | None
    total_steps: int
    epoch: float | None
    last_event: Event | None
    rows: tuple[Mapping[str, float], ...]
    """The newest, oldest first."""
    not_finite: str
    """The first tensor that was not finite, in words; empty where none was."""
    batches: tuple[BadBatch, ...]
    """Those kept because something in them was not finite."""
    fired: tuple[Event, ...]
    """Of rules, in order."""
    component: BadComponent | None
    out_of_memory: Mapping[str, int]
    """Settings that may fit, where memory ran out."""
    traceback: tuple[str, ...]
    """Its last lines."""
    checkpoint: NewestCheckpoint
    unreadable: tuple[str, ...]
    """Files that could not be read, and why."""


def examine(run: Path, clock: Clock = SYSTEM_CLOCK) -> Autopsy:
    """Read what a run's files tell.

    Raises:
        RunDirectoryError: there is no run directory there.
    """
    reader = RunReader(run)
    status, unreadable = reader.status(), [fault] if (fault := no_recipe(run)) else list[str]()
    rows: deque[Mapping[str, float]] = deque(maxlen=NUM_ROWS)
    newest: dict[str, Event] = {}
    fired: list[Event] = []
    last: Event | None = None
    try:
        rows.extend(reader.rows())
    except RunDirectoryError as error:
        unreadable.append(str(error))
    try:
        for last in reader.events():
            if last.name in _BEGINNINGS:
                newest.clear()
            newest[last.name] = last
            if last.name.partition(" ")[0] in _RULES and " " in last.name:
                fired = [*fired[-99:], last]
    except RunDirectoryError as error:
        unreadable.append(str(error))
    death = death_of(reader, newest, last, clock)
    failed = newest.get("failed") if death.state == "failed" else None
    evidence: Mapping[str, Any] = failed.evidence if failed else {}
    # Rows may be newer than the status, which is written once a second.
    row = rows[-1] if rows else {}
    steps = [step for step in (status.step if status else None, _whole(row.get("step"))) if step is not None]
    # The step that was not finite may have a row, and has changed nothing.
    step = status.step if status and death.kind == "non-finite" else max(steps, default=None)
    epoch = row.get("epoch") if step is not None and _whole(row.get("step")) == step else None
    return Autopsy(
        run=reader.name,
        path=run,
        recipe=status.recipe if status else "",
        death=death,
        step=step,
        total_steps=status.total_steps if status else 0,
        epoch=status.epoch if status and epoch is None else epoch,
        last_event=last,
        rows=tuple(rows),
        not_finite=_not_finite(newest) if death.kind == "non-finite" else "",
        batches=bad_batches(run),
        fired=tuple(fired),
        component=_component(evidence.get("component")),
        out_of_memory=_settings(evidence.get("out_of_memory")),
        traceback=_traceback(run, evidence) if death.kind in {"component", "memory", "failed", "unknown"} else (),
        checkpoint=_checkpoint(run, step, rows),
        unreadable=tuple(unreadable),
    )


def autopsy_to_json(autopsy: Autopsy, commands: Mapping[str, str]) -> dict[str, Any]:
    """As plain values for JSON. `commands`: what to type next, and why."""
    plain = attrs.asdict(
        autopsy, value_serializer=lambda _, __, value: str(value) if isinstance(value, Path) else value
    )
    encoded: dict[str, Any] = encode(plain | {"next": [{"command": c, "why": why} for c, why in commands.items()]})
    return encoded


def _not_finite(newest: Mapping[str, Event]) -> str:
    events = [newest[name] for name in NOT_FINITE if name in newest]
    causes = [cause for event in events if isinstance(cause := event.evidence.get("cause"), str)]
    return causes[-1] if causes else ""


def _component(recorded: object) -> BadComponent | None:
    if not isinstance(recorded, dict):
        return None
    names = [attribute.name for attribute in attrs.fields(BadComponent)]
    return BadComponent(**{name: value if isinstance(value := recorded.get(name), str) else "" for name in names})


def _settings(recorded: object) -> dict[str, int]:
    known = ("train.batch_size", "train.accumulate")
    found = recorded if isinstance(recorded, dict) else {}
    return {key: value for key in known if isinstance(value := found.get(key), int) and 0 < value < 1 << 40}


def _traceback(run: Path, evidence: Mapping[str, Any]) -> tuple[str, ...]:
    """The last lines of that of the event, of the first exception of several; else of what console.log ends in."""
    recorded = evidence.get("traceback")
    told = recorded.partition(_CHAINED)[0] if isinstance(recorded, str) else _end_of_log(run)
    lines = [line for line in told[-(1 << 16) :].splitlines() if line.strip(" ^~\t")]
    # How torch calls a module says nothing, and takes many lines.
    of_torch = [index for index, line in enumerate(lines) if _CALL_OF_MODULE in line]
    kept = [line for index, line in enumerate(lines) if index not in of_torch and index - 1 not in of_torch]
    return tuple(kept[-NUM_TRACE_LINES:])


def _end_of_log(run: Path) -> str:
    try:
        with open_plain(run / CONSOLE) as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - _MOST_LOG))
            end = file.read(_MOST_LOG).decode(errors="replace")
    except OSError:
        return ""
    _, is_there, told = end.rpartition(_TRACEBACK)
    return told if is_there else ""


def _checkpoint(run: Path, step: int | None, rows: deque[Mapping[str, float]]) -> NewestCheckpoint:
    try:
        found = newest_verified(run / CHECKPOINTS)
    except CheckpointError as error:
        found = Newest(None, (str(error),))
    lost = None if step is None else max(0, step - (found.checkpoint.step if found.checkpoint else 0))
    times = [seconds for row in rows if math.isfinite(seconds := row.get("time.step", math.nan)) and seconds > 0]
    return NewestCheckpoint(
        step=found.checkpoint.step if found.checkpoint else None,
        faults=found.faults,
        lost_steps=lost,
        lost_seconds=None if lost is None or not times else lost * sorted(times)[len(times) // 2],
    )


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else None
