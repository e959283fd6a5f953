from __future__ import annotations

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from jepa_monitor.panels.cells import Cell, Stretch, columns
from jepa_monitor.panels.line import Line, Span, beside, foreign, line, plainer, wrapped

any_text = st.text(max_size=60)


@given(any_text, st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_a_fitted_line_has_exactly_the_width_asked_for(text: str, width: int) -> None:
    assert line(foreign(text)).fitted(width).width == width


@given(any_text, any_text, st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_two_lines_beside_each_other_fill_the_width(left: str, right: str, width: int) -> None:
    assert beside(line(foreign(left)), line(foreign(right)), width).width == width


def test_what_is_cut_shows_it() -> None:
    assert line("a long line").fitted(6).text == "a lon…"
    assert line("宽宽宽").fitted(4).text == "宽 …"


@given(any_text)
@settings(max_examples=100, deadline=None)
def test_foreign_text_is_printable_and_every_character_has_a_width(text: str) -> None:
    shown = foreign(text)
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp", "Mn"}
    assert all(cell_len(character) for character in shown)


@given(any_text)
@settings(max_examples=60, deadline=None)
def test_plainer_text_is_ascii_of_the_same_width(text: str) -> None:
    shown = foreign(text)
    assert plainer(shown).isascii()
    assert len(plainer(shown)) == cell_len(shown)


def test_a_text_is_wrapped_at_blanks_and_a_long_word_is_broken() -> None:
    assert [row.text for row in wrapped("one two three", 8, indent="  ")] == ["  one", "  two", "  three"]
    assert [row.text for row in wrapped("abcdefgh ij", 4)] == ["abcd", "efgh", "ij"]
    assert [row.text for row in wrapped("", 4)] == [""]


@given(st.text(max_size=200), st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_wrapped_rows_are_bounded_in_width_and_number(text: str, width: int) -> None:
    rows = wrapped(text, width, most=5)
    assert len(rows) <= 5
    # A wide character cannot be narrower than itself.
    assert all(row.width <= max(width, 2) for row in rows)


def test_columns_are_aligned_and_what_stretches_takes_the_room_that_is_left() -> None:
    rows: list[list[Cell]] = [
        [line("loss"), line("1.5"), Stretch(lambda room: line("#" * room)), line("half")],
        [line("a"), line("10"), Stretch(lambda room: line("=" * room))],
    ]
    assert [row.text.rstrip() for row in columns(rows, 24, right=(1,))] == [
        "loss  1.5  #######  half",
        "a      10  =======",
    ]


def test_what_stretches_is_left_out_where_there_is_no_room_and_the_first_column_gives_way() -> None:
    rows: list[list[Cell]] = [[line("a long name"), Stretch(lambda room: line("#" * room)), line("10.5")]]
    assert [row.text.rstrip() for row in columns(rows, 20, right=(2,))] == ["a long name  10.5"]
    assert [row.text.rstrip() for row in columns(rows, 12, right=(2,))] == ["a lon…  10.5"]


def test_no_rows_give_no_lines() -> None:
    assert columns([], 20) == ()


def test_a_line_can_be_chosen_and_toned_without_changing_its_text() -> None:
    both = line(Span("a", "good"), "b")
    assert both.chosen().text == both.toned("dim").text == "ab"
    assert all(span.is_chosen for span in both.chosen().spans)
    assert {span.tone for span in both.toned("dim").spans} == {"dim"}
    assert (both + Line()).text == "ab"


@given(any_text)
@settings(max_examples=60, deadline=None)
def test_a_span_is_harmless_even_where_its_maker_forgot_to_clean(text: str) -> None:
    assert not {unicodedata.category(character) for character in Span(text).text} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
