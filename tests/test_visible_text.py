"""Text from files, safe to print."""

from __future__ import annotations

import json
import shlex
import unicodedata

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_core.visible_text import clean, escaped, own_command, visible, visible_lines


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


@given(st.text(max_size=60))
def test_only_the_ends_of_lines_are_kept_of_what_has_several(text: str) -> None:
    shown = visible_lines(text)
    assert len(shown) == len(text)
    assert [index for index, letter in enumerate(shown) if letter == "\n"] == [
        index for index, letter in enumerate(text) if letter == "\n"
    ]
    assert shown.replace("\n", "") == visible(text.replace("\n", ""))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_json_with_escapes_says_the_same_and_nothing_in_it_acts(text: str) -> None:
    shown = escaped(orjson.dumps({text: [text]}, option=orjson.OPT_INDENT_2).decode())
    assert json.loads(shown) == {text: [text]}
    acting = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert not {unicodedata.category(character) for character in shown.replace("\n", "")} & acting


@pytest.mark.parametrize("name", ["a  # b", "it's  # b", "# b"])
def test_what_is_quoted_in_a_command_is_no_comment_of_it(name: str) -> None:
    command = f"jepa rollback run --scenario {shlex.quote(name)} --set KEY=VALUE  # from step\x1b 3"
    said = own_command(command, ["rollback"])
    assert shlex.split(said, comments=True) == ["jepa", "rollback", "run", "--scenario", name, "--set", "KEY=VALUE"]
    assert said.endswith("  # from step␛ 3")
