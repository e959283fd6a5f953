"""What was measured, as plain figures."""

from __future__ import annotations

from typing import Any

import attrs

MS = 1e3
"""Milliseconds of a second."""


@attrs.frozen(kw_only=True)
class Row:
    """One way to do the work."""

    way: str
    ms: float | None = None
    """Median; None where it was not or could not be measured."""
    per_second: float | None = None
    """Items of the case's unit."""
    ratio: float | None = None
    """The time of the case's yardstick over this one: above 1 is faster."""
    peak_mib: float | None = None
    """Most memory, on CUDA: of a part above its inputs, of a step all of it."""
    share_of_floor: float | None = None
    """The least possible time over this one."""
    first_s: float | None = None
    """Seconds of the first call, in which what is compiled is compiled."""
    note: str = ""
    """What else is to be known: why there is no time, for one."""
    is_failure: bool = False
    """Whether there is no time because something went wrong that should not."""


@attrs.frozen(kw_only=True)
class Result:
    """All ways at one size."""

    part: str
    case: str
    """The size, in words."""
    unit: str = ""
    """What `per_second` counts, in the plural."""
    yardstick: str = ""
    """The way that ratios are to."""
    rows: tuple[Row, ...]
    floor_ms: float | None = None
    """The least time that the device takes, by what it reached in `Rates`."""
    floor: str = ""
    """What the floor counts, in words."""

    def related(self) -> Result:
        """The same with every row's ratio and share filled in."""
        base = next((row.ms for row in self.rows if row.way == self.yardstick), None)
        rows = tuple(
            attrs.evolve(
                row,
                ratio=base / row.ms if base and row.ms else None,
                share_of_floor=self.floor_ms / row.ms if self.floor_ms and row.ms else None,
            )
            for row in self.rows
        )
        return attrs.evolve(self, rows=rows)


@attrs.frozen(kw_only=True)
class Rates:
    """What the device reached in this process."""

    flop_per_s: float
    number_format: str
    """Of the matrix product that was timed: "bf16", or "fp32" on a CPU."""
    bytes_per_s: float
    """Read and written by a large copy."""

    def least_ms(self, flop: float, num_bytes: float) -> float | None:
        """The longer of what the operations and the bytes take; None where there are neither."""
        return MS * max(flop / self.flop_per_s, num_bytes / self.bytes_per_s) or None


@attrs.frozen(kw_only=True)
class Report:
    """A whole `jepa bench`."""

    machine: dict[str, str]
    rates: Rates
    is_quick: bool
    results: tuple[Result, ...]
    errors: tuple[str, ...] = ()
    """Of parts that could not be timed to their end."""

    @property
    def has_failure(self) -> bool:
        """Whether some part or way that should work did not."""
        return bool(self.errors) or any(row.is_failure for result in self.results for row in result.rows)

    def as_json(self) -> dict[str, Any]:
        """Plain tables."""
        return attrs.asdict(self)
