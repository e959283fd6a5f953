"""Shares and positions drawn into one row: a bar, and a point within bounds."""

from __future__ import annotations

import math

from jepa_monitor.charts.look import Look
from jepa_monitor.charts.spec import Tone
from jepa_monitor.panels.line import Line, Span, line

_EIGHTHS = " ▏▎▍▌▋▊▉█"


def bar(share: float, width: int, look: Look, tone: Tone = "accent") -> Line:
    """A bar of `width` columns, filled by `share`; empty where the share is not a number."""
    filled = 0.0 if math.isnan(share) else min(max(share, 0.0), 1.0) * width
    if look.ascii:
        full = round(filled)
        return line(Span("#" * full, tone), Span("." * (width - full), "dim"))
    full, rest = divmod(round(filled * 8), 8)
    text = "█" * full + (_EIGHTHS[rest] if rest else "")
    return line(Span(text, tone), " " * (width - len(text)))


def position(value: float, bounds: tuple[float, float], width: int, look: Look, tone: Tone = "accent") -> Line:
    """A line of `width` columns from the lower to the upper bound with a point at `value`, where there is one."""
    glyphs, (low, high) = look.glyphs, bounds
    rule = (glyphs.window_start + glyphs.horizontal * max(width - 2, 0) + glyphs.window_end)[: max(width, 0)]
    if math.isnan(value) or high <= low or not rule:
        return line(Span(rule, "dim"))
    index = round((min(max(value, low), high) - low) / (high - low) * (len(rule) - 1))
    point = "*" if look.ascii else "●"
    return line(Span(rule[:index], "dim"), Span(point, tone, is_bold=True), Span(rule[index + 1 :], "dim"))
