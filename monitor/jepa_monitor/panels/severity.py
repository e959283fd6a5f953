"""How severities are marked, never by colour alone."""

from __future__ import annotations

from jepa_core.watch.findings import Severity
from jepa_monitor.charts.look import Look
from jepa_monitor.charts.spec import Tone
from jepa_monitor.panels.line import Span

TONES: dict[Severity, Tone] = {"info": "dim", "warning": "warning", "critical": "bad"}


def mark(severity: Severity, look: Look) -> Span:
    """One column."""
    glyphs = look.glyphs
    sign = {"info": glyphs.marks["checkpoint"], "warning": glyphs.alert, "critical": glyphs.marks["non-finite"]}
    return Span(sign[severity], TONES[severity])
