"""Text from files, safe to print."""

from __future__ import annotations

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_core.visible_text import visible


@given(st.text(max_size=30))
@settings(max_examples=200, deadline=None)
def test_every_character_becomes_one_that_is_printed(text: str) -> None:
    shown = visible(text)
    assert len(shown) == len(text)
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=30))
@settings(max_examples=100, deadline=None)
def test_letters_digits_and_signs_stay(text: str) -> None:
    assert visible(text) == text


def test_control_characters_are_told_apart() -> None:
    assert visible("\x1b\x00\t\n\x7f\x9b\u202e") == "␛␀␉␊␡��"
