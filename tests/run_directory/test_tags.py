from __future__ import annotations

from typing import Any

import pytest

from jepa_core.errors import RecipeError
from jepa_core.run_directory.tags import checked_tags, recorded_tags


def test_tags_are_words_each_once() -> None:
    assert checked_tags(["big", "lr=0.1", "big"]) == ("big", "lr=0.1")


@pytest.mark.parametrize("tag", ["", "two words", "-x", "a" * 41, "a\x1b[2J", "a,b"])
def test_what_is_no_word_is_refused_with_what_would_be(tag: str) -> None:
    with pytest.raises(RecipeError, match="is no tag: one word of at most 40 letters"):
        checked_tags(["big", tag])


def test_there_are_not_endless_tags() -> None:
    with pytest.raises(RecipeError, match="at most 20"):
        checked_tags([f"t{number}" for number in range(21)])


@pytest.mark.parametrize(("recorded", "tags"), [(["a", 1, None], ("a",)), ("ab", ()), (None, ()), ({"a": 1}, ())])
def test_only_words_of_a_list_are_read(recorded: Any, tags: tuple[str, ...]) -> None:
    assert recorded_tags({"tags": recorded}) == tags
