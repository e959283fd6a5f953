"""How the recorded recipes of several runs differ, and what makes two of them one recipe under two seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from jepa_core.recipes.difference import recipe_difference

_TEXTS = ("name", "description")
SEED_KEY = "train.seed"
_COMPARED = ("watch.baseline.", "watch.judge")
"""What runs are compared with, resolved when one starts, so that a later seed has another, and by: neither changes
training."""


@attrs.frozen(kw_only=True)
class ChangedKey:
    """A key whose value is not the same in every recipe."""

    key: str
    values: tuple[Any, ...]
    """One per recipe; None where it is not there."""


def changed_keys(recipes: Sequence[Mapping[str, Any]]) -> tuple[ChangedKey, ...]:
    """Every key that differs, in the order of the first recipe. Names and descriptions do not count, nor the rules
    that installed scenarios were expanded into: they follow from the rest."""
    first, *others = (_as_chosen(recipe) for recipe in recipes)
    changes = [{change.key: change for change in recipe_difference(first, other)} for other in others]
    keys = dict.fromkeys(key for change in changes for key in change)
    found = []
    for key in keys:
        original = next(change[key].left for change in changes if key in change)
        values = (original, *(change[key].right if key in change else original for change in changes))
        found.append(ChangedKey(key=key, values=values))
    return tuple(found)


def differs_by_seed_only(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Whether two recipes are equal but for the seed, the baseline and the judged metrics. Unreadable ones are not."""
    if not left or not right:
        return False
    changes = recipe_difference(_as_chosen(left), _as_chosen(right))
    return all(change.key == SEED_KEY or change.key.startswith(_COMPARED) for change in changes)


def _as_chosen(recipe: Mapping[str, Any]) -> dict[str, Any]:
    chosen = {key: value for key, value in recipe.items() if key not in _TEXTS}
    watch = chosen.get("watch")
    rules = watch.get("scenario") if isinstance(watch, Mapping) else None
    if isinstance(watch, Mapping) and isinstance(rules, list):
        own = [rule for rule in rules if not (isinstance(rule, Mapping) and rule.get("of"))]
        chosen["watch"] = {**watch, "scenario": own}
    return chosen
