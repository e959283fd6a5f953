"""Following a growing file of lines, whatever happens to it: cut off mid-line, truncated, replaced, deleted, damaged.

Only complete lines are given out. Memory is bounded: a line longer than `MAX_LINE` is passed over, and one poll reads
at most `POLL_BYTES`. Polling beats notification, which misses the writes of other NFS clients.
"""

from __future__ import annotations

import os
from pathlib import Path

import attrs

from jepa_core.plain_files import plain_descriptor

MAX_LINE = 1 << 20
"""Longest line that is given out, in bytes."""

POLL_BYTES = 1 << 20
"""Most bytes that one poll reads, give or take a line: decoded they take ten times as much memory."""

_WITNESS = 256


@attrs.frozen(kw_only=True)
class NewLines:
    """What a poll found."""

    lines: tuple[bytes, ...]
    restarted: bool
    """The file is another one than before: forget what it gave so far. `lines` start from its beginning."""
    more: bool
    """There is more to read already."""


@attrs.frozen(kw_only=True)
class TailPosition:
    """How far a file was read, and the bytes by which it is known again."""

    offset: int
    head: bytes
    """The first bytes of what was read."""
    last: bytes
    """The last bytes of what was read."""
    skipping: bool
    """The offset lies within a line that is passed over."""
    too_long: int


def is_same_file(descriptor: int, position: TailPosition) -> bool:
    """Whether what was read up to `position` is still there, by its first and last bytes: an inode's number may be
    used again."""
    last_at = position.offset - len(position.last)
    return (
        os.pread(descriptor, len(position.head), 0) == position.head
        and os.pread(descriptor, len(position.last), last_at) == position.last
    )


class Tail:
    """Reads one file from its beginning, poll by poll."""

    def __init__(
        self,
        path: Path,
        *,
        newest_bytes: int | None = None,
        follow_links: bool = False,
    ) -> None:
        """
        Args:
            path: the file.
            newest_bytes: of a longer file, reading begins with the first whole line among its last so many bytes.
            follow_links: as of `plain_descriptor`.
        """
        self.path = path
        self._follow_links = follow_links
        self._newest_bytes = newest_bytes
        self._forget()

    @property
    def position(self) -> TailPosition:
        """Where the next poll goes on."""
        return TailPosition(
            offset=self._offset,
            head=self._head,
            last=self._last,
            skipping=self._skipping,
            too_long=self.too_long,
        )

    def go_on_from(self, position: TailPosition) -> None:
        """Take what lies before `position` as read. The next poll says `restarted` when the file is another one."""
        self._offset, self._head, self._last = position.offset, position.head, position.last
        self._skipping, self.too_long = position.skipping, position.too_long

    def _forget(self) -> None:
        self._offset = 0
        self._head = b""
        self._last = b""
        self._skipping = False
        self.too_long = 0
        """Lines passed over because of their length."""
        self.passed_over = 0
        """Bytes at the beginning that were not read, since they are not among the newest."""

    def poll(self) -> NewLines:
        """The complete lines since the last poll."""
        try:
            descriptor = plain_descriptor(self.path, follow_links=self._follow_links)
        except FileNotFoundError:
            return self._gone()
        except OSError:
            return NewLines(lines=(), restarted=False, more=False)
        lines: list[bytes] = []
        restarted = more = False
        try:
            restarted = not is_same_file(descriptor, self.position)
            if restarted:
                self._forget()
            if self._newest_bytes is not None and self._offset == 0:
                self._begin_near_end(descriptor, self._newest_bytes)
            more = self._read(descriptor, lines)
        except OSError:
            more = False  # what was read so far counts; the next poll goes on from there
        finally:
            os.close(descriptor)
        return NewLines(lines=tuple(lines), restarted=restarted, more=more)

    def _gone(self) -> NewLines:
        restarted = self._offset > 0
        self._forget()
        return NewLines(lines=(), restarted=restarted, more=False)

    def _begin_near_end(self, descriptor: int, num_bytes: int) -> None:
        start = os.fstat(descriptor).st_size - num_bytes
        if start <= 0:
            return
        witness = min(_WITNESS, start)
        self._head = os.pread(descriptor, witness, 0)
        self._last = os.pread(descriptor, witness, start - witness)
        # Within a line, most likely.
        self._offset, self._skipping, self.passed_over = start, True, start

    def _read(self, descriptor: int, lines: list[bytes]) -> bool:
        """Add the complete lines to `lines`; whether there is more to read already."""
        budget = POLL_BYTES
        while budget > 0:
            chunk = os.pread(descriptor, MAX_LINE + 1, self._offset)
            complete = chunk.rfind(b"\n") + 1
            if complete:
                self._take(chunk[:complete], lines)
            elif len(chunk) > MAX_LINE:
                self._pass_over(chunk)
            else:
                return False
            budget -= len(chunk)
        return True

    def _take(self, complete: bytes, lines: list[bytes]) -> None:
        new = complete[:-1].split(b"\n")
        if self._skipping:
            del new[0]
            self._skipping = False
        lines.extend(new)
        self._advance(complete)

    def _pass_over(self, chunk: bytes) -> None:
        if not self._skipping:
            self.too_long += 1
        self._skipping = True
        self._advance(chunk)

    def _advance(self, consumed: bytes) -> None:
        if len(self._head) < _WITNESS:
            self._head = (self._head + consumed)[:_WITNESS]
        self._last = (self._last + consumed[-_WITNESS:])[-_WITNESS:]
        self._offset += len(consumed)
