"""Where a run comes from: its directory as it grows, or a recording played again. The model does not know which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import attrs

from jepa_core.run_directory.events import Event
from jepa_core.run_directory.reading import RowsPosition
from jepa_core.run_directory.status import ShownState, Status
from jepa_core.watch.verdict import Verdict
from jepa_monitor.feed.rank_rows import RankRows


@attrs.frozen(kw_only=True, eq=False)
class Surroundings:
    """What lies beside the rows and events of a run. While none of it changes, the same object is given out."""

    is_there: bool = True
    """Whether there is a run directory. While there is none, all but the status is as it was last."""
    status: Status | None = None
    verdict: Verdict | None = None
    recipe: Mapping[str, Any] = attrs.field(factory=dict)
    """The resolved recipe; the same object until the file changes. Empty when it is missing or damaged."""
    environment: Mapping[str, Any] = attrs.field(factory=dict)
    diagnosis: Mapping[str, Any] = attrs.field(factory=dict)
    """The newest row of diagnostics.jsonl, non-finite figures as floats."""
    console: tuple[str, ...] = ()
    """The newest lines of console.log."""
    ranks: tuple[RankRows, ...] = ()
    """What each rank recorded of itself, in their order; none where the run has one process."""
    problems: tuple[str, ...] = ()
    """What could not be read, in words."""


@attrs.frozen(kw_only=True, eq=False)
class News:
    """What came since the last poll, and how things stand."""

    rows: tuple[dict[str, float], ...]
    events: tuple[Event, ...]
    rows_restarted: bool
    """Forget all earlier rows; `rows` start from the first."""
    events_restarted: bool
    """Forget all earlier events; `events` start from the first."""
    more: bool
    """There is more to read already."""
    damaged: int
    """Lines that could not be read so far."""
    surroundings: Surroundings
    state: ShownState
    heartbeat_age: float | None
    """Seconds since the last sign of life, never negative; None when there was none."""


class Feed(Protocol):
    """One run."""

    @property
    def replay_position(self) -> str:
        """Where a replay stands, in words; empty when the run is followed live."""
        ...

    @property
    def rows_position(self) -> RowsPosition | None:
        """How far rows were read in the metrics file; None when they do not come straight from there."""
        ...

    def go_on_from(self, position: RowsPosition) -> None:
        """Take the rows before `position` as read."""
        ...

    def poll(self) -> News:
        """What came since the last poll. Reads a bounded part, and never raises because of what it finds."""
        ...
