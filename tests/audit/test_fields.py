"""The numbers that an audit moves: by how much, and never out of their range."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jepa_core.audit.fields import fields_of, with_value
from jepa_core.recipes.structuring import recipe_table
from jepa_core.recipes.tables import Recipe

RecipeMaker = Callable[..., Recipe]
FACTORS = {"+20 %": 1.2, "−20 %": 0.8, "×2": 2.0, "×½": 0.5}


def value_at(recipe: Recipe, key: str) -> float:
    table = recipe_table(recipe)
    for part in key.split("."):
        table = table[part]
    assert isinstance(table, int | float)
    return table


def test_every_move_does_what_its_word_says_within_the_range_and_moves_nothing_else(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe("encoder.dropout=0.3", "schedule.floor=0.9", "train.clip_norm=1.0")
    num_moved = 0
    for field in fields_of(recipe):
        if field.setting.acts_later:
            continue
        for word, changed in field.moved(recipe):
            value = value_at(changed, field.key)
            expected = field.value * FACTORS[word] if word in FACTORS else float(word.removeprefix("to "))
            assert value == pytest.approx(expected), field.key
            assert value != field.value
            assert field.setting.allows(value)
            assert with_value(changed, field.table, field.name, field.value) == recipe
            num_moved += 1
    assert num_moved > 30


@given(st.floats(0.001, 1.0))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
def test_where_the_end_of_the_range_is_nearer_it_is_taken(tiny_recipe: RecipeMaker, floor: float) -> None:
    recipe = with_value(tiny_recipe(), "schedule", "floor", floor)
    (field,) = (field for field in fields_of(recipe) if field.key == "schedule.floor")
    moved = dict(field.moved(recipe))
    assert "−20 %" in moved
    assert ("+20 %" in moved) is (1.2 * floor <= 1)
    assert ("to 1" in moved) is (floor < 1 < 2 * floor)


def test_flags_words_and_counts_are_not_moved(tiny_recipe: RecipeMaker) -> None:
    keys = {field.key for field in fields_of(tiny_recipe())}
    assert {"optimizer.lr", "quantizer.commitment", "losses.info_nce.weight", "losses.sigreg.weight"} <= keys
    assert not keys & {"encoder.dim", "encoder.layers", "optimizer.kind", "losses.info_nce.queue", "train.batch_size"}
    assert not any(key.startswith(("data.", "train.epochs", "watch.")) for key in keys)
