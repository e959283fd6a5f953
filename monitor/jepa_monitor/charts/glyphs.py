"""The characters that charts are made of, in two sets: box drawing with braille, and ASCII alone."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from jepa_monitor.charts.spec import MarkKind


@attrs.frozen(kw_only=True)
class Glyphs:
    """One character for each role; every one of them is one cell wide."""

    corners: str
    """Top left, top right, bottom left, bottom right."""
    horizontal: str
    vertical: str
    dashed: str
    """What a dashed threshold repeats; may hold spaces."""
    solid: str
    window_start: str
    window_end: str
    mark_line: str
    crosshair: str
    above: str
    """At the top edge: values beyond the axis."""
    below: str
    infinite: str
    alert: str
    good: str
    legend_line: str
    marks: Mapping[MarkKind, str]
    bar_levels: str
    """From the lowest bar in a cell to a full cell."""
    bar_marks: str
    """A line at the bottom, in the middle and at the top of a cell."""
    heat_levels: str
    dead: str


UNICODE = Glyphs(
    corners="┌┐└┘",
    horizontal="─",
    vertical="│",
    dashed="┄",
    solid="─",
    window_start="├",
    window_end="┤",
    mark_line="╎",
    crosshair="│",
    above="↑",
    below="↓",
    infinite="∞",
    alert="▲",
    good="✔",
    legend_line="━",
    marks={"firing": "▲", "non-finite": "✘", "checkpoint": "·", "rollback": "↩"},
    bar_levels="▁▂▃▄▅▆▇█",
    bar_marks="▁━▔",
    heat_levels="▁▂▃▄▅▆▇█",
    dead="×",
)

ASCII = Glyphs(
    corners="++++",
    horizontal="-",
    vertical="|",
    dashed="- ",
    solid="=",
    window_start="[",
    window_end="]",
    mark_line=":",
    crosshair="|",
    above="^",
    below="v",
    infinite="%",
    alert="!",
    good="+",
    legend_line="=",
    marks={"firing": "!", "non-finite": "x", "checkpoint": ".", "rollback": "<"},
    bar_levels=".=#",
    bar_marks="_-^",
    heat_levels=".:-=+*#@",
    dead="x",
)
