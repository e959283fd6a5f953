"""A columnar copy of a long run's rows, so that it opens at once. It may be deleted at any time.

It lies in `.monitor-cache/` in the run's directory, or in the user's cache folder where that cannot be written. It
counts only while the metrics file still begins with what it was made from, told by the first and the last bytes; one
that is damaged, of another version or of other rows is no cache. The monitor alone writes it, as a whole:

    magic · length of the header · header (JSON) · arrays, in the machine's byte order · CRC-32 of all before it
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import sys
import tempfile
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

import attrs
import cattrs
import numpy as np
import orjson
from numpy.typing import NDArray

from jepa_core.plain_files import open_plain
from jepa_core.recorded_numbers import decode_row, encode
from jepa_core.run_directory.layout import METRICS
from jepa_core.run_directory.reading import RowsPosition
from jepa_core.run_directory.tail import TailPosition, is_same_file
from jepa_monitor.history.column import Column
from jepa_monitor.history.run_history import RunHistory
from jepa_monitor.history.timeline import Timeline
from jepa_monitor.history.training_clock import TrainingClock

FOLDER = ".monitor-cache"
FILE = "metrics-1.columns"

_MAGIC = f"jepa columns 2 {sys.byteorder}\n".encode()
_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
_MAX_HEADER = 4 << 20
_UNREADABLE = (OSError, ValueError, TypeError, KeyError, MemoryError, cattrs.BaseValidationError)
_BYTES_PER_RECORDED_BYTE = 16
"""No row takes more room in columns than that many times its line."""


@attrs.frozen(kw_only=True)
class CachedHistory:
    """What a cache holds."""

    history: RunHistory
    position: RowsPosition
    """How far the rows go."""


@attrs.frozen(kw_only=True)
class _TimelineShape:
    names: tuple[str, ...]
    length: int = attrs.field(validator=attrs.validators.ge(0))


@attrs.frozen(kw_only=True)
class _Header:
    num_rows: int
    offset: int
    head: str
    last: str
    skipping: bool
    too_long: int
    unreadable: int
    has_passed_over: bool
    clock: dict[str, Any]
    finals: dict[str, Any]
    timelines: tuple[_TimelineShape, ...]
    """The first one is of the rows without metrics."""

    @property
    def position(self) -> RowsPosition:
        tail = TailPosition(
            offset=self.offset,
            head=bytes.fromhex(self.head),
            last=bytes.fromhex(self.last),
            skipping=self.skipping,
            too_long=self.too_long,
        )
        return RowsPosition(tail=tail, unreadable=self.unreadable)

    @property
    def num_bytes(self) -> int:
        """Length of the arrays."""
        return sum(shape.length * (4 + 8 * (3 + len(shape.names))) for shape in self.timelines)


class HistoryCache:
    """The cache of one run. Nothing here raises: a cache that cannot be read or written is none."""

    def __init__(self, run: Path, user_caches: Path | None = None) -> None:
        """`user_caches` is where the caches of runs lie that cannot be written to."""
        self._metrics = run / METRICS
        self._places = (run / FOLDER, (user_caches or _user_caches()) / _key(run))

    def load(self) -> CachedHistory | None:
        """The rows cached, if they are still those of the metrics file."""
        for place in self._places:
            with contextlib.suppress(*_UNREADABLE), open_plain(place / FILE) as file:
                return self._read(file)
        return None

    def save(self, history: RunHistory, position: RowsPosition) -> bool:
        """Replace the cache by the rows of `history`, read up to `position`; whether it is written now."""
        if not self._metrics.is_file():
            return False  # making a folder would bring back a run's directory that was deleted
        header = _header_of(history, position)
        for place in self._places:
            with contextlib.suppress(OSError):
                if place.is_symlink():
                    continue
                place.mkdir(parents=True, exist_ok=True)
                _replace(place / FILE, header, history)
                return True
        return False

    def _read(self, file: BufferedReader) -> CachedHistory:
        """
        Raises:
            ValueError: it is damaged, or of other rows; and whatever a header of wrong types raises.
        """
        opening = file.read(len(_MAGIC) + _LENGTH.size)
        if len(opening) < len(_MAGIC) + _LENGTH.size or not opening.startswith(_MAGIC):
            raise ValueError("not a cache of this version")
        (length,) = _LENGTH.unpack(opening[len(_MAGIC) :])
        text = file.read(min(length, _MAX_HEADER))
        header = cattrs.structure(orjson.loads(text), _Header)
        size = len(opening) + len(text) + header.num_bytes + _CRC.size
        if os.fstat(file.fileno()).st_size != size or header.num_bytes > _BYTES_PER_RECORDED_BYTE * header.offset:
            raise ValueError("its length does not fit")
        if not self._is_of_these_rows(header.position):
            raise ValueError("of other rows")
        history = _read_history(file, header, zlib.crc32(text, zlib.crc32(opening)))
        return CachedHistory(history=history, position=header.position)

    def _is_of_these_rows(self, position: RowsPosition) -> bool:
        with open_plain(self._metrics) as metrics:
            is_within = 0 <= position.tail.offset <= os.fstat(metrics.fileno()).st_size
            return is_within and is_same_file(metrics.fileno(), position.tail)


def _read_history(file: BufferedReader, header: _Header, crc: int) -> RunHistory:
    timelines = []
    for shape in header.timelines:
        timeline = Timeline(shape.names)
        for column in _columns(timeline):
            room = column.room_for(shape.length).view(np.uint8).data
            file.readinto(room)
            crc = zlib.crc32(room, crc)
        timelines.append(timeline)
    if file.read(_CRC.size) != _CRC.pack(crc):
        raise ValueError("damaged")
    if not all(_are_rows(timeline.rows.prefix(), header.num_rows) for timeline in timelines):
        raise ValueError("rows out of order")
    clock = TrainingClock(is_regular=header.clock["is_regular"] is True, **decode_row(header.clock))
    history = RunHistory.restored(timelines[1:], timelines[0], clock, decode_row(header.finals), header.num_rows)
    history.has_passed_over = header.has_passed_over
    return history


def _are_rows(rows: NDArray[np.int32], num_rows: int) -> bool:
    return not len(rows) or (rows[0] >= 0 and rows[-1] < num_rows and bool((rows[1:] > rows[:-1]).all()))


def _header_of(history: RunHistory, position: RowsPosition) -> bytes:
    tail = position.tail
    header = _Header(
        num_rows=history.num_rows,
        offset=tail.offset,
        head=tail.head.hex(),
        last=tail.last.hex(),
        skipping=tail.skipping,
        too_long=tail.too_long,
        unreadable=position.unreadable,
        has_passed_over=history.has_passed_over,
        clock=attrs.asdict(history.clock),
        finals=history.finals,
        timelines=tuple(
            _TimelineShape(names=tuple(timeline.values), length=len(timeline.rows))
            for timeline in (history.bare, *history.timelines)
        ),
    )
    return orjson.dumps(encode(attrs.asdict(header)))


def _replace(path: Path, header: bytes, history: RunHistory) -> None:
    """Write beside `path` and rename into place; nothing else is left when that fails."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            crc = 0
            parts: tuple[bytes | memoryview, ...] = (_MAGIC, _LENGTH.pack(len(header)), header, *_arrays(history))
            for part in parts:
                crc = zlib.crc32(part, crc)
                file.write(part)
            file.write(_CRC.pack(crc))
            file.flush()
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _arrays(history: RunHistory) -> Iterator[memoryview]:
    for timeline in (history.bare, *history.timelines):
        for column in _columns(timeline):
            yield column.prefix().data


def _columns(timeline: Timeline) -> tuple[Column, ...]:
    return (timeline.rows, timeline.steps, timeline.epochs, timeline.seconds, *timeline.values.values())


def _user_caches() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jepa-monitor"


def _key(run: Path) -> str:
    return hashlib.sha256(os.fsencode(run.resolve())).hexdigest()[:32]
