"""How the codebook is used: a heat strip of the codes, dead ones distinct, and the figures that say it in numbers."""

from __future__ import annotations

import math
from typing import ClassVar

from jepa_core.figures import figure_text
from jepa_monitor.charts.heat_strip import draw_heat_strip
from jepa_monitor.charts.look import Look
from jepa_monitor.model.awaited import no_diagnosis
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.framed_lines import Content
from jepa_monitor.panels.line import Line, Span, drawn, line, wrapped
from jepa_monitor.panels.panel import Panel
from jepa_monitor.panels.recorded import counts, perplexity, table


def codes_content(view: RunView, width: int, height: int, look: Look) -> Content:
    """The strip takes all rows but the last, which has the figures."""
    uses = counts(view.diagnosis.get("code_counts"))
    if not uses:
        return Content(lines=wrapped(_absence(view), width, tone="dim"))
    used = sum(use > 0 for use in uses)
    title = line(f"{used} of {len(uses)} in use", Span(f", {len(uses) - used} dead" if used < len(uses) else "", "dim"))
    rows = max(min(height - 1, -(-len(uses) // max(width, 1))), 1)
    strip = drawn(draw_heat_strip(uses, width, rows, look))
    a_cell = round(len(uses) / min(len(uses), max(width, 1) * rows))
    return Content(lines=(*strip, _figures(uses, width, a_cell)) if height > 1 else strip, title=title)


def _figures(uses: tuple[int, ...], width: int, a_cell: int) -> Line:
    """`a_cell`: codes that a cell of the strip stands for."""
    effective = perplexity(tuple(map(float, uses)))
    total = sum(uses)
    words = "" if math.isnan(effective) else figure_text(effective)
    bare = line(Span("perplexity ", "dim"), words or Span("–", "dim"))
    shown = line(bare, Span(f" of {len(uses)}", "dim"))
    several = f"   {a_cell} codes a cell" if a_cell > 1 else ""
    busiest = f"   busiest code {figure_text(max(uses) / total, '%')}" if total else ""
    choices = ((shown, several + busiest), (shown, several or busiest), *(((bare, several),) if several else ()))
    fitting = (line(first, Span(more, "dim")) for first, more in choices if first.width + len(more) <= width)
    return next(fitting, shown)


def _absence(view: RunView) -> str:
    if table(view.recipe.get("quantizer")).get("kind") == "none":
        return "No codebook: the quantizer is none."
    return no_diagnosis(view) if not view.diagnosis else "The diagnosis has no counts of codes."


class CodesPanel(Panel):
    """Use of the codebook."""

    PANE_TITLE: ClassVar[str] = "codes"

    def content(self, view: RunView, width: int, height: int, look: Look) -> Content:
        return codes_content(view, width, height, look)
