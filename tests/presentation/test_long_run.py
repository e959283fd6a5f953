"""What is said of a run of more than an hour, and that what it says to type makes it shorter than that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from jepa_core.presentation.long_run import LONG, LongRun, long_run, time_left
from jepa_core.presentation.shown_training import flags_alone, run_command


def changed(told: list[Mapping[str, Any]]) -> Callable[[Mapping[str, Any]], str]:
    def command(changes: Mapping[str, Any]) -> str:
        told.append(changes)
        return "jepa run tiny"

    return command


def said_of(
    hours: float,
    *,
    epochs: int,
    num_batches: int = 100,
    num_sequences: int = 0,
    command: Callable[[Mapping[str, Any]], str] = flags_alone,
) -> LongRun | None:
    return long_run(hours * LONG, epochs=epochs, num_batches=num_batches, num_sequences=num_sequences, command=command)


def test_of_a_run_of_less_than_an_hour_nothing_is_said() -> None:
    assert long_run(LONG, epochs=1, num_batches=100, num_sequences=0, command=flags_alone) is None
    assert time_left(LONG) is None


@pytest.mark.parametrize(("epochs", "hours"), [(150, 71), (100, 1.01), (3, 2.5)])
def test_fewer_epochs_bring_it_below_an_hour(epochs: int, hours: float) -> None:
    told: list[Mapping[str, Any]] = []
    assert said_of(hours, epochs=epochs, command=changed(told)) is not None
    (changes,) = told
    assert changes.keys() == {"train.epochs"}
    assert 1 <= changes["train.epochs"] < epochs
    assert hours * LONG * changes["train.epochs"] / epochs < LONG


def test_the_words_name_the_time_and_what_to_type() -> None:
    said = said_of(71, epochs=150)
    assert said is not None
    assert said.message == "This run will take about 2 d 23 h, as far as its steps tell."
    assert said.advice == "In about 28 min 24 s:  --set train.epochs=1"


def test_where_one_epoch_is_too_long_there_is_less_data() -> None:
    told: list[Mapping[str, Any]] = []
    said = said_of(20, epochs=4, num_batches=2400, num_sequences=48_000, command=changed(told))
    assert said is not None
    assert said.advice == "In about 53 min 45 s:  jepa run tiny"
    assert told == [{"train.epochs": 1, "data.num_sequences": 8600}]
    assert 5 * LONG * 8600 / 48000 < LONG


@pytest.mark.parametrize(("num_batches", "num_sequences"), [(6, 120), (2400, 0)])
def test_where_nothing_of_the_recipe_helps_it_is_said_in_words(num_batches: int, num_sequences: int) -> None:
    said = said_of(20, epochs=4, num_batches=num_batches, num_sequences=num_sequences)
    assert said is not None
    assert said.advice == "One epoch alone takes 5 h 0 min: take less data, a smaller encoder, or a GPU."


def test_of_a_run_that_goes_on_the_recipe_stays_as_it_is() -> None:
    said = time_left(2 * LONG)
    assert said is not None
    assert said.message == "This run will take about 2 h 0 min more, as far as its steps tell."


def test_the_command_is_what_was_typed_with_the_change_in_place_of_what_it_changes() -> None:
    typed = run_command("my recipe.toml", ["train.epochs=30", "data.path=a b"], ["--device cpu"], {"train.epochs": 3})
    assert typed == "jepa run 'my recipe.toml' --set 'data.path=a b' --set train.epochs=3 --device cpu"
