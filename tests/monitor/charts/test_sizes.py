"""Whatever the size, the values and the text: every chart fills its area exactly, and raises nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from jepa_monitor.charts.bars import draw_bars
from jepa_monitor.charts.canvas import ChartImage
from jepa_monitor.charts.drawing import draw_chart
from jepa_monitor.charts.heat_strip import draw_heat_strip
from jepa_monitor.charts.look import TONES, Look
from jepa_monitor.charts.spec import ChartSpec, Curve, Mark, Threshold

ODD = [0.0, 1.0, math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, 1e-300, 0.1, 0.1000000001]
VALUES = st.one_of(st.floats(), st.floats(-10, 10), st.sampled_from(ODD))
XS = st.one_of(st.floats(0, 100), st.floats(allow_nan=False, allow_infinity=False))
TEXTS = st.one_of(
    st.text(max_size=30), st.sampled_from(["", "loss.total", "漢字" * 20, "\x1b[31mred\x1b[0m", "a\u0301🇩🇪", "[b]x"])
)
LOOKS = st.builds(Look, ascii=st.booleans(), no_colour=st.booleans())
PLACES = st.one_of(st.none(), VALUES)


@st.composite
def curves(draw: st.DrawFn) -> Curve:
    points = draw(st.lists(st.tuples(XS, VALUES), max_size=30))
    xs, ys = (np.array([point[side] for point in points], dtype=float) for side in (0, 1))
    tone, is_band = draw(st.sampled_from(TONES)), draw(st.booleans())
    return Curve(label=draw(TEXTS), xs=np.sort(xs), ys=ys, tone=tone, is_band=is_band)


SPECS = st.builds(
    ChartSpec,
    title=TEXTS,
    figure=TEXTS,
    note=TEXTS,
    curves=st.lists(curves(), max_size=4).map(tuple),
    thresholds=st.lists(
        st.builds(Threshold, y=VALUES, label=TEXTS, dashed=st.booleans(), start=PLACES, end=PLACES), max_size=3
    ).map(tuple),
    marks=st.lists(
        st.builds(
            Mark, x=VALUES, kind=st.sampled_from(["firing", "non-finite", "checkpoint", "rollback"]), label=TEXTS
        ),
        max_size=4,
    ).map(tuple),
    log=st.booleans(),
    x_range=st.one_of(st.none(), st.tuples(VALUES, VALUES), st.just((0.0, 10.0))),
    crosshair=PLACES,
    alert=st.sampled_from([None, "good", "bad", "accent"]),
    integer_x=st.booleans(),
    percent=st.booleans(),
)


def assert_fills(image: ChartImage, width: int, height: int, look: Look) -> None:
    lines = image.text.split("\n")
    assert [cell_len(line) for line in lines] == [width] * height
    assert [strip.cell_length for strip in image.lines] == [width] * height
    assert ["".join(segment.text for segment in strip) for strip in image.lines] == lines
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for line in lines for character in line)
    if look.ascii:
        assert image.text.isascii()


@given(spec=SPECS, width=st.integers(1, 70), height=st.integers(1, 16), look=LOOKS)
@settings(max_examples=250, deadline=None)
def test_a_chart_fills_its_area(spec: ChartSpec, width: int, height: int, look: Look) -> None:
    assert_fills(draw_chart(spec, width, height, look), width, height, look)


@given(values=st.lists(VALUES, max_size=60), width=st.integers(1, 40), height=st.integers(1, 6), look=LOOKS)
@settings(max_examples=100, deadline=None)
def test_heat_strips_and_bars_fill_their_area(values: list[float], width: int, height: int, look: Look) -> None:
    assert_fills(draw_heat_strip(values, width, height, look), width, height, look)
    assert_fills(draw_bars(values, width, height, look), width, height, look)
    assert_fills(draw_bars(values[::2], width, height, look, overlay=values, log=True), width, height, look)


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_no_area_gives_no_character(size: tuple[int, int]) -> None:
    spec = ChartSpec(title="t", curves=(Curve(label="", xs=np.arange(3.0), ys=np.arange(3.0)),))
    images = (draw_chart(spec, *size, Look()), draw_heat_strip([1.0], *size, Look()), draw_bars([1.0], *size, Look()))
    assert [image.text.strip("\n") for image in images] == ["", "", ""]
    assert all(len(image.lines) == size[1] for image in images)
