"""Reading a run directory, live, finished, crashed, half copied or damaged, and never writing to it."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import attrs
import orjson

from jepa_core.errors import RunDirectoryError
from jepa_core.plain_files import NotPlainError, open_plain, read_plain
from jepa_core.recipes.bounded_toml import parsed_toml
from jepa_core.recorded_numbers import decode_row
from jepa_core.run_directory.children import told_status
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_core.run_directory.events import Event, event_from_json
from jepa_core.run_directory.layout import ENVIRONMENT, EVENTS, METRICS, RECIPE, VERDICT, is_run
from jepa_core.run_directory.status import ShownState, Status, shown_state
from jepa_core.run_directory.tail import NewLines, Tail, TailPosition
from jepa_core.visible_text import own_command
from jepa_core.watch.nulls import RankedNulls
from jepa_core.watch.verdict import Headline, Verdict, headline_from_json, verdict_from_json

Found = TypeVar("Found")

_NEXT = ("audit", "autopsy", "eval", "monitor", "recipe", "rollback", "run")
"""Commands that a verdict may say to type next."""

MAX_FILE = 4 << 20
"""Most bytes of a verdict or an environment that are read."""

MAX_RECIPE = 1 << 18

MAX_EVENTS = 8 << 20
"""Newest bytes of events that are read: tens of thousands, where a run has some hundred."""


@attrs.frozen(kw_only=True)
class News:
    """What came since the last poll."""

    rows: tuple[dict[str, float], ...]
    events: tuple[Event, ...]
    rows_restarted: bool
    """Forget all earlier rows: the file was replaced, or cut back by a resume. `rows` start from its beginning."""
    events_restarted: bool
    more: bool
    """There is more to read already."""


@attrs.frozen(kw_only=True)
class RowsPosition:
    """How far the rows of a run were read."""

    tail: TailPosition
    unreadable: int
    """Lines before it that were no rows."""


class RunReader:
    """One run directory, read."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            RunDirectoryError: there is no run directory there.
        """
        if not is_run(path):
            raise RunDirectoryError(
                f"{path} is not a run directory: it has no status.json, metrics.jsonl or recipe.toml."
            )
        self.path = path
        self.damaged = 0
        """Lines of rows and events that could not be read, of those polled so far."""
        self._rows = _Records(path / METRICS)
        self._events = _Records(path / EVENTS, newest_bytes=MAX_EVENTS)

    @property
    def name(self) -> str:
        # Whatever folders above it are links to, its name is the last one.
        is_told = self.path.name not in ("", "..") and not self.path.is_symlink()
        return self.path.name if is_told else self.path.resolve().name

    def poll(self) -> News:
        """Rows and events since the last poll."""
        rows, events = self._rows.poll(), self._events.poll()
        self.damaged = self._rows.damaged + self._events.damaged
        return News(
            rows=tuple(map(decode_row, rows.records)),
            events=tuple(map(event_from_json, events.records)),
            rows_restarted=rows.restarted,
            events_restarted=events.restarted,
            more=rows.more or events.more,
        )

    @property
    def events_passed_over(self) -> int:
        """Bytes of events before the newest `MAX_EVENTS` of them, which are not read; so far as was polled."""
        return self._events.passed_over

    @property
    def rows_position(self) -> RowsPosition:
        """Where the next poll goes on with rows."""
        return self._rows.position

    def go_on_from(self, position: RowsPosition) -> None:
        """Take the rows before `position` as read. The next poll says `rows_restarted` when they are others now."""
        self._rows.go_on_from(position)

    def rows(self, *, containing: str = "") -> Iterator[dict[str, float]]:
        """All rows so far, from the first; with `containing`, only those whose line has that text.

        Raises:
            RunDirectoryError: the file is no plain one.
        """
        for record in _Records(self.path / METRICS, [containing] if containing else ()).all():
            yield decode_row(record)

    def events(self) -> Iterator[Event]:
        """All events so far, from the first; of a file of more than `MAX_EVENTS` bytes the newest.

        Raises:
            RunDirectoryError: the file is no plain one.
        """
        for record in _Records(self.path / EVENTS, newest_bytes=MAX_EVENTS).all():
            yield event_from_json(record)

    def last_events(self, count: int) -> tuple[Event, ...]:
        """Up to `count` newest events, oldest first."""
        return tuple(deque(self.events(), maxlen=count))

    def status(self) -> Status | None:
        """What is to be told of it, see `told_status`; None when that is missing or damaged."""
        return told_status(self.path)

    def state(self, clock: Clock = SYSTEM_CLOCK) -> ShownState:
        """The state as it should be told: also stale, crashed, or unknown."""
        return shown_state(self.status(), clock)

    def verdict(self) -> Verdict | None:
        """The verdict; None when there is none yet. What it says to type next may be a stranger's word: it is a
        command of this program, or nothing, and names no plugin file.

        Raises:
            RunDirectoryError: verdict.json is damaged.
        """
        found = self._verdict_as(verdict_from_json)
        return found and attrs.evolve(found, next=own_command(found.next, _NEXT))

    def headline(self) -> Headline | None:
        """What a list of runs has of the verdict; None when there is none yet.

        Raises:
            RunDirectoryError: verdict.json is damaged.
        """
        return self._verdict_as(headline_from_json)

    def _verdict_as(self, structured: Callable[[Any], Found]) -> Found | None:
        path = self.path / VERDICT
        try:
            return structured(orjson.loads(read_plain(path, MAX_FILE)))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RunDirectoryError(f"{path} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            # The decoder's words are of bytes and fields, which nobody mends by hand.
            raise RunDirectoryError(f"{path} is damaged: it holds no verdict that can be read.") from error

    def recipe(self) -> dict[str, Any]:
        """The resolved recipe as plain tables; empty when it is missing or damaged."""
        try:
            return parsed_toml(read_plain(self.path / RECIPE, MAX_RECIPE).decode())
        except (OSError, ValueError):
            return {}

    def environment(self) -> dict[str, Any]:
        """Versions, devices, command line, data fingerprint; empty when missing or damaged."""
        try:
            recorded = orjson.loads(read_plain(self.path / ENVIRONMENT, MAX_FILE))
        except (OSError, ValueError):
            return {}
        return recorded if isinstance(recorded, dict) else {}

    def nulls(self) -> RankedNulls:
        """The nulls of the run; of one made by an earlier version counting equal cells, as its rows say."""
        recorded = RankedNulls.from_environment(self.environment())
        if recorded is not None:
            return recorded
        return RankedNulls.from_first_row(next(self.rows(containing="val.retrieval.baseline_mrr"), {}))


@attrs.frozen(kw_only=True)
class NewRows:
    """Rows since the last poll."""

    rows: tuple[dict[str, float], ...]
    restarted: bool
    """Forget all earlier rows. `rows` start from the file's beginning."""
    more: bool
    """There is more to read already."""


