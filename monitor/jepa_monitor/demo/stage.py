"""What all legs of the demo share: where they are written, by which clock and at which pace, and who looks on."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import attrs
from rich.console import Console

from jepa_core.recipes.writing import recipe_to_toml
from jepa_core.run_directory.clock import Clock
from jepa_core.run_directory.recorded_recipe import recorded_metrics


class Pace:
    """Keeps steps to their dates by a clock that is never set back; a late step is not waited for."""

    def __init__(self, seconds_per_step: float, clock: Clock, sleep: Callable[[float], None]) -> None:
        self.seconds_per_step = seconds_per_step
        self._clock = clock
        self._sleep = sleep
        self._due = clock.monotonic()

    def pass_step(self) -> None:
        """A step is done; it is waited for in `wait`."""
        self._due += self.seconds_per_step

    def wait(self) -> None:
        """Sleep until the newest step's date."""
        ahead = self._due - self._clock.monotonic()
        if ahead > 0:
            self._sleep(ahead)
        else:
            self._due -= ahead


RECIPE_NAME = "demo"


@attrs.frozen(kw_only=True)
class Stage:
    """One telling of the story."""

    folder: Path
    """Where the run directories are made."""
    seed: int
    clock: Clock
    pace: Pace
    console: Console
    """Shows what a training shows."""
    announce: Callable[[Path], None]
    """Is told of each run directory once it can be read."""
    environment: Mapping[str, Any]
    """What environment.json says, the same for all legs."""


def demo_recipe() -> dict[str, Any]:
    """The recipe of the first leg, as plain tables."""
    return tomllib.loads(files(__package__).joinpath("recipe.toml").read_text(encoding="utf-8"))


def changed_recipe(recipe: Mapping[str, Any], changed: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """A leg's recipe with the values that the next one's has of these dotted keys, and without the defaults that are
    recorded there: so both differ by the change alone."""
    whole = copy.deepcopy(dict(recipe))
    for key in keys:
        *tables, name = key.split(".")
        left, right = whole, changed
        for table in tables:
            left, right = left.setdefault(table, {}), right.get(table, {})
        if name in right:
            left[name] = right[name]
    return whole


def resolved_recipe(recipe: Mapping[str, Any]) -> str:
    """A leg's recipe as its run directory has it: with the declarations of all metrics."""
    declared = [attrs.asdict(metric) for metric in recorded_metrics(recipe)]
    metrics = [{key: value for key, value in metric.items() if value is not None} for metric in declared]
    return recipe_to_toml({**recipe, "metrics": metrics})
