"""The line above a chart: title and legend at the left, the newest value or those at the crosshair at the right."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
from rich.cells import cell_len

from jepa_core.figures import figure_text
from jepa_monitor.charts.canvas import Canvas, fitted
from jepa_monitor.charts.curves import letter
from jepa_monitor.charts.look import Look
from jepa_monitor.charts.spec import ChartSpec, Curve, Tone

_SHORTEST_TITLE = 8
_LONGEST_LABEL = 40
_LOG = "log"
_APART = "  "


@attrs.frozen
class Piece:
    """Text in one tone."""

    text: str
    tone: Tone


@attrs.frozen(kw_only=True)
class Header:
    """What stands in the line above a chart, and which part of the legend found no room there."""

    left: list[Piece]
    right: list[Piece]
    sign: Piece | None
    """Of a judgement, so that it is not told by colour alone."""
    framed: bool
    below: list[list[Piece]]

    @property
    def says_log(self) -> bool:
        """Whether there was room to say that the axis is logarithmic."""
        return any(piece.text.strip() == _LOG for piece in self.left[1:])


def width_of(pieces: Sequence[Piece]) -> int:
    """In cells."""
    return sum(cell_len(piece.text) for piece in pieces)


def put_pieces(canvas: Canvas, row: int, column: int, pieces: Sequence[Piece]) -> None:
    """Put them side by side, from `column` on."""
    for piece in pieces:
        canvas.put(row, column, piece.text, piece.tone)
        column += cell_len(piece.text)


def legend(curves: Sequence[Curve], look: Look) -> list[list[Piece]]:
    """One entry for each line where there are several: its label, and its colour or letter."""
    lines = [curve for curve in curves if not curve.is_band]
    if len(lines) < 2:
        return []
    return [
        [
            Piece(f"{fitted(look.text(curve.label), _LONGEST_LABEL, look)} ", "plain"),
            Piece(letter(index) if look.no_colour else look.glyphs.legend_line, curve.tone),
        ]
        for index, curve in enumerate(lines)
    ]


def legend_rows(entries: Sequence[list[Piece]], width: int, most: int, look: Look) -> list[list[Piece]]:
    """Entries in at most `most` rows of `width` cells; those that find no room are counted at the end of the last."""
    rows: list[list[Piece]] = []
    for position, entry in enumerate(entries):
        more = [Piece(look.text(f"  +{len(entries) - position - 1}"), "dim")] if len(entries) - position > 1 else []
        if rows and width_of(rows[-1]) + 2 + width_of(entry) + (width_of(more) if len(rows) == most else 0) <= width:
            rows[-1] += [Piece("  ", "plain"), *entry]
        elif len(rows) < most:
            room = width - 1 - (width_of(more) if len(rows) == most - 1 else 0)
            rows.append([Piece(fitted(entry[0].text, max(room, 0), look), "plain"), entry[1]])
        else:
            rows[-1:] = [[*rows[-1], Piece(f"  +{len(entries) - position}", "dim")]] if rows else []
            break
    return rows


def right_pieces(spec: ChartSpec, readings: Sequence[Piece], num_left_out: int, look: Look) -> list[Piece]:
    """The crosshair's values if it stands, else the figure and how many values the logarithmic axis leaves out."""
    if readings:
        return list(readings)
    figure = look.text(spec.figure)
    left_out = look.text(f"{num_left_out:,} ≤ 0") if num_left_out else ""
    if spec.figure_tones:
        values = zip(figure.split(_APART), spec.figure_tones, strict=True)
        pieces = [Piece(f"{_APART if index else ''}{text}", tone) for index, (text, tone) in enumerate(values)]
        return [*pieces, Piece(look.text(f" · {left_out}"), "plain")] if left_out else pieces
    shown = look.text(" · ").join(text for text in (figure, left_out) if text)
    return [Piece(shown, spec.alert or "plain")] if shown else []


def readings_at(x: float, spec: ChartSpec, look: Look) -> list[Piece]:
    """The value of every line at its point nearest to `x`, after that point's x; then how far it is from the anchor."""
    pieces: list[Piece] = []
    for curve in spec.curves:
        if curve.is_band or not len(curve.xs):
            continue
        index = _nearest(curve, x)
        if not pieces:
            shown_x = f"{curve.xs[index]:.0f}" if spec.integer_x else f"{curve.xs[index]:.4g}"
            pieces.append(Piece(f"{look.text(shown_x)}:", "dim"))
        value = figure_text(float(curve.ys[index]), "%" if spec.percent else "", of=spec.of)
        pieces.append(Piece(f" {look.text(value)}", curve.tone))
        if spec.anchor is not None:
            change = float(curve.ys[index]) - float(curve.ys[_nearest(curve, spec.anchor)])
            signed = f"{'+' if change >= 0 else ''}{figure_text(change, '%' if spec.percent else '', of=spec.of)}"
            pieces.append(Piece(look.text(f" ({'delta' if look.ascii else 'Δ'} {signed})"), "dim"))
    return pieces


def plan_header(spec: ChartSpec, right: Sequence[Piece], width: int, look: Look, *, framed: bool) -> Header:
    """Share out `width` cells. The right side goes where the title would be left with next to nothing.

    The legend goes below where it would cut the title short.
    """
    sign = _alert_sign(spec, look)
    corners = (3 if sign else 4) if framed else 0
    width = max(width - corners - (2 if sign else 0), 0)
    title = look.text(spec.title)
    entries = legend(spec.curves, look)
    beside_title = [piece for entry in entries for piece in (Piece("  ", "plain"), *entry)]
    if width_of(right) + 2 + min(cell_len(title), _SHORTEST_TITLE) > width:
        right = []
    room = width - (width_of(right) + 2 if right else 0)
    fits = cell_len(title) + width_of(beside_title) <= room
    left = [Piece(title, "plain"), *beside_title] if fits else [Piece(fitted(title, room, look), "plain")]
    left += _qualities(spec, look, room - width_of(left))
    return Header(left=left, right=list(right), sign=sign, framed=framed, below=[] if fits else entries)


def draw_header(canvas: Canvas, header: Header) -> None:
    """Put both sides into row 0, between the frame's corners where there is one; the sign stands last."""
    margin = int(header.framed)
    blank = Piece(" ", "dim")
    if width_of(header.left):
        put_pieces(canvas, 0, margin, [blank] * margin + [*header.left, blank])
    right = [blank, *header.right] if header.right else []
    if header.sign is not None:
        right += [blank, header.sign]
    elif right and header.framed:
        right += [blank]
    put_pieces(canvas, 0, canvas.width - margin - width_of(right), right)


def _qualities(spec: ChartSpec, look: Look, room: int) -> list[Piece]:
    """That the axis is logarithmic, and how lines are smoothed, as far as there is room."""
    pieces: list[Piece] = []
    for words in (_LOG if spec.log else "", spec.smoothing):
        piece = Piece(f"  {look.text(words)}", "dim")
        if words and width_of([*pieces, piece]) <= room:
            pieces.append(piece)
    return pieces


def _alert_sign(spec: ChartSpec, look: Look) -> Piece | None:
    if spec.alert not in ("good", "warning", "bad"):
        return None
    return Piece(look.glyphs.good if spec.alert == "good" else look.glyphs.alert, spec.alert)


def _nearest(curve: Curve, x: float) -> int:
    after = int(np.searchsorted(curve.xs, x))
    if after == 0:
        return 0
    if after == len(curve.xs):
        return after - 1
    return after if curve.xs[after] - x < x - curve.xs[after - 1] else after - 1
