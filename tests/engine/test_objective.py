"""The objective: one pass for everything, a target without gradient, and no state changed by looking."""

from __future__ import annotations

import copy
from itertools import permutations
from pathlib import Path

import pytest
import torch

from jepa_core.contracts import Embeddings, Observations
from jepa_core.engine.checkpoint import same_tree
from jepa_core.engine.network import masked_mean
from jepa_core.engine.objective import Objective, declared_views
from jepa_core.engine.trainer import Trainer
from tests.engine.training import RecipeMaker, a_trainer, snapshot, take_steps

CONTRAST = ("augmentation.turns.kind=dihedral", "losses.view_contrast.augmentations=['turns']")
VIEWS = ("losses.invariance.weight=0.1", "encoder.dropout=0.2")


@pytest.fixture
def trainer(tiny_recipe: RecipeMaker, tmp_path: Path) -> Trainer:
    trainer = a_trainer(tiny_recipe(*VIEWS), tmp_path)
    trainer.initialise()
    return trainer


@pytest.fixture
def batch(trainer: Trainer) -> Observations:
    return trainer.step.draw(0, 0)[0]


@pytest.fixture
def views(trainer: Trainer) -> dict[str, Observations]:
    return trainer.step.draw(0, 0)[1]


@pytest.fixture
def objective(trainer: Trainer) -> Objective:
    return trainer.step.objective


def test_views_encoded_in_the_same_batch_equal_views_encoded_alone(
    objective: Objective, batch: Observations, views: dict[str, Observations]
) -> None:
    objective.eval()
    together = objective.encode(batch, views)[0]
    assert len(views) >= 2
    for name, view in views.items():
        alone = objective.encode(view, {})[0]
        online = objective.online
        target = online.encode(view[:, -1])
        quantized = online.quantize(target.values, target.mask, collect=False)
        torch.testing.assert_close(together.views[name].z_context, alone.z_context)
        torch.testing.assert_close(
            together.views[name].z_target, online.projector(masked_mean(Embeddings(quantized.values, target.mask)))
        )


def test_views_may_come_in_any_order_and_those_of_targets_between_them(
    tiny_recipe: RecipeMaker, tmp_path: Path
) -> None:
    trainer = a_trainer(tiny_recipe("losses.invariance.weight=0.1", *CONTRAST), tmp_path)
    trainer.initialise()
    batch, views = trainer.step.draw(0, 0)
    objective = trainer.step.objective.eval()
    expected = objective.encode(batch, views)[0]
    assert len(expected.views) >= 2
    assert len(expected.target_views) == 1
    for order in permutations(views):
        found = objective.encode(batch, {name: views[name] for name in order})[0]
        for name, view in expected.views.items():
            torch.testing.assert_close(found.views[name].z_context, view.z_context)
            torch.testing.assert_close(found.views[name].z_target, view.z_target)
        for name, target_view in expected.target_views.items():
            torch.testing.assert_close(found.target_views[name].z_target, target_view.z_target)


def test_a_context_observation_equal_to_the_target_is_known_whatever_dropout_does(
    objective: Objective, batch: Observations
) -> None:
    batch = Observations({name: tensor.clone() for name, tensor in batch.tensors.items()})
    for tensor in batch.tensors.values():
        tensor[1, 0] = tensor[1, -1]
    is_target = objective.train().encode(batch, None)[0].is_target
    assert is_target is not None
    expected = (batch["grid"][:, :-1] == batch["grid"][:, -1:]).flatten(2).all(-1)
    assert is_target[1, 0]
    assert is_target.equal(expected & (batch["size"][:, :-1] == batch["size"][:, -1:]).all(-1))


def test_views_do_not_change_what_the_context_is_encoded_to(
    objective: Objective, batch: Observations, views: dict[str, Observations]
) -> None:
    objective.eval()
    with_views, without = objective.encode(batch, views)[0], objective.encode(batch, {})[0]
    torch.testing.assert_close(with_views.z_context, without.z_context)
    torch.testing.assert_close(with_views.z_target, without.z_target)


def test_the_target_has_no_gradient_and_the_context_has(
    objective: Objective, batch: Observations, views: dict[str, Observations]
) -> None:
    outcome = objective(batch, views)
    forward = outcome.forward
    assert forward.z_context.requires_grad
    for tensor in (forward.z_target, forward.target, forward.target_tokens.values):
        assert not tensor.requires_grad
    outcome.total.backward()
    assert all(parameter.grad is None for parameter in objective.target.parameters())
    assert all(parameter.grad is not None for parameter in objective.online.encoder.parameters())


def test_a_forward_pass_changes_no_state(
    objective: Objective, batch: Observations, views: dict[str, Observations]
) -> None:
    objective.train()
    before = copy.deepcopy(objective.state_dict())
    outcome = objective(batch, views)
    outcome.total.backward()
    assert same_tree(objective.state_dict(), before)


def test_one_codebook_serves_both_sides(objective: Objective, batch: Observations) -> None:
    codebooks = [name for name in objective.state_dict() if name.endswith("codebook")]
    assert codebooks == ["online.quantizer.codebook"]
    codebook = objective.online.quantizer.get_buffer("codebook")
    codebook.normal_()
    tokens = objective.encode(batch, {})[0].target_tokens
    is_code = (tokens.values[tokens.mask][:, None] == codebook[0][None]).all(-1)
    assert is_code.any(-1).all()


def test_the_total_is_the_weighted_sum_of_all_terms(
    objective: Objective, batch: Observations, views: dict[str, Observations]
) -> None:
    outcome = objective(batch, views)
    raw = {name: outcome.figures[f"loss.{name}.raw"] for name in objective.weights}
    expected = sum(weight * raw[name] for name, weight in objective.weights.items())
    torch.testing.assert_close(outcome.total, expected + outcome.forward.context_quantized.loss)
    assert objective.weights["invariance"] == 0.1
    assert all(not figure.requires_grad for figure in outcome.figures.values())


def test_losses_that_name_no_view_ask_for_none(trainer: Trainer) -> None:
    losses = trainer.parts.losses
    assert set(declared_views(losses)) == set(losses["invariance"].views())  # type: ignore[operator]  # a loss's method


def test_validation_and_diagnostics_train_nothing(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    trainer = take_steps(a_trainer(tiny_recipe(*VIEWS), tmp_path), 2)
    before = snapshot(trainer)
    trainer.validation(trainer.step.objective, trainer.step.views)
    trainer.diagnostics(2)
    assert same_tree(snapshot(trainer), before)


def test_validation_does_not_depend_on_the_random_state(trainer: Trainer) -> None:
    rows = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        rows.append(trainer.validation(trainer.step.objective, trainer.step.views))
    assert rows[0] == rows[1]


def test_a_step_after_a_validation_equals_a_step_without(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    watched, alone = (take_steps(a_trainer(tiny_recipe(*VIEWS), tmp_path), 1) for _ in range(2))
    watched.validation(watched.step.objective, watched.step.views)
    watched.diagnostics(1)
    for trainer in (watched, alone):
        trainer.step(1)
    assert same_tree(snapshot(watched), snapshot(alone))
