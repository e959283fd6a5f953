"""What is said of a run that will take over an hour: how long, and what to type for one that does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from jepa_core.presentation.quantity import duration_text

LONG = 3600.0
"""Seconds above which a run's length is told."""
AIM = 0.9 * LONG
"""What a shorter one is to take: estimates are not exact."""
FEWEST_BATCHES = 20
"""Of an epoch on less data; on fewer nothing is learnt that could be looked at."""


@attrs.frozen
class LongRun:
    """The words, and the advice, which ends in what to type where that is known."""

    message: str
    advice: str


def long_run(
    seconds: float, *, epochs: int, num_batches: int, num_sequences: int, command: Callable[[Mapping[str, Any]], str]
) -> LongRun | None:
    """None for a run that is not long.

    Args:
        seconds: of the whole run.
        epochs: of the recipe.
        num_batches: micro-batches of an epoch.
        num_sequences: what the recipe asks its dataset for; 0 where a dataset is not asked.
        command: what is typed for the same run with changes, by dotted key.
    """
    if seconds <= LONG:
        return None
    message = f"This run will take about {duration_text(seconds)}, as far as its steps tell."
    fewer = int(epochs * AIM / seconds)
    if fewer >= 1:
        return LongRun(message, _shorter(seconds * fewer / epochs, command({"train.epochs": fewer})))
    epoch = seconds / epochs
    sequences = _two_digits(num_sequences * AIM / epoch)
    if sequences and num_batches * AIM / epoch >= FEWEST_BATCHES:
        changes: dict[str, Any] = {} if epochs == 1 else {"train.epochs": 1}
        typed = command({**changes, "data.num_sequences": sequences})
        return LongRun(message, _shorter(epoch * sequences / num_sequences, typed))
    alone = f"One epoch alone takes {duration_text(epoch)}"
    return LongRun(message, f"{alone}: take less data, a smaller encoder, or a GPU.")


def time_left(seconds: float) -> LongRun | None:
    """The same of a run that goes on, whose recipe stays as it is."""
    message = f"This run will take about {duration_text(seconds)} more, as far as its steps tell."
    return LongRun(message, "Ctrl-C ends it with a checkpoint, to go on from.") if seconds > LONG else None


def _shorter(seconds: float, command: str) -> str:
    return f"In about {duration_text(seconds)}:  {command}"


def _two_digits(count: float) -> int:
    """8_640.5 → 8600."""
    unit = int(10 ** max(0, len(str(int(count))) - 2))
    return int(count) // unit * unit
