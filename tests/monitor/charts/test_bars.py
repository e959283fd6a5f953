from __future__ import annotations

from jepa_monitor.charts.bars import draw_bars
from jepa_monitor.charts.look import Look

LOOK = Look()


def test_bars_rise_in_eighths_and_what_is_above_zero_is_seen() -> None:
    assert draw_bars([8, 4, 1, 0.001, 0], 5, 1, LOOK).text == "█▄▁▁ "
    assert draw_bars([4, 3, 2, 1], 4, 2, LOOK).text == "█▄  \n███▄"


def test_bars_are_as_wide_as_fits_and_share_a_column_where_they_must() -> None:
    assert draw_bars([2, 1], 5, 1, LOOK).text == "██▄▄ "
    assert draw_bars([1, 8, 4, 2], 2, 1, LOOK).text == "█▄"


def test_the_second_spectrum_is_marked_on_the_same_axis() -> None:
    image = draw_bars([2, 1, 1], 3, 2, LOOK, overlay=[4, 2])
    assert image.text == "▔  \n█▔▄"
    styles = [[segment.style for segment in strip] for strip in image.lines]
    assert styles[1] == [LOOK.style("accent"), LOOK.style("second"), LOOK.style("accent")]


def test_a_log_axis_shows_equal_ratios_as_equal_steps() -> None:
    assert draw_bars([1000, 100, 10, 1], 4, 4, LOOK, log=True).text == "█   \n██  \n███ \n████"


def test_a_log_axis_has_no_bar_for_zero() -> None:
    assert draw_bars([10, 0, 1], 3, 2, LOOK, log=True, overlay=[0, 10]).text.splitlines()[0] == "█▔ "


def test_without_values_nothing_is_drawn() -> None:
    assert draw_bars([], 3, 1, LOOK).text == draw_bars([0.0], 3, 1, LOOK).text == "   "
