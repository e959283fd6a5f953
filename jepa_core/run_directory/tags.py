"""Tags: words of the user's by which runs are found again, kept in environment.json as a list."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from jepa_core.errors import RecipeError

TAGS = "tags"
"""Their key in environment.json."""

_TAG = re.compile(r"[^\W_][\w.:=/+-]{0,39}")
_MOST = 20


def checked_tags(given: Sequence[str]) -> tuple[str, ...]:
    """Tags as they were given, each once.

    Raises:
        RecipeError: one is no single word, or there are too many.
    """
    for tag in given:
        if _TAG.fullmatch(tag) is None:
            raise RecipeError(
                f"--tag {tag[:60]!r} is no tag: one word of at most 40 letters, digits and . _ : = / + -, that begins "
                "with a letter or digit."
            )
    tags = tuple(dict.fromkeys(given))
    if len(tags) > _MOST:
        raise RecipeError(f"--tag was given {len(tags)} times; a run has at most {_MOST} tags.")
    return tags


def recorded_tags(environment: Mapping[str, Any]) -> tuple[str, ...]:
    """The tags of a run, by its environment; none where what stands there is no list of words."""
    tags = environment.get(TAGS)
    return tuple(tag for tag in tags[:_MOST] if isinstance(tag, str)) if isinstance(tags, list) else ()
