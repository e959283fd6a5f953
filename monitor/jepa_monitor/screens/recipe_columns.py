"""The difference of two recipes in two columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from jepa_core.recipes.difference import Change
from jepa_core.recipes.writing import value_to_toml
from jepa_monitor.charts.spec import Tone
from jepa_monitor.panels.line import Line, Span, foreign, line

_GAP = 2
_LEAST_COLUMN = 12
_VALUE_LIMIT = 200


def change_lines(changes: Sequence[Change], width: int, titles: tuple[str, str]) -> tuple[Line, ...]:
    """Key, left value, right value; the values below the key where three columns do not fit."""
    key_width, column = _widths(changes, width)
    if column < _LEAST_COLUMN:
        return tuple(_stacked(changes, width, titles))
    rows = [
        (Span(""), *(Span(foreign(title), "dim") for title in titles)),
        *(
            (_key(change.key, key_width), _value(change.left, "bad"), _value(change.right, "good"))
            for change in changes
        ),
    ]
    left_width = min(column, max(line(left).width for _, left, _ in rows))
    gap = " " * _GAP
    return tuple(
        line(line(key).fitted(key_width), gap, line(left).fitted(left_width), gap, right) for key, left, right in rows
    )


def rows_a_change(changes: Sequence[Change], width: int) -> int:
    """How many rows each takes."""
    return 3 if _widths(changes, width)[1] < _LEAST_COLUMN else 1


def _widths(changes: Sequence[Change], width: int) -> tuple[int, int]:
    """Of the keys, and of either value."""
    key_width = min(max((len(change.key) for change in changes), default=0), width // 2)
    return key_width, (width - key_width - 2 * _GAP) // 2


def _stacked(changes: Iterable[Change], width: int, titles: tuple[str, str]) -> Iterator[Line]:
    for change in changes:
        yield line(Span(foreign(change.key)))
        for title, shown in zip(titles, (_value(change.left, "bad"), _value(change.right, "good")), strict=True):
            yield line(Span(f"  {foreign(title, width // 3)}  ", "dim"), shown)


def _key(key: str, width: int) -> Span:
    """The end of a key that is too long: beginnings are alike."""
    shown = foreign(key)
    return Span(shown if len(shown) <= width else f"…{shown[len(shown) - width + 1 :]}")


def _value(value: Any, tone: Tone) -> Span:
    if value is None:
        return Span("(none)", "dim")
    return Span(foreign(_as_toml(value), _VALUE_LIMIT), tone)


def _as_toml(value: Any) -> str:
    try:
        return value_to_toml(value)
    except TypeError:
        return repr(value)
