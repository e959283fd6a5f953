"""The line that is there only when something has to be said: a value that is not finite, a run that is gone, damage.

Of the first value that is not finite: which metric, when, and what the others were before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np

from jepa_core.figures import figure_text
from jepa_core.run_directory.naming import typed_name
from jepa_monitor.history.series import Series
from jepa_monitor.model.run_view import HistoryView, RunView
from jepa_monitor.panels.line import Line, Span, foreign, line

_TOLD_BESIDE = ("loss.total", "grad.norm", "val.retrieval.mrr", "rank.context", "lr")
"""Metrics whose last finite values are told; losses come before them."""
_MOST_TOLD = 5


def notice_line(
    view: RunView | None, problem: str, non_finite: NonFinite | None, width: int, newer: str = ""
) -> Line | None:
    """The most important thing to say; None when all is well.

    Args:
        problem: why the run cannot be read now.
        newer: that another run has begun after this one.
    """
    words = problem or (_words(view) if view else "")
    if view is not None and non_finite is not None and not problem:
        return non_finite_line(non_finite, view, width)
    if words:
        return line(Span(" ▲ ", "warning", is_bold=True), Span(foreign(words, max(width, 1)), "warning")).fitted(width)
    if view is not None and view.judged_rows is not None:
        share = f"{view.judged_rows:,} of {view.history.num_rows:,} rows judged so far"
        return line(Span(f" ◌ {share}", "dim")).fitted(width)
    further = newer or (_what_to_do(view) if view else "")
    if further:
        return line(Span(f" ▸ {foreign(further, max(width, 1))}", "accent")).fitted(width)
    return None


def _what_to_do(view: RunView) -> str:
    """About a run that came to a bad end; empty while all is well."""
    if view.state not in ("crashed", "failed") or view.replay_position:
        return ""
    return f"jepa autopsy {typed_name(Path(view.path))} says why it died, and how to go on"


def _words(view: RunView) -> str:
    if view.problems:
        return "; ".join(view.problems[:3])
    return f"{view.damaged} damaged {'line' if view.damaged == 1 else 'lines'} passed over" if view.damaged else ""


@attrs.frozen(kw_only=True)
class NonFinite:
    """Where it began."""

    name: str
    value: float
    step: float
    finite: tuple[tuple[str, float], ...]
    """Other metrics, and their last finite values at or before that step."""


class NonFiniteWatch:
    """Looks through what is new of every series, and keeps the first finding."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._found: NonFinite | None = None

    def observe(self, history: HistoryView) -> NonFinite | None:
        """The first non-finite value so far; None while all are finite."""
        if any(len(series) < self._seen.get(series.name, 0) for series in _all(history)):
            self._seen, self._found = {}, None
        if self._found is not None:
            return self._found
        bad = [found for series in _all(history) if (found := self._first_in(series)) is not None]
        if bad:
            step, _, name, value = min(bad)
            self._found = NonFinite(name=name, value=value, step=step, finite=_finite_before(history, step, name))
        return self._found

    def _first_in(self, series: Series) -> tuple[float, bool, str, float] | None:
        """Step, whether it is a sum of others, name, value."""
        start = self._seen.get(series.name, 0)
        self._seen[series.name] = len(series)
        bad = np.flatnonzero(~np.isfinite(series.values[start:]))
        if not len(bad):
            return None
        index = start + int(bad[0])
        return float(series.steps[index]), series.name.endswith("total"), series.name, float(series.values[index])


def non_finite_line(found: NonFinite, view: RunView, width: int) -> Line:
    """The event in one line."""
    ranks = {event.evidence.get("rank") for event in view.events if event.name == "non-finite"} - {None}
    rank = f" on rank {min(map(str, ranks))}" if ranks else ""
    is_so_still = not math.isfinite(view.finals.get(found.name, math.nan))
    since = f"is {figure_text(found.value)} since" if is_so_still else f"was {figure_text(found.value)} first at"
    told = (f"{foreign(name, 30)} {figure_text(value, of=name)}" for name, value in found.finite)
    return line(
        Span(" ✘ ", "bad", is_bold=True),
        Span(f"{foreign(found.name, 60)} {since} step {found.step:,.0f}{rank}", "bad"),
        Span("   last finite: ", "dim") if found.finite else "",
        "   ".join(told),
    ).fitted(width)


def _all(history: HistoryView) -> Iterator[Series]:
    for name in history.names:
        series = history.series(name)
        if series is not None:
            yield series


def _finite_before(history: HistoryView, step: float, name: str) -> tuple[tuple[str, float], ...]:
    losses = [other for other in history.names if other.startswith("loss.") and other.count(".") == 1]
    told = []
    for other in dict.fromkeys([*losses, *_TOLD_BESIDE]):
        series = history.series(other)
        value = _last_finite(series, step) if series is not None and other != name else None
        if value is not None:
            told.append((other, value))
    return tuple(told[:_MOST_TOLD])


def _last_finite(series: Series, step: float) -> float | None:
    end = int(np.searchsorted(series.steps, step, side="right"))
    finite = series.values[:end][np.isfinite(series.values[:end])]
    value = float(finite[-1]) if len(finite) else math.nan
    return value if math.isfinite(value) else None
