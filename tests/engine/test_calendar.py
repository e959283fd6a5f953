"""Order of batches, dates of a run, early stopping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from jepa_core.contracts import Observations, Sequences
from jepa_core.engine.batches import BatchStream
from jepa_core.engine.calendar import Calendar
from jepa_core.engine.seeds import derived_seed
from jepa_core.errors import RecipeError

RecipeMaker = Callable[..., Any]


def numbered(count: int) -> Sequences:
    """Sequences whose observations hold their own number."""
    values = torch.arange(count)[:, None, None].expand(count, 2, 1).contiguous()
    return Sequences(observations=Observations({"values": values}), tasks=torch.arange(count))


def test_an_epoch_sees_every_sequence_at_most_once_and_the_next_in_another_order() -> None:
    stream = BatchStream(numbered(20), 6, seed=1, device=torch.device("cpu"))
    epochs = [
        torch.cat([stream.draw(e * 3 + i)["values"].flatten(1)[:, 0] for i in range(3)]).tolist() for e in range(2)
    ]
    assert stream.per_epoch == 3
    assert all(len(set(epoch)) == 18 for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_order_is_a_function_of_seed_and_index_alone() -> None:
    one, other = (BatchStream(numbered(20), 6, seed=1, device=torch.device("cpu")) for _ in range(2))
    other.draw(7)
    assert torch.equal(one.draw(4)["values"], other.draw(4)["values"])


def test_a_batch_larger_than_the_data_is_refused_with_the_numbers() -> None:
    with pytest.raises(RecipeError, match=r"batch_size is 32.*only 20.*batch_size=20"):
        BatchStream(numbered(20), 32, seed=1, device=torch.device("cpu"))


def test_seeds_of_different_paths_differ() -> None:
    paths = [(1, "step", 0), (1, "step", 1), (2, "step", 0), (1, "after", 0)]
    assert len({derived_seed(*path) for path in paths}) == 4


def test_the_seeds_thirty_epochs_make_1425_steps(tiny_recipe: RecipeMaker) -> None:
    calendar = Calendar(tiny_recipe("train.epochs=30", "train.accumulate=2"), batches_per_epoch=95)
    assert calendar.run_steps == 1425
    assert calendar.epoch(1425) == 30
    assert [done for done in range(1, 200) if calendar.validation_due(done)] == [48, 95, 143, 190]


def test_everything_is_due_at_the_last_step(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe("train.epochs=1", "diagnostics.log_every_steps=100", "diagnostics.every_steps=100")
    calendar = Calendar(recipe, batches_per_epoch=7)
    assert calendar.row_due(7)
    assert calendar.diagnosis_due(7)
    assert calendar.validation_due(7)
    assert calendar.checkpoint_due(7)
    assert not calendar.row_due(6)


def test_the_first_step_has_a_row_of_its_own(tiny_recipe: RecipeMaker) -> None:
    calendar = Calendar(tiny_recipe("diagnostics.log_every_steps=4"), batches_per_epoch=10)
    assert [done for done in range(1, 11) if calendar.row_due(done)] == [1, 4, 8, 10]
