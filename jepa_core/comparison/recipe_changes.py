"""How the recorded recipes of several runs differ, and what makes two of them one recipe under two seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from jepa_core.recipe.difference import recipe_difference

_TEXTS = ("name", "description")
SEED_KEY = "train.seed"
_BASELINE = "watch.baseline."
"""Resolved when a run starts, so a later seed has another one; it changes no training."""


@attrs.frozen(kw_only=True)
class ChangedKey:
    """A key whose value is not the same in every recipe."""

    key: str
    values: tuple[Any, ...]
    """One per recipe; None where it is not there."""


def changed_keys(recipes: Sequence[Mapping[str, Any]]) -> tuple[ChangedKey, ...]:
    """Every key that differs, in the order of the first recipe; names and descriptions do not count."""
    first, *others = (_without_texts(recipe) for recipe in recipes)
    changes = [{change.key: change for change in recipe_difference(first, other)} for other in others]
    keys = dict.fromkeys(key for change in changes for key in change)
    found = []
    for key in keys:
        original = next(change[key].left for change in changes if key in change)
        values = (original, *(change[key].right if key in change else original for change in changes))
        found.append(ChangedKey(key=key, values=values))
    return tuple(found)


def differs_by_seed_only(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Whether two recipes are one, but for the seed and what that run was compared with. Unreadable ones are not."""
    if not left or not right:
        return False
    changes = recipe_difference(_without_texts(left), _without_texts(right))
    return all(change.key == SEED_KEY or change.key.startswith(_BASELINE) for change in changes)


def _without_texts(recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in recipe.items() if key not in _TEXTS}
