"""TOML that we write is read back equal."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_core.recipes.writing import recipe_to_toml

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=5))
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read_back_equal(table: dict[str, Any]) -> None:
    assert tomllib.loads(recipe_to_toml(table)) == table


@given(VALUES)
@settings(max_examples=100, deadline=None)
def test_types_survive(value: Any) -> None:
    read = tomllib.loads(recipe_to_toml({"value": value}))["value"]
    assert type(read) is type(value)


@given(TEXTS)
@settings(max_examples=100, deadline=None)
def test_no_control_character_is_written_into_a_text(text: str) -> None:
    written = recipe_to_toml({"text": text}).removesuffix("\n")
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in written)


def test_tables_are_sections_and_lists_of_tables_too() -> None:
    table = {
        "watch": {"abort": [{"id": "a", "set": {"x": {"y": 1}}}, {}], "mixed": [1, {"a b": [True]}]},
        "name": 'a "b"\n\\',
        "empty": {},
        "none": [],
        "floats": [1e16, -0.0, float("inf")],
    }
    assert (
        recipe_to_toml(table)
        == """\
name = "a \\"b\\"\\n\\\\"
none = []
floats = [1e+16, -0.0, inf]

[watch]
mixed = [1, {"a b" = [true]}]

[[watch.abort]]
id = "a"

[watch.abort.set.x]
y = 1

[[watch.abort]]

[empty]
"""
    )
    assert tomllib.loads(recipe_to_toml(table)) == table


def test_not_a_number_is_written_as_such() -> None:
    assert recipe_to_toml({"x": float("nan")}) == "x = nan\n"


@pytest.mark.parametrize("value", [None, b"x", object()])
def test_what_toml_does_not_hold_is_an_error(value: object) -> None:
    with pytest.raises(TypeError, match="a recipe holds no"):
        recipe_to_toml({"x": value})
