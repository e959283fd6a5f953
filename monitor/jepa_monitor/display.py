"""What the person at the screen has chosen to see: x axis, range, smoothing, filter, grid.

Frozen; each key gives a new one. Knows nothing of widgets or of runs.
"""

from __future__ import annotations

import re
from typing import Literal

import attrs

AxisKind = Literal["step", "epoch", "time"]
AXES: tuple[AxisKind, ...] = ("step", "epoch", "time")

Span = tuple[float, float]

SMOOTHINGS: tuple[tuple[str, float], ...] = (("off", 0.0), ("light", 0.6), ("medium", 0.9), ("strong", 0.97))
"""Name and weight of the past, of each kind of smoothing."""

MOST_COLUMNS = 9
MOST_ROWS = 9
_NARROWEST = 1e-6
"""Least width of the range, as a part of the whole."""


@attrs.frozen(kw_only=True)
class Display:
    """The choices that all charts share, and which charts have a logarithmic axis."""

    axis: AxisKind = "step"
    smoothing: int = 0
    """Index into `SMOOTHINGS`."""
    filter: str = ""
    """A regular expression over the names of metrics; empty for the charts that matter."""
    columns: int = 0
    """0: as many as fit well."""
    rows: int = 0
    log: frozenset[str] = frozenset()
    """Keys of the charts with a logarithmic axis."""
    span: Span | None = None
    """The part of x that is shown; all of it when None."""
    crosshair: float | None = None
    anchor: float | None = None
    """A second x, from which the crosshair's values are told as differences."""
    follow: bool = True
    """The range moves on with the newest row, and the screen into the run that continues this one."""

    @property
    def weight(self) -> float:
        """Of the past in smoothing."""
        return SMOOTHINGS[self.smoothing][1]

    def shown_span(self, whole: Span) -> Span:
        """The range of x on the screen, given the range of the run."""
        if self.span is None:
            return whole
        if not self.follow:
            return self.span
        width = self.span[1] - self.span[0]
        return whole[1] - width, whole[1]

    def with_next_axis(self) -> Display:
        """On the next kind of x; range and crosshair belonged to the last one."""
        following = AXES[(AXES.index(self.axis) + 1) % len(AXES)]
        return attrs.evolve(self, axis=following, span=None, crosshair=None, anchor=None, follow=True)

    def with_next_smoothing(self) -> Display:
        return attrs.evolve(self, smoothing=(self.smoothing + 1) % len(SMOOTHINGS))

    def with_log_toggled(self, key: str) -> Display:
        return attrs.evolve(self, log=self.log ^ {key})

    def zoomed(self, factor: float, whole: Span) -> Display:
        """The range `factor` times as wide, around the crosshair, else around its middle."""
        left, right = self.shown_span(whole)
        width = right - left
        centre = (left + right) / 2 if self.crosshair is None else min(max(self.crosshair, left), right)
        share = (centre - left) / width if width > 0 else 0.5
        wanted = max(width * factor, (whole[1] - whole[0]) * _NARROWEST)
        if wanted >= whole[1] - whole[0]:
            return self.whole()
        return self._moved_to(centre - share * wanted, wanted, whole)

    def panned(self, share: float, whole: Span) -> Display:
        """The range moved by a share of its width; nothing while all is in view."""
        if self.span is None:
            return self
        left, right = self.shown_span(whole)
        width = right - left
        return self._moved_to(left + share * width, width, whole)

    def whole(self) -> Display:
        """All of x, growing with the run."""
        return attrs.evolve(self, span=None, follow=True)

    def with_follow_toggled(self, whole: Span) -> Display:
        """What is on the screen stays when following ends."""
        shown = self.shown_span(whole)
        return attrs.evolve(self, follow=not self.follow, span=None if self.span is None else shown)

    def with_grid_changed(self, columns: int, rows: int, shown: tuple[int, int]) -> Display:
        """So many columns and rows more than those that are shown now."""
        wanted = shown[0] + columns, shown[1] + rows
        return attrs.evolve(
            self,
            columns=min(max(wanted[0], 1), MOST_COLUMNS) if columns else self.columns,
            rows=min(max(wanted[1], 1), MOST_ROWS) if rows else self.rows,
        )

    def with_crosshair_toggled(self, whole: Span) -> Display:
        left, right = self.shown_span(whole)
        return attrs.evolve(self, crosshair=(left + right) / 2 if self.crosshair is None else None, anchor=None)

    def with_anchor_toggled(self, whole: Span) -> Display:
        """The anchor where the crosshair stands, or none."""
        if self.anchor is not None:
            return attrs.evolve(self, anchor=None)
        shown = self if self.crosshair is not None else self.with_crosshair_toggled(whole)
        return attrs.evolve(shown, anchor=shown.crosshair)

    def with_crosshair_moved(self, share: float, whole: Span) -> Display:
        """By a share of the range, within it; from the right edge when there was none."""
        left, right = self.shown_span(whole)
        moved = (right if self.crosshair is None else self.crosshair) + share * (right - left)
        return attrs.evolve(self, crosshair=min(max(moved, left), right))

    def _moved_to(self, left: float, width: float, whole: Span) -> Display:
        """Kept within the run; at its end the range still stands."""
        left = min(max(left, whole[0]), max(whole[1] - width, whole[0]))
        return attrs.evolve(self, span=(left, left + width), follow=False)


def filter_pattern(text: str) -> re.Pattern[str]:
    """The expression that a filter stands for, case ignored.

    Raises:
        ValueError: it is not a regular expression, with what is wrong.
    """
    try:
        return re.compile(text[:200], re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"not a regular expression: {error}") from error
