"""How the codebook is used: a heat strip of the codes, dead ones distinct, and the figures that say it in numbers."""

from __future__ import annotations

import math
from typing import ClassVar

from jepa_core.presentation.figures import figure_text
from jepa_monitor.charts.heat_strip import draw_heat_strip
from jepa_monitor.charts.look import Look
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.framed_lines import Content
from jepa_monitor.panels.line import Line, Span, drawn, line, wrapped
from jepa_monitor.panels.panel import Panel
from jepa_monitor.panels.recorded import NO_DIAGNOSIS, counts, perplexity, table


def codes_content(view: RunView, width: int, height: int, look: Look) -> Content:
    """The strip takes all rows but the last, which has the figures."""
    uses = counts(view.diagnosis.get("code_counts"))
    if not uses:
        return Content(lines=wrapped(_absence(view), width, tone="dim"))
    used = sum(use > 0 for use in uses)
    title = line(f"{used} of {len(uses)} in use", Span(f", {len(uses) - used} dead" if used < len(uses) else "", "dim"))
    rows = max(min(height - 1, -(-len(uses) // max(width, 1))), 1)
    strip = drawn(draw_heat_strip(uses, width, rows, look))
    return Content(lines=(*strip, _figures(uses, width)) if height > 1 else strip, title=title)


def _figures(uses: tuple[int, ...], width: int) -> Line:
    effective = perplexity(tuple(map(float, uses)))
    total = sum(uses)
    words = "" if math.isnan(effective) else figure_text(effective)
    shown = line(Span("perplexity ", "dim"), words or Span("–", "dim"), Span(f" of {len(uses)}", "dim"))
    busiest = f"   busiest code {figure_text(max(uses) / total, '%')}" if total else ""
    return line(shown, Span(busiest, "dim")) if shown.width + len(busiest) <= width else shown


def _absence(view: RunView) -> str:
    if table(view.recipe.get("quantizer")).get("kind") == "none":
        return "No codebook: the quantizer is none."
    return NO_DIAGNOSIS if not view.diagnosis else "The diagnosis has no counts of codes."


class CodesPanel(Panel):
    """Use of the codebook."""

    PANE_TITLE: ClassVar[str] = "codes"

    def content(self, view: RunView, width: int, height: int, look: Look) -> Content:
        return codes_content(view, width, height, look)
