"""The steps of an audit: bytes that autograd keeps, shares of the gradient by hand, and data that is mixed."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest
import torch
from torch import nn

from jepa_core.audit.bench import Bench, _SavedBytes, audited
from jepa_core.audit.held_encoder import HeldEncoder
from jepa_core.audit.rebuilding import Change
from jepa_core.recipes.tables import Recipe
from tests.audit.recipes import COMPUTE, Detached, ScaledLossConfig, data_of, encoded, recorded, repeated, with_loss

RecipeMaker = Callable[..., Recipe]
FLOAT = 4


def kept(batch: int, width: int, *, steps: int = 1) -> int:
    """Bytes kept for the backward pass of tanh(linear(x)).exp().sum() over `steps` steps."""
    linear = nn.Linear(width, width)
    saved = _SavedBytes(linear.parameters())
    for _ in range(steps):
        saved.begin_step()
        with torch.autograd.graph.saved_tensors_hooks(saved.note, lambda tensor: tensor):
            linear(torch.randn(batch, width, requires_grad=True)).tanh().exp().sum().backward()
    return saved.total


@pytest.mark.parametrize(("batch", "width"), [(1, 1), (3, 5), (64, 17)])
def test_what_autograd_keeps_is_input_and_both_results_without_the_weights(batch: int, width: int) -> None:
    assert kept(batch, width) == 3 * batch * width * FLOAT


def test_storages_of_an_earlier_step_count_again_though_they_lie_at_the_same_address() -> None:
    assert kept(64, 17, steps=5) == 5 * kept(64, 17)


def test_a_tensor_kept_twice_or_in_part_counts_once() -> None:
    saved = _SavedBytes(())
    saved.begin_step()
    tensor = torch.randn(8, 4)
    for part in (tensor, tensor[2:], tensor.t(), tensor.detach()):
        assert saved.note(part) is part
    assert saved.total == 8 * 4 * FLOAT


def test_activations_grow_with_the_batch_and_nothing_else_does(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe("quantizer.kind=none", "losses.info_nce.queue=0", "data.num_sequences=200")
    sizes = {}
    for sequences in (4, 8, 16):
        bench = Bench(recipe, data_of(recipe), COMPUTE, sequences=sequences)
        bench.record()
        sizes[sequences] = bench.saved_bytes
    assert sizes[8] == pytest.approx(2 * sizes[4], rel=0.02)
    assert sizes[16] == pytest.approx(4 * sizes[4], rel=0.02)


@pytest.mark.parametrize("weight", ["0.05", "2.0"])
def test_shares_are_those_of_gradients_taken_one_loss_at_a_time(tiny_recipe: RecipeMaker, weight: str) -> None:
    bench = encoded(with_loss(tiny_recipe(f"losses.sigreg.weight={weight}"), "odd", ScaledLossConfig(module=Detached)))
    training = bench.held_training()
    encoder = training.parts.online.encoder
    assert isinstance(encoder, HeldEncoder)
    bench.memory.step = 0
    norms = {}
    for name in (*bench.recipe.losses, "quantizer"):
        training.objective.train()
        outcome = training.objective(*training.draw(0, 0))
        assert encoder.leaf is not None
        if outcome.terms[name].requires_grad:
            outcome.terms[name].backward()
        norms[name] = 0.0 if encoder.leaf.grad is None else float(encoder.leaf.grad.norm())
    shares = bench.shares()
    assert shares == pytest.approx({name: norm / sum(norms.values()) for name, norm in norms.items()}, rel=1e-4)
    assert shares["odd"] == 0.0
    assert sum(shares.values()) == pytest.approx(1.0)


def test_an_audited_step_hides_nothing_that_a_first_step_can_show(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe("train.accumulate=4", "schedule.warmup_steps=50", "train.precision=bf16")
    found = audited(recipe, 8)
    assert (found.train.batch_size, found.train.accumulate, found.schedule.warmup_steps) == (8, 1, 0)
    assert (found.train.precision, found.train.compile) == ("fp32", False)
    assert (found.losses, found.encoder, found.optimizer) == (recipe.losses, recipe.encoder, recipe.optimizer)


@pytest.mark.parametrize(("asked", "batch_size", "taken"), [(32, 16, 16), (8, 16, 8), (500, 400, 96)])
def test_a_batch_is_no_larger_than_asked_for_than_the_recipes_and_than_the_data(
    tiny_recipe: RecipeMaker, asked: int, batch_size: int, taken: int
) -> None:
    recipe = tiny_recipe(f"train.batch_size={batch_size}")
    dataset = data_of(recipe)
    assert len(dataset.train) == 96
    assert Bench(recipe, dataset, COMPUTE, sequences=asked).recipe.train.batch_size == taken


def test_the_unchanged_run_of_trials_is_the_recorded_one(tiny_recipe: RecipeMaker) -> None:
    bench = recorded(tiny_recipe("losses.sigreg.weight=0"))  # its slices are drawn anew
    losses = [step.figures["loss.total"] for step in bench.steps]
    assert [float(glimpse.total) for glimpse in bench.unchanged(quiet=False).glimpses[: len(losses)]] == pytest.approx(
        losses, rel=1e-6
    )


def test_looking_at_a_change_changes_nothing_that_is_looked_at_next(tiny_recipe: RecipeMaker) -> None:
    bench = encoded(tiny_recipe())
    before = float(bench.first_outcome().total)
    weights = attrs.evolve(bench.recipe.losses["info_nce"], weight=3.0)
    changed = attrs.evolve(bench.recipe, losses={**bench.recipe.losses, "info_nce": weights})
    assert float(bench.first_outcome(Change(recipe=changed)).total) != before
    bench.shares()
    assert float(bench.first_outcome().total) == before


def test_in_mixed_data_no_context_is_made_of_copies(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe()
    bench = encoded(recipe, repeated(data_of(recipe)))
    for one, is_copied in ((bench, True), (bench.mixed(), False)):
        keys = one.shape.space.keys(one.first_batch())
        assert bool((keys == keys[:, :1]).all()) is is_copied
    assert bench.mixed() is bench.mixed()
