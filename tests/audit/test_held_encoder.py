"""The encoder that gives again what it gave: only for what it was given, at the step it was given it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from jepa_core.audit.bench import Bench
from jepa_core.audit.held_encoder import HeldEncoder
from jepa_core.audit.rebuilding import Change, held_parts
from jepa_core.contracts import Embeddings, Observations
from jepa_core.recipes.tables import Recipe
from tests.audit.recipes import encoded, recorded

RecipeMaker = Callable[..., Recipe]


@pytest.fixture
def bench(tiny_recipe: RecipeMaker) -> Bench:
    return encoded(tiny_recipe())


def held(bench: Bench, *, own: bool = False) -> HeldEncoder:
    encoder = held_parts(bench.start, bench.recipe, Change(recipe=bench.recipe, own_encoders=own)).online.encoder
    assert isinstance(encoder, HeldEncoder)
    return encoder


def context(bench: Bench, step: int) -> Observations:
    return bench.held_training().draw(step, 0)[0][:, :-1].flatten()


def test_it_gives_what_the_encoder_gives(bench: Bench) -> None:
    with torch.no_grad():
        expected = bench.memory.encoder(context(bench, 1))
    bench.memory.step = 1
    found: Embeddings = held(bench)(context(bench, 1))
    assert torch.equal(found.values, expected.values)
    assert torch.equal(found.mask, expected.mask)


@pytest.mark.parametrize(("step", "asked", "known"), [(1, 1, True), (1, 2, False), (2, 2, True), (9, 1, False)])
def test_memory_serves_only_what_was_seen_at_that_step(bench: Bench, step: int, asked: int, known: bool) -> None:
    bench.memory.step = step
    given = context(bench, asked).tensors
    assert (bench.memory.find("online", given) is not None) is known
    assert bench.memory.find("online", {**given, "more": torch.zeros(1)}) is None


def test_what_memory_does_not_know_is_encoded(bench: Bench) -> None:
    bench.memory.step = 0
    unknown = context(bench, 2)
    with torch.no_grad():
        expected = bench.memory.encoder(unknown)
    assert torch.equal(held(bench)(unknown).values, expected.values)


def test_the_gradient_of_a_trial_ends_at_the_output_and_memory_keeps_none(bench: Bench) -> None:
    bench.memory.step = 0
    encoder = held(bench)
    (2 * encoder(context(bench, 0)).values).sum().backward()
    assert encoder.leaf is not None
    assert encoder.leaf.grad is not None
    assert torch.equal(encoder.leaf.grad, torch.full_like(encoder.leaf, 2.0))
    again = bench.memory.find("online", context(bench, 0).tensors)
    assert again is not None
    assert not again.values.requires_grad
    assert all(parameter.grad is None for parameter in bench.memory.encoder.parameters())


def test_it_stays_in_evaluation_mode_so_that_copies_stay_copies(tiny_recipe: RecipeMaker) -> None:
    encoder = held(encoded(tiny_recipe("encoder.dropout=0.5")), own=True).train()
    observation = context(encoded(tiny_recipe()), 0)[:1]
    copies = encoder(Observations.cat([observation, observation])).values
    assert torch.equal(copies[0], copies[1])


def test_a_frozen_target_keeps_its_weights_and_another_follows_the_unchanged_run(tiny_recipe: RecipeMaker) -> None:
    bench = recorded(tiny_recipe("target.ema_decay=0.5"))
    moved = {}
    for frozen in (True, False):
        change = Change(recipe=bench.recipe, frozen_target=frozen, own_encoders=True)
        parts = held_parts(bench.start, bench.recipe, change)
        start = [parameter.clone() for parameter in parts.target.parameters()]
        bench.memory.step = 2
        parts.target.follow(parts.online, 0.5, torch.tensor(True))
        pairs = zip(start, parts.target.parameters(), strict=True)
        moved[frozen] = any(not torch.equal(before, after) for before, after in pairs)
    assert moved == {True: False, False: True}
