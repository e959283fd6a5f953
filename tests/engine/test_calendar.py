"""Order of batches, dates of a run, early stopping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from jepa_core.contracts import Observations, Sequences
from jepa_core.engine.batches import BatchStream
from jepa_core.engine.calendar import Calendar
from jepa_core.engine.course import Course, Position
from jepa_core.engine.seeds import derived_seed
from jepa_core.errors import RecipeError
from jepa_core.recipes.tables import Recipe

RecipeMaker = Callable[..., Any]


def dates(recipe: Recipe, batches_per_epoch: int) -> Calendar:
    return Calendar(recipe, Course.of(recipe, batches_per_epoch * recipe.train.batch_size))


def numbered(count: int) -> Sequences:
    """Sequences whose observations hold their own number."""
    values = torch.arange(count)[:, None, None].expand(count, 2, 1).contiguous()
    return Sequences(observations=Observations({"values": values}), tasks=torch.arange(count))


def test_an_epoch_sees_every_sequence_at_most_once_and_the_next_in_another_order() -> None:
    stream = BatchStream(numbered(20), 6, seed=1, device=torch.device("cpu"))
    epochs = [
        torch.cat([stream.draw(Position(epoch, drawn))["values"].flatten(1)[:, 0] for drawn in (0, 6, 12)]).tolist()
        for epoch in range(2)
    ]
    assert all(len(set(epoch)) == 18 for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_order_is_a_function_of_seed_and_position_alone() -> None:
    one, other = (BatchStream(numbered(20), 6, seed=1, device=torch.device("cpu")) for _ in range(2))
    other.draw(Position(2, 6))
    assert torch.equal(one.draw(Position(1, 6))["values"], other.draw(Position(1, 6))["values"])


def test_a_batch_larger_than_the_data_is_refused_with_the_numbers() -> None:
    with pytest.raises(RecipeError, match=r"batch_size is 32.*only 20.*batch_size=20"):
        BatchStream(numbered(20), 32, seed=1, device=torch.device("cpu"))


def test_seeds_of_different_paths_differ() -> None:
    paths = [(1, "step", 0), (1, "step", 1), (2, "step", 0), (1, "after", 0)]
    assert len({derived_seed(*path) for path in paths}) == 4


@pytest.mark.parametrize(("epochs", "probed"), [(3, 3), (19, 19), (30, 11), (100, 11)])
def test_labels_are_probed_about_ten_times_first_and_last_among_them(
    tiny_recipe: RecipeMaker, epochs: int, probed: int
) -> None:
    calendar = dates(tiny_recipe(f"train.epochs={epochs}"), 5)
    due = [done for done in range(1, calendar.run_steps + 1) if calendar.validation_due(done)]
    asked = [done for done in due if calendar.probe_due(done)]
    assert (len(due), len(asked)) == (epochs, probed)
    assert (asked[0], asked[-1]) == (due[0], due[-1])


@pytest.mark.parametrize(
    "needs",
    [
        "watch.must=[{id='seen', when='val.probe.colour.knn > 0.5'}]",
        "watch.abort=[{id='unseen', when='val.probe.colour.knn < 0.1'}]",
        "watch.early_stop={metric='val.probe.colour.knn', patience=3}",
    ],
)
def test_labels_that_a_rule_goes_by_are_probed_each_time(tiny_recipe: RecipeMaker, needs: str) -> None:
    calendar = dates(tiny_recipe("train.epochs=30", needs), 5)
    due = [done for done in range(1, calendar.run_steps + 1) if calendar.validation_due(done)]
    assert all(map(calendar.probe_due, due))


def test_the_seeds_thirty_epochs_make_1425_steps(tiny_recipe: RecipeMaker) -> None:
    calendar = dates(tiny_recipe("train.epochs=30", "train.accumulate=2"), 95)
    assert calendar.run_steps == 1425
    assert calendar.epoch(1425) == 30
    assert [done for done in range(1, 200) if calendar.validation_due(done)] == [48, 95, 143, 190]


def test_everything_is_due_at_the_last_step(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe("train.epochs=1", "diagnostics.log_every_steps=100", "diagnostics.every_steps=100")
    calendar = dates(recipe, 7)
    assert calendar.row_due(7)
    assert calendar.diagnosis_due(7)
    assert calendar.validation_due(7)
    assert calendar.checkpoint_due(7)
    assert not calendar.row_due(6)


def test_the_first_step_has_a_row_of_its_own(tiny_recipe: RecipeMaker) -> None:
    calendar = dates(tiny_recipe("diagnostics.log_every_steps=4"), 10)
    assert [done for done in range(1, 11) if calendar.row_due(done)] == [1, 4, 8, 10]


def test_an_interval_too_small_for_a_number_is_every_step(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe("diagnostics.validate_every_epochs=1e-320", "checkpoint.every_epochs=1e-320")
    calendar = dates(recipe, batches_per_epoch=4)
    assert all(calendar.validation_due(done) and calendar.checkpoint_due(done) for done in (1, 2, 3, 4))
    assert calendar.validations(4) > 0
