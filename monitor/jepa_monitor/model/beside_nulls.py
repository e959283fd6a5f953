"""What a run's retrieval says beside its nulls: the paired difference, the number of candidates, control rankings."""

from __future__ import annotations

import math
from collections.abc import Mapping

from jepa_core import figures
from jepa_core.watch.nulls import says_little
from jepa_core.watch.outcome import VOID_ABOVE_CHANCE
from jepa_monitor.model.run_view import RunView

CONTROLS = ("blind", "medoid", "chance")
"""Rankings of near copies that cannot know which of them is the target."""


def difference_text(view: RunView) -> str:
    """The model's reciprocal ranks less the strongest null's, paired, with the 95 % interval of the mean, such as
    "+0.048 [0.031, 0.066]"; empty where it is not recorded."""
    mean, low, high = (view.finals.get(f"val.retrieval.above_null{end}") for end in ("", "_low", "_high"))
    if mean is None or low is None or high is None:
        return ""
    return figures.difference_text(mean, low, high)


def is_above(view: RunView) -> bool | None:
    """Whether retrieval is above the strongest null beyond chance, as the verdict has it; None where that was not
    measured, and where validation is too small."""
    low = view.finals.get("val.retrieval.above_null_low")
    return None if low is None or too_few(view) else low > 0


def num_candidates(view: RunView) -> int | None:
    """Among how many distinct targets each is ranked; None where that is not recorded."""
    return _counted(view, "candidates")


def too_few(view: RunView) -> str:
    """Of what validation has too few for a verdict on retrieval, such as "9 tasks"; empty where it has enough."""
    candidates, tasks = num_candidates(view), _counted(view, "tasks")
    for number, noun, reason in (
        (candidates, "candidate", says_little(candidates, None)),
        (tasks, "task", says_little(None, tasks)),
    ):
        if reason:
            return f"{number} {noun}{'' if number == 1 else 's'}"
    return ""


def controls(view: RunView) -> Mapping[str, float]:
    """Those recorded, by name."""
    return {name: view.finals[key] for name in CONTROLS if (key := f"val.hard.{name}_mrr") in view.finals}


def void_controls(view: RunView) -> tuple[str, ...]:
    """Controls so far above chance that near copies say nothing."""
    found = controls(view)
    chance = found.get("chance", math.nan)
    return tuple(name for name, value in found.items() if value > chance + VOID_ABOVE_CHANCE)


def _counted(view: RunView, noun: str) -> int | None:
    number = view.finals.get(f"val.retrieval.{noun}", math.nan)
    return int(number) if math.isfinite(number) else None
