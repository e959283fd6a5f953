from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.presentation.sanitise import clean


@pytest.mark.parametrize(
    "payload",
    ["\x1b[2J", "\x1b]52;c;aGk=\x07", "\x9b31m", "\x90q\x9c", "\u202eevil", "\u2066x\u2069", "\u200b", "\ufeff", "a\rb",
     "a\nb", "\x08", "\x7f", "\ud800", "\u2028", "\U000e0041"],
)  # fmt: skip
def test_nothing_that_steers_a_terminal_or_hides_passes(payload: str) -> None:
    shown = clean(f"before {payload} after")
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


@given(st.text(), st.integers(1, 40))
def test_the_result_is_one_line_within_the_limit_and_encodes(text: str, limit: int) -> None:
    shown = clean(text, limit)
    assert len(shown) <= limit
    assert len(shown.splitlines()) <= 1
    shown.encode()


def test_plain_text_stays_and_what_is_cut_off_shows() -> None:
    assert clean("Grüße, τ ≥ 0.07 ✔") == "Grüße, τ ≥ 0.07 ✔"
    assert clean("abcdef", 4) == "abc…"
