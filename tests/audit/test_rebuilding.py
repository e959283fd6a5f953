"""The modules of a trial: what is not changed starts with the very weights of the unchanged run."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest
import torch
from torch import Tensor, nn

from jepa_core.audit.bench import Bench
from jepa_core.audit.fields import with_value
from jepa_core.audit.held_encoder import HeldEncoder
from jepa_core.audit.rebuilding import Change, held_parts, take_over_state
from jepa_core.audit.replacements import Average, AverageConfig
from jepa_core.audit.trial import state_of
from jepa_core.engine.network import Parts
from jepa_core.recipes.tables import Recipe
from tests.audit.recipes import encoded

RecipeMaker = Callable[..., Recipe]


@pytest.fixture
def bench(tiny_recipe: RecipeMaker) -> Bench:
    """With a codebook that k-means has moved away from where it is built."""
    return encoded(tiny_recipe())


def parts_with(bench: Bench, recipe: Recipe) -> Parts:
    return held_parts(bench.start, bench.recipe, Change(recipe=recipe))


def test_a_setting_that_shapes_no_weight_leaves_every_weight_as_it_was(bench: Bench) -> None:
    changed = with_value(bench.recipe, "quantizer", "commitment", 0.9)
    parts = parts_with(bench, changed)
    before, after = state_of(bench.start), state_of(parts)
    assert before.keys() == after.keys()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert parts.online.quantizer is not bench.start.online.quantizer


def test_only_the_part_whose_table_changed_is_built_anew(bench: Bench) -> None:
    parts = parts_with(bench, attrs.evolve(bench.recipe, aggregator=AverageConfig()))
    before, after = state_of(bench.start), state_of(parts)
    assert isinstance(parts.online.aggregator, Average)
    assert {name for name in before if name not in after} == {name for name in before if name.startswith("aggregator|")}
    assert all(torch.equal(tensor, before[name]) for name, tensor in after.items())


def test_what_a_trial_trains_does_not_reach_the_start(bench: Bench) -> None:
    before = state_of(bench.start)
    parts = parts_with(bench, bench.recipe)
    with torch.no_grad():
        for module in (parts.online, parts.losses):
            for tensor in module.state_dict().values():
                tensor.zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in state_of(bench.start).items())


@pytest.mark.parametrize("own", [False, True])
def test_encoders_have_weights_of_their_own_only_where_they_are_to_move(bench: Bench, own: bool) -> None:
    parts = held_parts(bench.start, bench.recipe, Change(recipe=bench.recipe, own_encoders=own))
    for network in (parts.online, parts.target):
        encoder = network.encoder
        assert isinstance(encoder, HeldEncoder)
        assert encoder.memory is bench.memory
        assert bool(list(encoder.parameters())) is own
        assert (encoder.encoder is bench.memory.encoder) is not own
    assert not any(parameter.requires_grad for parameter in parts.target.parameters())


def test_state_is_taken_over_where_both_settings_start_alike_and_nowhere_else() -> None:
    module = nn.Linear(2, 1)
    built: dict[str, Tensor] = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    twin = {**built, "bias": built["bias"] + 1}
    take_over_state(module, twin, {"weight": torch.full((1, 2), 7.0), "bias": torch.full((1,), 7.0)})
    assert module.weight.tolist() == [[7.0, 7.0]]
    assert torch.equal(module.bias, built["bias"])
