"""Places of keys and values in a text."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_core.recipes.key_path import KeyPath
from jepa_core.recipes.positions import Positions
from jepa_core.recipes.writing import recipe_to_toml
from tests.recipes.test_writing import TEXTS, VALUES


def leaves(path: KeyPath, node: Any) -> Iterator[tuple[KeyPath, Any]]:
    """Every value that is no table or list."""
    if isinstance(node, dict):
        for key, entry in node.items():
            yield from leaves((*path, key), entry)
    elif isinstance(node, list):
        for index, entry in enumerate(node):
            yield from leaves((*path, index), entry)
    else:
        yield path, node


@given(st.dictionaries(TEXTS, VALUES, max_size=5))
@settings(max_examples=100, deadline=None)
def test_the_text_at_a_values_place_is_the_value(table: dict[str, Any]) -> None:
    positions = Positions(recipe_to_toml(table))
    for path, value in leaves((), table):
        place = positions.find(path, at_key=False)
        assert place is not None
        start = place.column - 1
        assert tomllib.loads("x = " + place.text[start : start + place.width])["x"] == value


SOURCE = """\
a.b."c d" = 1
é = "ä" # no bare key in TOML, yet read as far as it goes
[[watch.must]]
id = 'x'
[[watch.must]]
id = 'y'
[watch.must.sub]
k = [
  1,  # one
  [2, { z = 3 }],
]
"""


@pytest.mark.parametrize(
    ("path", "at_key", "place"),
    [
        (("a", "b", "c d"), False, (1, 13, 1)),
        (("a", "b", "c d"), True, (1, 1, 9)),
        (("a", "b"), False, (1, 1, 9)),
        (("watch", "must", 1, "id"), False, (6, 6, 3)),
        (("watch", "must", 1, "sub", "k", 0), False, (9, 3, 1)),
        (("watch", "must", 1, "sub", "k", 1, 1, "z"), False, (10, 13, 1)),
        (("watch", "must", 1, "sub", "k"), False, (8, 5, 1)),
        (("watch", "must", 1, "sub", "absent"), False, (7, 2, 14)),
        (("watch", "must", 0), True, (3, 3, 10)),
    ],
)
def test_keys_tables_and_items_have_their_places(path: KeyPath, at_key: bool, place: tuple[int, int, int]) -> None:
    found = Positions(SOURCE).find(path, at_key=at_key)
    assert found is not None
    assert (found.line, found.column, found.width) == place


def test_what_is_nowhere_has_no_place() -> None:
    assert Positions("a = 1\n").find(("b",), at_key=False) is None


def test_a_part_of_a_text_is_marked_unless_escapes_shift_it() -> None:
    plain = Positions('when = "vq.usag > 1"\n').find(("when",), at_key=False, span=(0, 7))
    escaped = Positions('when = "\\u0076q.usag > 1"\n').find(("when",), at_key=False, span=(0, 7))
    assert plain is not None
    assert escaped is not None
    assert (plain.column, plain.width) == (9, 7)
    assert (escaped.column, escaped.width) == (8, 18)
