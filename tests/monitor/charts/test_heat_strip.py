from __future__ import annotations

import math

import numpy as np

from jepa_monitor.charts.canvas import ChartImage
from jepa_monitor.charts.heat_strip import draw_heat_strip
from jepa_monitor.charts.look import Look


def toned(image: ChartImage, look: Look) -> list[tuple[str, str]]:
    """Text of every run with the colour it has."""
    return [
        (
            segment.text,
            next(tone for tone, colour in look.colours.items() if segment.style and look.style(tone) == segment.style),
        )
        for strip in image.lines
        for segment in strip
    ]


def test_each_level_is_twice_the_one_below_and_dead_codes_have_a_sign_of_their_own() -> None:
    assert draw_heat_strip([128, 64, 32, 16, 8, 4, 2, 1, 0.01, 0], 10, 1, Look()).text == "█▇▆▅▄▃▂▁▁×"


def test_codes_run_from_row_to_row() -> None:
    assert draw_heat_strip([8, 0, 4, 0, 8], 3, 2, Look()).text == "█×▇\n×█ "


def test_a_cell_of_several_codes_shows_the_most_used_and_whether_most_are_dead() -> None:
    look = Look()
    counts = np.array([0, 0, 0, 8, 8, 8, 4, 0, 0, 0, 0, 0])
    image = draw_heat_strip(counts, 3, 1, look)
    assert toned(image, look) == [("█", "warning"), ("█", "accent"), ("×", "bad")]


def test_what_is_no_count_is_a_dead_code() -> None:
    assert draw_heat_strip([math.nan, -1, math.inf, 0, 3], 5, 1, Look()).text == "××××█"


def test_no_codes_are_said() -> None:
    assert draw_heat_strip([], 12, 1, Look()).text == "  no codes  "


def test_without_unicode_levels_are_ascii() -> None:
    assert draw_heat_strip([128, 64, 32, 16, 8, 4, 2, 1, 0], 9, 1, Look(ascii=True)).text == "@#*+=-:.x"
