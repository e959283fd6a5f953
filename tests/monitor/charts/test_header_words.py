"""What the line above a chart says of how the chart is to be read; limits whose labels lie beside each other."""

from __future__ import annotations

import numpy as np

from jepa_monitor.charts.drawing import draw_chart
from jepa_monitor.charts.header import Piece, right_pieces
from jepa_monitor.charts.look import Look
from jepa_monitor.charts.spec import ChartSpec, Curve, Threshold

XS = np.arange(100.0)


def drawn(spec: ChartSpec, width: int = 60, height: int = 14) -> list[str]:
    return draw_chart(spec, width, height, Look()).text.splitlines()


def test_a_logarithmic_axis_and_smoothing_are_said_beside_the_title() -> None:
    curve = Curve(label="", xs=XS, ys=XS + 1)
    assert (
        "loss  log  smoothed 0.9"
        in drawn(ChartSpec(title="loss", curves=(curve,), log=True, smoothing="smoothed 0.9"))[0]
    )
    assert "log" not in drawn(ChartSpec(title="loss", curves=(curve,)))[0]


def test_without_room_in_the_title_the_axis_itself_says_that_it_is_logarithmic() -> None:
    spec = ChartSpec(title="a_title_as_wide_as_the_chart", curves=(Curve(label="", xs=XS, ys=XS + 1),), log=True)
    first, *_, last = drawn(spec, width=36)
    assert "log" not in first
    assert last.startswith("└ log ")


def test_the_line_of_one_limit_leaves_the_label_of_another_whole() -> None:
    limits = (Threshold(y=5.0, label="must 5"), Threshold(y=8.0, label="must 8"))
    rows = drawn(ChartSpec(title="rank", curves=(Curve(label="", xs=XS, ys=XS + 60),), thresholds=limits))
    assert any(" must 5 " in row for row in rows)
    assert any(" must 8 " in row for row in rows)


def test_the_crosshair_tells_the_difference_from_the_mark() -> None:
    spec = ChartSpec(title="loss", curves=(Curve(label="", xs=XS, ys=2 * XS),), crosshair=60.0, anchor=50.0)
    rows = drawn(spec)
    assert "60: 120 (Δ +20)" in rows[0]
    assert any(row.count("│") == 4 for row in rows[1:-1])


def test_the_label_of_a_limit_never_stands_on_the_line_of_another() -> None:
    ys = np.where(XS > 50, 0.0, 10.0)
    limits = tuple(Threshold(y=y, label=f"limit {y}") for y in (4.0, 4.8, 5.6))
    rows = drawn(ChartSpec(title="x", curves=(Curve(label="", xs=XS, ys=ys),), thresholds=limits), height=16)
    labelled = {y: index for y in (4.0, 4.8, 5.6) for index, row in enumerate(rows) if f"limit {y}" in row}
    lines = [index for index, row in enumerate(rows) if "┄┄┄┄" in row]
    assert len(lines) == 3
    assert [labelled[y] for y in (5.6, 4.8, 4.0)] == lines


def test_of_several_values_each_has_the_tone_of_its_line() -> None:
    spec = ChartSpec(title="rank", figure="8.58  11.4", figure_tones=("accent", "second"), alert="warning")
    assert right_pieces(spec, (), 0, Look()) == [Piece("8.58", "accent"), Piece("  11.4", "second")]
    assert right_pieces(spec, (), 2, Look())[-1] == Piece(" · 2 ≤ 0", "plain")
    assert right_pieces(ChartSpec(title="loss", figure="8.58", alert="bad"), (), 0, Look()) == [Piece("8.58", "bad")]
