"""Which sequences of which epoch a micro-batch draws: a function of where the run went on from, and of its step.

An epoch is as many whole micro-batches as the data holds; what is left over is not drawn in it. An optimizer step may
run across the end of an epoch. Where a run goes on with batches of another size, on resume or after a rollback, its
place in the data is kept, not its number of steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from jepa_core.recipes.tables import Recipe, Schedule


@attrs.frozen
class Position:
    """A place in the data."""

    epoch: int
    """Epochs that are over."""
    drawn: int
    """Sequences that were drawn since."""


@attrs.frozen(kw_only=True)
class Course:
    """A run's way through its data, from the step at which batches got the size that they have."""

    num_sequences: int
    batch_size: int
    """Sequences in a micro-batch, those of all ranks together."""
    accumulate: int
    epochs: int
    """Of the whole run."""
    step: int = 0
    """Optimizer steps that were taken before."""
    position: Position = Position(0, 0)
    """Where they left off."""
    epoch_then: float = 0.0
    """Passes over the data that they made, in the size of their own epochs."""
    share_then: float = 0.0
    """Of the whole run, how much was done."""

    @staticmethod
    def of(recipe: Recipe, num_sequences: int) -> Course:
        """A run's, from its start."""
        train = recipe.train
        return Course(
            num_sequences=num_sequences, batch_size=train.batch_size, accumulate=train.accumulate, epochs=train.epochs
        )

    @property
    def per_epoch(self) -> int:
        """Micro-batches in a whole epoch."""
        return self.num_sequences // self.batch_size

    @property
    def _left(self) -> int:
        """Micro-batches in what is left of the epoch that the course begins in."""
        return max(0, self.num_sequences - self.position.drawn) // self.batch_size

    @property
    def run_steps(self) -> int:
        """Optimizer steps of the whole run: those that fit into its epochs, at least one."""
        return max(1, self.step + self._micro_batches // self.accumulate)

    @property
    def _micro_batches(self) -> int:
        """Those that are left of the whole run where the course begins."""
        epochs = self.epochs - self.position.epoch
        return self._left + (epochs - 1) * self.per_epoch if epochs > 0 else 0

    def left_over(self) -> str:
        """What of the last epoch makes no whole step, in a sentence; empty where all does."""
        rest = self._micro_batches % self.accumulate
        if not rest or self._micro_batches < self.accumulate:
            return ""
        number = "the last batch makes" if rest == 1 else f"the last {rest} batches make"
        return (
            f"it ends at epoch {self.epoch(self.run_steps):.3g} of {self.epochs}: {number} no whole step of "
            f"train.accumulate = {self.accumulate}"
        )

    def at(self, step: int, micro: int = 0) -> Position:
        """Where micro-batch `micro` of a step, counted from 0, begins to draw."""
        taken = (step - self.step) * self.accumulate + micro
        if taken < self._left:
            return Position(self.position.epoch, self.position.drawn + taken * self.batch_size)
        epochs, micro_batches = divmod(taken - self._left, self.per_epoch)
        return Position(self.position.epoch + 1 + epochs, micro_batches * self.batch_size)

    def epoch(self, done: float) -> float:
        """Passes over the data after `done` steps, a real number; micro-batches count as parts of a step."""
        taken, begins = (done - self.step) * self.accumulate, float(self.position.epoch)
        if not self.position.drawn:
            return begins + taken / self.per_epoch
        if taken < self._left:
            return self.epoch_then + (begins + 1 - self.epoch_then) * taken / self._left
        return begins + 1 + (taken - self._left) / self.per_epoch

    def along(self, step: int, run_steps: int) -> float:
        """The step of a run of `run_steps` like ones in which as large a share of the whole is done as in this one.

        Steps of another size before make the two differ; a schedule over the whole run goes by this one.
        """
        if not self.step:
            return float(step)
        share = self.share_then + (1 - self.share_then) * (step - self.step) / max(1, self.run_steps - self.step)
        return share * run_steps

    def fitting(self, other: Course, step: int) -> Course:
        """The course of a run that took `step` steps on this one, and goes on with data and batches of the other."""
        if attrs.evolve(other, **_beginning(self)) == self:
            return self
        return attrs.evolve(
            other,
            step=step,
            position=self.at(step),
            epoch_then=self.epoch(step),
            share_then=self.along(step, self.run_steps) / self.run_steps,
        )

    def state(self) -> dict[str, Any]:
        """For checkpoints: plain numbers."""
        return attrs.asdict(self)

    @staticmethod
    def restored(state: Mapping[str, Any]) -> Course:
        """From a checkpoint.

        Raises:
            KeyError, TypeError, ValueError: it holds something else.
        """
        return Course(**{**state, "position": Position(**state["position"])})


def _beginning(course: Course) -> dict[str, Any]:
    return {name: getattr(course, name) for name in ("step", "position", "epoch_then", "share_then")}


def changed_course(before: Course, now: Course, schedule: Schedule) -> str:
    """What is told where a run goes on with another data size, batch or accumulation."""
    place = f"{now.position.drawn:,} of {now.num_sequences:,} sequences of epoch {now.position.epoch + 1:,} are drawn"
    sizes = [f"{course.accumulate:,} × {course.batch_size:,}" for course in (before, now)]
    size = (
        f"{sizes[1]} sequences are in a step, where {sizes[0]} were" if sizes[0] != sizes[1] else "the data has changed"
    )
    follows = (
        f"the number of steps, as schedule.total_steps = {schedule.total_steps:,}"
        if schedule.total_steps
        else "the share of the run's sequences that is done"
    )
    return f"Goes on where it was in the data: {place}. Now {size}. The learning rate follows {follows}."
