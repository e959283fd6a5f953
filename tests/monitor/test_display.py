from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_monitor.display import Display, filter_pattern

WHOLE = (0.0, 400.0)


def test_zooming_halves_the_range_around_its_middle_or_the_crosshair() -> None:
    assert Display().zoomed(0.5, WHOLE).span == (100, 300)
    assert Display(crosshair=40).zoomed(0.5, WHOLE).span == (20, 220)


def test_zooming_out_beyond_the_run_shows_all_of_it_and_grows_with_it() -> None:
    display = Display().zoomed(0.5, WHOLE).zoomed(4, WHOLE)
    assert display.span is None
    assert display.shown_span((0, 800)) == (0, 800)


def test_a_zoomed_range_stays_while_rows_come_until_following_is_asked_for() -> None:
    display = Display().zoomed(0.5, WHOLE)
    assert display.shown_span((0, 1000)) == (100, 300)
    following = display.with_follow_toggled(WHOLE)
    assert following.shown_span((0, 1000)) == (800, 1000)
    assert following.with_follow_toggled((0, 1000)).span == (800, 1000)


def test_nothing_moves_while_all_is_in_view() -> None:
    assert Display().panned(0.25, WHOLE) == Display()


def test_another_axis_takes_range_and_crosshair_away() -> None:
    display = Display(crosshair=3.0).zoomed(0.5, WHOLE).with_next_axis()
    assert (display.axis, display.span, display.crosshair) == ("epoch", None, None)


def test_the_grid_changes_from_what_is_shown_and_stays_within_nine() -> None:
    assert Display().with_grid_changed(1, 0, (3, 2)) == Display(columns=4)
    assert Display(rows=9).with_grid_changed(0, 1, (3, 9)).rows == 9
    assert Display(columns=1).with_grid_changed(-1, 0, (1, 9)).columns == 1


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from(["in", "out", "left", "right", "follow", "cross", "back"]), max_size=25))
def test_whatever_is_pressed_the_range_lies_within_the_run_and_the_crosshair_in_the_range(keys: list[str]) -> None:
    display = Display()
    for key in keys:
        display = {
            "in": lambda d: d.zoomed(0.5, WHOLE),
            "out": lambda d: d.zoomed(2, WHOLE),
            "left": lambda d: d.panned(-0.25, WHOLE),
            "right": lambda d: d.panned(0.25, WHOLE),
            "follow": lambda d: d.with_follow_toggled(WHOLE),
            "cross": lambda d: d.with_crosshair_moved(0.1, WHOLE),
            "back": lambda d: d.with_crosshair_moved(-0.1, WHOLE),
        }[key](display)
        left, right = display.shown_span(WHOLE)
        assert WHOLE[0] <= left < right <= WHOLE[1] + 1e-9
        if key in ("cross", "back"):
            assert display.crosshair is not None
            assert left <= display.crosshair <= right


@pytest.mark.parametrize("text", ["val[", "(", "*", "a{2,1}", "(?P<x"])
def test_what_is_no_regular_expression_says_so(text: str) -> None:
    with pytest.raises(ValueError, match="not a regular expression"):
        filter_pattern(text)


def test_a_filter_ignores_case() -> None:
    assert filter_pattern("RANK").search("rank.context")
