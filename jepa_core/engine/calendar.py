"""When what is due, as pure functions of the number of optimizer steps done."""

from __future__ import annotations

import math
from functools import cached_property

import attrs

from jepa_core.engine.course import Course
from jepa_core.recipes.tables import Recipe
from jepa_core.watch.language import parse_rule

SHORTEST = 1e-9
"""Epochs between two dates, at the least: no step is shorter, and a smaller number leads to infinitely many."""

PROBES = 10
"""Validations of a long run, at least, that probe embeddings for labels, which takes as long as all else of one."""


@attrs.frozen(slots=False)
class Calendar:
    """The dates of one run. `done` counts optimizer steps taken."""

    recipe: Recipe
    course: Course

    @property
    def run_steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.course.run_steps

    def epoch(self, done: float) -> float:
        """Passes over the data after `done` steps, a real number; micro-batches count as parts of a step."""
        return self.course.epoch(done)

    def row_due(self, done: int) -> bool:
        # The first step has one of its own: where steps take minutes, something is to be seen before ten are done.
        return done == 1 or done % self.recipe.diagnostics.log_every_steps == 0 or self.is_last(done)

    def diagnosis_due(self, done: int) -> bool:
        return done % self.recipe.diagnostics.every_steps == 0 or self.is_last(done)

    def validation_due(self, done: int) -> bool:
        return self._passed(done, self.recipe.diagnostics.validate_every_epochs) or self.is_last(done)

    def validations(self, done: int) -> int:
        """How many validations have come due by then, but for one at the very end."""
        return math.floor((self.epoch(done) + 1e-9) / max(SHORTEST, self.recipe.diagnostics.validate_every_epochs))

    def probe_due(self, done: int) -> bool:
        """Whether a validation probes for labels: first, last, and others evenly; each that a rule needs."""
        return self.is_last(done) or (self.validations(done) - 1) % self._probe_every == 0

    @cached_property
    def _probe_every(self) -> int:
        watch = self.recipe.watch
        rules = (*watch.must, *watch.nice, *watch.alarms)
        needed = {name for rule in rules for name in parse_rule(rule.when).names}
        needed |= {watch.early_stop.metric} if watch.early_stop else set()
        if any(name.startswith("val.probe.") for name in needed):
            return 1
        return max(1, self.validations(self.run_steps) // PROBES)

    def checkpoint_due(self, done: int) -> bool:
        config = self.recipe.checkpoint
        by_epochs = config.every_epochs is not None and self._passed(done, config.every_epochs)
        by_steps = config.every_steps is not None and done % config.every_steps == 0
        return by_epochs or by_steps or self.is_last(done)

    def is_last(self, done: int) -> bool:
        return done >= self.run_steps

    def _passed(self, done: int, epochs: float) -> bool:
        """Whether the newest step reached the next multiple of `epochs`."""
        # The small share keeps rounding from moving a date that falls exactly on a step.
        now, before = ((self.epoch(steps) + 1e-9) / max(SHORTEST, epochs) for steps in (done, done - 1))
        return math.floor(now) > math.floor(before)