class RowsReader:
    """One metrics file, polled."""

    def __init__(self, path: Path, *, containing: Collection[str] = ()) -> None:
        """With `containing`, only rows whose line has one of these texts are read."""
        self._records = _Records(path, containing)

    def poll(self) -> NewRows:
        """Rows since the last poll."""
        new = self._records.poll()
        return NewRows(rows=tuple(map(decode_row, new.records)), restarted=new.restarted, more=new.more)


class RecordedRows:
    """The rows of a metrics file, from the first each time they are gone through; none where there is no file."""

    def __init__(self, path: Path, *, follow_links: bool = False) -> None:
        """`follow_links` is for a file that the user names."""
        self._path, self._follow_links = path, follow_links
        self.num_rows = 0
        """So far, of the last time; and lines that could not be read."""
        self.damaged = 0
        self.is_cut_off = False
        """Its last line has no end."""

    def __iter__(self) -> Iterator[dict[str, float]]:
        """
        Raises:
            RunDirectoryError: it is no plain file.
        """
        self.num_rows = self.damaged = 0
        self.is_cut_off = False
        records = _Records(self._path, follow_links=self._follow_links)
        for record in records.all():
            self.num_rows += 1
            self.damaged = records.damaged
            yield decode_row(record)
        self.damaged = records.damaged
        with suppress(OSError):
            self.is_cut_off = self._path.stat().st_size > records.position.tail.offset


@attrs.frozen(kw_only=True)
class _NewRecords:
    records: tuple[dict[str, Any], ...]
    restarted: bool
    more: bool


class _Records:
    """The JSON objects of a file of lines; counts the lines that are none."""

    def __init__(
        self,
        path: Path,
        containing: Collection[str] = (),
        *,
        newest_bytes: int | None = None,
        follow_links: bool = False,
    ) -> None:
        self._tail = Tail(path, newest_bytes=newest_bytes, follow_links=follow_links)
        self._follow_links = follow_links
        self._containing = [text.encode() for text in containing]
        self._unreadable = 0

    @property
    def damaged(self) -> int:
        return self._unreadable + self._tail.too_long

    @property
    def passed_over(self) -> int:
        return self._tail.passed_over

    @property
    def position(self) -> RowsPosition:
        return RowsPosition(tail=self._tail.position, unreadable=self._unreadable)

    def go_on_from(self, position: RowsPosition) -> None:
        self._tail.go_on_from(position.tail)
        self._unreadable = position.unreadable

    def poll(self) -> _NewRecords:
        return self._parsed(self._tail.poll())

    def all(self) -> Iterator[dict[str, Any]]:
        """
        Raises:
            RunDirectoryError: what is there is no plain file. Whoever polls is told of no records: it may become one.
        """
        path = self._tail.path
        try:
            open_plain(path, follow_links=self._follow_links).close()
        except NotPlainError as error:
            raise RunDirectoryError(f"{path} cannot be read: {error.strerror}.") from error
        except OSError:
            return
        more = True
        while more:
            new = self.poll()
            more = new.more
            yield from new.records

    def _parsed(self, new: NewLines) -> _NewRecords:
        if new.restarted:
            self._unreadable = 0
        records = []
        for line in new.lines:
            if self._containing and not any(text in line for text in self._containing):
                continue
            record = _parse(line)
            if record is None:
                self._unreadable += 1
            else:
                records.append(record)
        return _NewRecords(records=tuple(records), restarted=new.restarted, more=new.more)


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        record = orjson.loads(line)
    except ValueError:
        record = _with_bare_numbers(line)
    return record if isinstance(record, dict) else None


def _with_bare_numbers(line: bytes) -> object:
    """A line with NaN or Infinity as Python's own writer leaves them, which JSON does not have: a row that says that a
    loss is not a number must not be lost. None for any other fault."""
    if b"NaN" not in line and b"Infinity" not in line:
        return None
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
