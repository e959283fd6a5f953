"""The share of each loss in the total, and in the gradient: which one the encoder really follows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import attrs

from jepa_core.figures import figure_text
from jepa_monitor.charts.look import Look
from jepa_monitor.model.awaited import nothing_yet
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.cells import Cell, Stretch, columns
from jepa_monitor.panels.framed_lines import Content
from jepa_monitor.panels.level import bar
from jepa_monitor.panels.line import NOTHING, Span, foreign, line, wrapped
from jepa_monitor.panels.panel import Panel

NAME_WIDTH = 24
"""Most columns of a loss's name."""
_WIDE = 44
"""Columns from which on a heading is written out: below, it would cut off the figures under it."""
_PREFIX, _GRADIENT, _TOTAL = "loss.", "grad.share.", "loss.total"


@attrs.frozen(kw_only=True)
class LossShare:
    """One loss as it stands."""

    name: str
    value: float
    """Weighted, as it enters the total."""
    of_total: float
    """Share of the sum of all losses' sizes; NaN when that is not finite."""
    of_gradient: float | None
    """Share of the gradient at the encoder's output; None before the first diagnosis."""


def loss_shares(finals: Mapping[str, float]) -> tuple[LossShare, ...]:
    """Every loss of a run, the largest first; one that is not finite stands on top."""
    values = {
        name.removeprefix(_PREFIX): value
        for name, value in finals.items()
        if name.startswith(_PREFIX) and name != _TOTAL and not name.endswith(".raw")
    }
    size = sum(map(abs, values.values()))
    shares = [
        LossShare(
            name=name,
            value=value,
            of_total=abs(value) / size if 0 < size < math.inf else math.nan,
            of_gradient=finals.get(f"{_GRADIENT}{name}"),
        )
        for name, value in values.items()
        if value != 0 or finals.get(f"{_GRADIENT}{name}")
    ]
    return tuple(sorted(shares, key=lambda share: -abs(share.value) if math.isfinite(share.value) else -math.inf))


def losses_content(view: RunView, width: int, look: Look) -> Content:
    """A row a loss: value, share of the total, and of the gradient once a diagnosis has measured that."""
    shares = loss_shares(view.finals)
    if not shares:
        return Content(lines=wrapped(nothing_yet("loss", view), width, tone="dim"))
    total = view.finals.get(_TOTAL)
    has_gradient = any(share.of_gradient is not None for share in shares)
    header: list[Cell] = [NOTHING, NOTHING, line(Span("total", "dim")), NOTHING]
    header += [line(Span("gradient" if width >= _WIDE else "grad", "dim")), NOTHING] if has_gradient else []
    rows = [header, *(_row(share, look)[: len(header)] for share in shares)]
    lines = columns(rows, width, right=(1, 2, 4) if has_gradient else (1, 2))
    return Content(
        lines=lines,
        figure=line() if total is None else line(figure_text(total)),
        alert=None if all(math.isfinite(share.value) for share in shares) else "bad",
    )


def _row(share: LossShare, look: Look) -> list[Cell]:
    is_finite = math.isfinite(share.value)
    gradient = math.nan if share.of_gradient is None else share.of_gradient
    return [
        line(foreign(share.name, NAME_WIDTH)),
        line(Span(figure_text(share.value), "plain" if is_finite else "bad", is_bold=not is_finite)),
        line(_percent(share.of_total)),
        Stretch(lambda room: bar(share.of_total, room, look)),
        line(_percent(gradient)),
        Stretch(lambda room: bar(gradient, room, look, "second")),
    ]


def _percent(share: float) -> Span:
    return Span("–", "dim") if math.isnan(share) else Span(figure_text(share, "%"))


class LossesPanel(Panel):
    """Shares of the losses."""

    PANE_TITLE: ClassVar[str] = "losses"

    def content(self, view: RunView, width: int, height: int, look: Look) -> Content:  # noqa: ARG002  # it scrolls
        return losses_content(view, width, look)
