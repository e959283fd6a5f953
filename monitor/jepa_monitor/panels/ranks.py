"""The ranks of a run on several processes, a lane each: how long each is busy, waits for data and for the others.

Where there are more of them than rows, the silent and the slowest have lanes, and a line sums up the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

import numpy as np

from jepa_core.figures import figure_text
from jepa_monitor.charts.look import Look
from jepa_monitor.charts.spec import Tone
from jepa_monitor.model.ranks import Lane, LossSpread, Ranks
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.cells import Cell, Stretch, columns
from jepa_monitor.panels.framed_lines import Content
from jepa_monitor.panels.line import NOTHING, Line, Span, line
from jepa_monitor.panels.panel import Panel
from jepa_monitor.ranks_text import busy_text, losses_text, milliseconds_text, silence_text, straggler_text

MOST_LANES = 16
"""More ranks than that are never shown one by one, however much room there is."""
FEW_LANES = 8
"""As many of so many ranks have lanes."""

_SIGNS: dict[bool, tuple[str, str, str]] = {False: ("█", "▒", "░"), True: ("#", "=", ".")}
"""Of work, of waiting for data, and of waiting for the others: told apart without colour; with ASCII alone or not."""


def ranks_content(view: RunView, width: int, height: int, look: Look) -> Content:
    """Lanes under a row that explains them, and the extremes of their losses."""
    ranks = view.ranks
    if not ranks.lanes:
        return Content(lines=(line(Span("one process", "dim")),))
    shown, others = _chosen(ranks, height - 2)
    heard = [lane for lane in shown if not lane.is_silent]
    table = [_header(ranks, look), *(_cells(lane, ranks, _longest(shown), look) for lane in heard)]
    return Content(
        lines=(
            *(_silence(lane, look) for lane in shown if lane.is_silent),
            *columns(table, width, right=(1, 3, 4, 5, 6)),
            *_others(others),
            *_losses(ranks.losses),
        ),
        title=_title(ranks),
        figure=_judged(ranks, look),
        alert="bad" if any(lane.has_bad_loss for lane in ranks.lanes) else None,
    )


def _chosen(ranks: Ranks, room: int) -> tuple[list[Lane], list[Lane]]:
    """The lanes that are shown, in the order of ranks; and those that are not."""
    lanes = list(ranks.lanes)
    if len(lanes) <= min(room, MOST_LANES):
        return lanes, []
    by_trouble = sorted(lanes, key=_trouble, reverse=True)
    most = min(max(room - 1, 1), FEW_LANES)
    return by_trouble[:most], by_trouble[most:]


def _trouble(lane: Lane) -> tuple[bool, bool, float]:
    return lane.is_silent, lane.has_bad_loss, lane.busy if math.isfinite(lane.busy) else -math.inf


def _longest(lanes: Iterable[Lane]) -> float:
    """What a full bar stands for."""
    return max((lane.wall for lane in lanes if math.isfinite(lane.wall)), default=math.nan)


def _header(ranks: Ranks, look: Look) -> list[Cell]:
    work, data, wait = _SIGNS[look.ascii]
    legend = line(
        Span(f"{data} ", "second"),
        Span("data  ", "dim"),
        Span(f"{work} ", "accent"),
        Span("work  ", "dim"),
        Span(f"{wait} wait" if ranks.has_waits else "", "dim"),
    )
    names = [
        line(Span(name, "dim")) for name in ("busy" if ranks.has_waits else "step", "data", "wait", "loss", "peak")
    ]
    return [NOTHING, names[0], Stretch(legend.fitted), *names[1:]]


def _cells(lane: Lane, ranks: Ranks, longest: float, look: Look) -> list[Cell]:
    is_straggler = ranks.straggler is not None and ranks.straggler.rank == lane.rank
    tone: Tone = "warning" if is_straggler else "plain"
    mark = look.glyphs.alert if is_straggler else " "
    return [
        line(Span(f"{mark} rank {lane.rank}", tone)),
        line(Span(milliseconds_text(lane.busy), tone) if math.isfinite(lane.busy) else Span("–", "dim")),
        Stretch(lambda room: _bar(lane, longest, room, look, "warning" if is_straggler else "accent")),
        line(_share(lane.data, lane.wall)),
        line(_share(lane.wait, lane.wall)),
        line(Span(figure_text(lane.loss), "bad", is_bold=True) if lane.has_bad_loss else _figure(lane.loss)),
        line(_figure(lane.device_gib, "GiB", "dim")),
    ]


def _bar(lane: Lane, longest: float, width: int, look: Look, tone: Tone) -> Line:
    """A step of the rank, on a scale that all lanes share: data, work, waiting for the others."""
    if not math.isfinite(lane.wall) or not 0 < longest < math.inf:
        return line(" " * width)
    work, data, wait = _SIGNS[look.ascii]
    ends = [_part(seconds, longest, width) for seconds in (lane.data, lane.busy, lane.wall)]
    drawn, busy, whole = min(ends[0], ends[2]), min(ends[1], ends[2]), ends[2]
    busy = max(busy, drawn)
    return line(
        Span(data * drawn, "second"),
        Span(work * (busy - drawn), tone),
        Span(wait * (whole - busy), "dim"),
        " " * (width - whole),
    )


def _part(seconds: float, longest: float, width: int) -> int:
    return round(min(max(seconds / longest, 0.0), 1.0) * width) if math.isfinite(seconds) else 0


def _figure(value: float, unit: str = "", tone: Tone = "plain") -> Span:
    return Span(figure_text(value, unit), tone) if math.isfinite(value) else Span("–", "dim")


def _share(part: float, whole: float) -> Span:
    share = part / whole if whole else math.nan
    return Span(f"{share * 100:.0f} %") if math.isfinite(share) else Span("–", "dim")


def _silence(lane: Lane, look: Look) -> Line:
    return line(Span(f"{look.glyphs.alert} rank {lane.rank}  {silence_text(lane)}", "warning"))


def _others(lanes: Sequence[Lane]) -> Iterator[Line]:
    """Those without a lane, in one line: the quickest and the slowest of them, and usual waits."""
    if not lanes:
        return
    silent = sum(lane.is_silent for lane in lanes)
    parts = [f"{len(lanes)} others", busy_text(lanes)]
    for name in ("data", "wait"):
        shares = [getattr(lane, name) / lane.wall for lane in lanes if lane.wall]
        finite = [share for share in shares if math.isfinite(share)]
        if finite:
            parts.append(f"{name} {np.median(finite) * 100:.0f} %")
    parts += [f"{silent} silent"] if silent else []
    yield line(Span("  " + "  ".join(filter(None, parts)), "dim"))


def _losses(losses: LossSpread | None) -> Iterator[Line]:
    if losses is not None:
        yield line(Span("  losses  ", "dim"), losses_text(losses))


def _title(ranks: Ranks) -> Line:
    silent = len(ranks.silent)
    words = f"{len(ranks.lanes)} at step {figure_text(ranks.step)}"
    return line(words, Span(f", {silent} silent" if silent else "", "warning"))


def _judged(ranks: Ranks, look: Look) -> Line:
    """Who is slow; that nobody is; nothing while it cannot be told."""
    if ranks.straggler is not None:
        return line(Span(f"{look.glyphs.alert} {straggler_text(ranks)}", "warning"))
    return line(Span("no straggler", "dim")) if ranks.is_compared else NOTHING


class RanksPanel(Panel):
    """The ranks beside each other."""

    PANE_TITLE: ClassVar[str] = "ranks"

    def content(self, view: RunView, width: int, height: int, look: Look) -> Content:
        return ranks_content(view, width, height, look)
