"""`--vary KEY=VALUE,VALUE`: a key of the recipe and the values that it takes in turn.

Whether key and values fit the recipe is found when it is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs

from jepa_core.recipes.faults import Fault, RecipeFaultsError

SEED_KEY = "train.seed"

_KEY = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_UNVARIED = {
    SEED_KEY: "seeds are varied by --seeds",
    "name": "runs are named after their values",
    "description": "it changes no training",
}
_OPENING, _CLOSING, _QUOTES = "[{", "]}", "\"'"


@attrs.frozen
class Variation:
    """A factor of the ablation."""

    key: str
    """Dotted key of the recipe."""
    values: tuple[str, ...]
    """Its levels as they were typed, at least two; the first is the reference."""

    @property
    def flag(self) -> str:
        """How it was asked for."""
        return f"--vary {self.key}={','.join(self.values)}"


def parse_variations(texts: Sequence[str], overrides: Sequence[str] = ()) -> tuple[Variation, ...]:
    """The factors of all `--vary` flags; `overrides` are the `--set` flags beside them.

    Raises:
        RecipeFaultsError: with everything that is wrong with the flags.
    """
    fixed = {override.partition("=")[0].strip() for override in overrides}
    variations: list[Variation] = []
    faults = []
    for text in texts:
        key, _, values = text.partition("=")
        variation = Variation(key.strip(), tuple(split_values(values)))
        others = {other.key for other in variations}
        if problem := _problem_of_key(variation.key, fixed, others) or _problem_of_values(variation):
            faults.append(Fault(where=f"--vary {text}", key=key, message=problem, from_flag=True))
        variations.append(variation)
    if faults:
        raise RecipeFaultsError("The command line", faults)
    return tuple(variations)


def split_values(text: str) -> list[str]:
    """The values between commas; commas within brackets and quotes belong to a value."""
    values, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in _QUOTES:
            quote = character
        else:
            depth += (character in _OPENING) - (character in _CLOSING)
        if character == "," and not quote and depth == 0:
            values.append("")
        else:
            values[-1] += character
    return [value.strip() for value in values]


def _problem_of_key(key: str, fixed: set[str], others: set[str]) -> str:
    """What is wrong with a factor's key; empty when nothing is."""
    if _KEY.fullmatch(key) is None:
        return "expected KEY=VALUE,VALUE with a dotted key, such as aggregator.kind=mean,attention"
    if key in _UNVARIED:
        return f"{key} cannot be varied: {_UNVARIED[key]}"
    if key in fixed:
        return f"{key} is fixed by --set as well: leave one of them out"
    return f"{key} is varied twice: give all its values in one flag" if key in others else ""


def _problem_of_values(variation: Variation) -> str:
    """What is wrong with its values; empty when nothing is."""
    values = variation.values
    if "" in values:
        return "a value is missing: expected KEY=VALUE,VALUE, such as aggregator.kind=mean,attention"
    repeated = next((value for value in values if values.count(value) > 1), None)
    if repeated is not None:
        return f"the value {repeated} is given {values.count(repeated)} times: give each once"
    if len(values) == 1:
        return f"one value is no variation: give two or more, or --set {variation.key}={values[0]}"
    return ""
