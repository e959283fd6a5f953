"""The newest rows that each rank of a run on several processes recorded of itself, live or replayed.

Knows nothing of what they say: see `model.ranks`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import attrs

from jepa_core.plain_files import open_plain
from jepa_core.recorded_numbers import decode_row
from jepa_core.run_directory.layout import rank_metrics, recorded_ranks
from jepa_core.run_directory.tail import MAX_LINE, Tail
from jepa_core.run_directory.watched_file import Signature, signature
from jepa_monitor.feed.newest_lines import decode_record

NEWEST_ROWS = 40
"""Rows of a rank that are kept."""
MOST_RANKS = 1024
"""Ranks that are read; further ones are passed over."""

_FIGURES = ("step", "epoch", "loss.total", "time.step", "time.data", "time.wait", "memory.device_gib")
_NEWEST_BYTES = 1 << 14
"""Read of a file when it is first opened: it may be long, and only its end is shown."""
_PART_BYTES = 1 << 16
"""Held of each file while a run is replayed."""


@attrs.frozen(kw_only=True)
class RankRows:
    """What one rank recorded."""

    rank: int
    rows: tuple[Mapping[str, float], ...]
    """The newest, oldest first, each with its step."""


class RankFiles:
    """The files of all ranks, followed; each is read only when it changed."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._listed: Signature = None
        self._followed: dict[int, _FollowedRank] = {}
        self.content: tuple[RankRows, ...] = ()
        self.refresh()

    def refresh(self) -> bool:
        """Read what came; whether anything did."""
        now = signature(self._run)
        is_new = now != self._listed and self._list()
        self._listed = now
        for followed in self._followed.values():
            is_new |= followed.refresh()
        if is_new:
            self.content = tuple(followed.rows() for followed in self._followed.values())
        return is_new

    def _list(self) -> bool:
        """Look which files there are; whether they are others than before."""
        ranks = recorded_ranks(self._run)[:MOST_RANKS]
        if ranks == tuple(self._followed):
            return False
        self._followed = {
            rank: self._followed.get(rank) or _FollowedRank(rank, self._run / rank_metrics(rank)) for rank in ranks
        }
        return True


class RecordedRanks:
    """The files of all ranks, read once from their beginnings, up to the step at which a replay stands."""

    def __init__(self, run: Path) -> None:
        self._played = [_PlayedRank(rank, run / rank_metrics(rank)) for rank in recorded_ranks(run)[:MOST_RANKS]]
        self.content: tuple[RankRows, ...] = tuple(played.rows() for played in self._played)

    def advance(self, step: float, most: int) -> None:
        """Take in the rows up to `step`, about `most` at a time; all ranks equally many, so that none seems silent."""
        most_each = max(most // max(len(self._played), 1), 1)
        have_advanced = [played.advance(step, most_each) for played in self._played]
        if any(have_advanced):
            self.content = tuple(played.rows() for played in self._played)


class _Rank:
    """The newest rows of one rank so far."""

    def __init__(self, rank: int) -> None:
        self._rank = rank
        self._rows: deque[Mapping[str, float]] = deque(maxlen=NEWEST_ROWS)

    def rows(self) -> RankRows:
        return RankRows(rank=self._rank, rows=tuple(self._rows))


class _FollowedRank(_Rank):
    """One file, from near its end on."""

    def __init__(self, rank: int, path: Path) -> None:
        super().__init__(rank)
        self._path = path
        self._seen: Signature = None
        self._tail = Tail(path, newest_bytes=_NEWEST_BYTES)

    def refresh(self) -> bool:
        """Read what came; whether anything did."""
        now = signature(self._path)
        if now == self._seen:
            return False
        self._seen = now
        new = self._tail.poll()
        if new.restarted:
            self._rows.clear()
        self._rows.extend(_rows(new.lines))
        return True


class _PlayedRank(_Rank):
    """One file, row by row from its beginning."""

    def __init__(self, rank: int, path: Path) -> None:
        super().__init__(rank)
        self._coming = _rows(_lines(path))
        self._next = next(self._coming, None)

    def advance(self, step: float, most: int) -> bool:
        """Take in up to `most` rows up to `step`; whether there were any."""
        taken = 0
        while taken < most and self._next is not None and self._next["step"] <= step:
            self._rows.append(self._next)
            self._next = next(self._coming, None)
            taken += 1
        return taken > 0


def _lines(path: Path) -> Iterator[bytes]:
    """The complete lines of a file, of which only a part is held at a time, and which is open only while that is read:
    there may be very many of them."""
    offset, rest = 0, b""
    while len(rest) <= MAX_LINE:
        try:
            with open_plain(path) as file:
                file.seek(offset)
                part = file.read(_PART_BYTES)
        except OSError:
            return
        if not part:
            return
        offset += len(part)
        *lines, rest = (rest + part).split(b"\n")
        yield from lines


def _rows(lines: Iterable[bytes]) -> Iterator[Mapping[str, float]]:
    """The figures that are shown, of every line that is a row with a finite step."""
    for line in lines:
        row = decode_row(decode_record(line) or {})
        if 0 <= row.get("step", -1.0) < math.inf:
            yield {name: row[name] for name in _FIGURES if name in row}
