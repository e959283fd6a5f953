"""What a run without figures waits for, in sentences: what goes on before its first step, when a diagnosis comes."""

from __future__ import annotations

from collections.abc import Mapping

from jepa_core.recorded_numbers import decode_number
from jepa_core.run_directory.status import ALIVE
from jepa_monitor.model.run_view import RunView


def nothing_yet(what: str, view: RunView, expected: str = "") -> str:
    """That there is none of `what`, and what brings one: `expected` where the run goes on, which says when.

    Of a run that has begun no step it is what goes on before that.
    """
    if view.state not in ALIVE:
        return f"no {what}"
    if view.history.num_rows:
        return f"no {what} yet" + (f": {expected}" if expected else "")
    # A recipe is written once the data is read.
    before = (
        "the model is built, nulls are ranked, the audit looks at both"
        if view.recipe
        else "its data is read; then the model is built, nulls are ranked, the audit looks at both"
    )
    return f"no {what} yet: the run is starting, {before}. Then comes the first step."


def no_diagnosis(view: RunView) -> str:
    """That there is none, and when one comes."""
    return nothing_yet("diagnosis", view, every(view, "every_steps", "step"))


def every(view: RunView, key: str, unit: str) -> str:
    """When the recipe's `diagnostics` has something happen, such as "one comes every 200 steps"."""
    table = view.recipe.get("diagnostics")
    number = decode_number(table.get(key)) if isinstance(table, Mapping) else None
    if number is None:
        return f"the recipe's diagnostics.{key} says when one comes"
    return f"one comes every {unit}" if number == 1 else f"one comes every {number:,g} {unit}s"


def sentence(words: str) -> str:
    """With a capital, and a full stop."""
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")
