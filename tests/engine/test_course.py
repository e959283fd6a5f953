"""A run's way through its data, whatever becomes of its batches on the way."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.engine.calendar import Calendar
from jepa_core.engine.course import Course, Position, changed_course
from jepa_core.engine.optimizer import learning_rate
from jepa_core.recipes.tables import Recipe, Schedule

RecipeMaker = Callable[..., Recipe]

sizes = st.tuples(st.integers(1, 9), st.integers(1, 4))
"""Sequences of a micro-batch, and micro-batches of a step."""


def course(num_sequences: int, batch_size: int, accumulate: int = 1, epochs: int = 3) -> Course:
    return Course(num_sequences=num_sequences, batch_size=batch_size, accumulate=accumulate, epochs=epochs)


def drawn_by(way: Course, first: int, last: int) -> list[tuple[int, int]]:
    """(epoch, place in its order) of every sequence that steps `first` … `last` − 1 draw."""
    micro_batches = [way.at(step, micro) for step in range(first, last) for micro in range(way.accumulate)]
    return [(at.epoch, at.drawn + number) for at in micro_batches for number in range(way.batch_size)]


def test_the_place_is_that_of_whole_micro_batches_in_turn() -> None:
    way = course(20, 6, accumulate=2)
    assert way.per_epoch == 3
    assert [way.at(step, micro) for step in range(3) for micro in range(2)] == [
        Position(0, 0), Position(0, 6), Position(0, 12), Position(1, 0), Position(1, 6), Position(1, 12),
    ]  # fmt: skip
    assert way.run_steps == 4
    assert [way.epoch(step) for step in (0, 1, 1.5, 3)] == [0, 2 / 3, 1, 2]


def test_batches_that_make_no_whole_step_are_told_of() -> None:
    said = course(20, 6, accumulate=2).left_over()
    assert said == "it ends at epoch 2.67 of 3: the last batch makes no whole step of train.accumulate = 2"
    assert "the last 3 batches make no" in course(28, 4, accumulate=4, epochs=1).left_over()
    assert course(24, 6, accumulate=2).left_over() == course(20, 6).left_over() == ""
    assert course(6, 6, accumulate=2, epochs=1).left_over() == ""


@given(st.integers(9, 60), st.lists(st.tuples(sizes, st.integers(0, 12)), min_size=1, max_size=5))
def test_no_sequence_is_drawn_twice_and_none_left_out_whatever_batches_become(
    num_sequences: int, legs: list[tuple[tuple[int, int], int]]
) -> None:
    step, way, seen, epochs = 0, course(num_sequences, *legs[0][0]), [], [0.0]
    for (batch_size, accumulate), steps in legs:
        way = way.fitting(course(num_sequences, batch_size, accumulate), step)
        seen += drawn_by(way, step, step + steps)
        epochs += [way.epoch(step + part / 4) for part in range(4 * steps + 1)]
        step += steps
    # In order, without a gap within an epoch; what is left over at its end does not fill a micro-batch.
    for (epoch, place), (next_epoch, next_place) in pairwise(seen):
        if next_epoch == epoch:
            assert next_place == place + 1
        else:
            assert (next_epoch, next_place) == (epoch + 1, 0)
            assert num_sequences - place - 1 < max(batch for (batch, _), _ in legs)
    assert all(place < num_sequences for _, place in seen)
    assert all(before <= now + 1e-12 for before, now in pairwise(epochs))


@given(st.integers(9, 60), sizes, sizes, st.integers(0, 30))
def test_a_run_that_goes_on_with_other_batches_ends_after_all_its_epochs(
    num_sequences: int, one: tuple[int, int], other: tuple[int, int], step: int
) -> None:
    before = course(num_sequences, *one)
    step = min(step, before.run_steps)
    way = before.fitting(course(num_sequences, *other), step)
    assert way.run_steps >= step
    if way.run_steps > max(step, 1):
        assert way.epoch(way.run_steps) <= way.epochs + 1e-9
        assert way.at(way.run_steps, way.accumulate).epoch >= way.epochs
        assert way.along(way.run_steps, way.run_steps) == pytest.approx(way.run_steps)


def test_half_the_batch_takes_twice_the_steps_from_where_the_run_was() -> None:
    """From 8 to 16 nothing would be trained, and from 8 to 4 the epoch would fall, if steps were what is kept."""
    before = course(96, 8, epochs=4)
    assert before.run_steps == 48
    larger, smaller = (before.fitting(course(96, size, epochs=4), 24) for size in (16, 4))
    assert (larger.run_steps, smaller.run_steps) == (24 + 12, 24 + 48)
    for way in (larger, smaller):
        assert way.epoch(24) == 2
        assert way.at(24) == Position(2, 0)
        assert way.epoch(way.run_steps) == 4


def test_the_same_batches_go_on_on_the_same_course_to_the_last_bit() -> None:
    way = course(50, 7, accumulate=3)
    assert way.fitting(course(50, 7, accumulate=3), 4) is way
    moved = way.fitting(course(50, 4), 4)
    assert moved != way
    assert Course.restored(moved.state()) == moved
    assert moved.fitting(course(50, 4), 9) is moved


def test_the_learning_rate_follows_the_share_that_is_done(tiny_recipe: RecipeMaker) -> None:
    schedule = attrs.evolve(tiny_recipe().schedule, warmup_steps=0, floor=0.0, total_steps=None)
    before = course(96, 8, epochs=4)
    way = before.fitting(course(96, 4, epochs=4), 12)

    def rate(step: int, at: Schedule = schedule) -> float:
        return learning_rate(at, 1.0, step, way.run_steps, way.along(step, way.run_steps))

    assert rate(12) == pytest.approx(learning_rate(schedule, 1.0, 12, before.run_steps))
    assert rate(12 + 24) == pytest.approx(0.5)
    assert [rate(step) for step in range(12, way.run_steps)] == sorted(
        (rate(step) for step in range(12, way.run_steps)), reverse=True
    )
    assert rate(way.run_steps) == pytest.approx(0, abs=1e-12)
    fixed = attrs.evolve(schedule, total_steps=60)
    assert rate(30, fixed) == pytest.approx(0.5)
    assert "share of the run's sequences" in changed_course(before, way, schedule)
    assert "the number of steps, as schedule.total_steps = 60" in changed_course(before, way, fixed)
    assert "now 1 × 4 sequences are in a step, where 1 × 8 were" in changed_course(before, way, schedule).lower()


def test_dates_go_on_from_there(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe("train.epochs=4", "train.batch_size=4")
    way = course(96, 8, epochs=4).fitting(Course.of(recipe, 96), 18)
    calendar = Calendar(recipe, way)
    assert [done for done in range(19, calendar.run_steps + 1) if calendar.validation_due(done)] == [30, 54, 78]
    assert calendar.is_last(78)
