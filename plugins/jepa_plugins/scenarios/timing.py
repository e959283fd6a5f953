"""How long a run is given before a scenario judges it."""

from __future__ import annotations

from jepa_core.facts import ScenarioFacts

OF_RUN = 0.25
"""Share of a run after which a figure counts as settled, so that short runs are judged too."""


TRAINED = "step >= 200"
"""Fewer steps say nothing about what a model can learn: many schedules are still warming up."""


def settled(facts: ScenarioFacts, at_most: float) -> float:
    """The epoch after which to judge: `at_most`, or a quarter of a run that is shorter than four times that."""
    epochs: int = facts.recipe["train"]["epochs"]
    return min(at_most, OF_RUN * epochs)
