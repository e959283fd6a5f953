"""The seed's parts in the engine: its views in the objective, its queue in a validation's total."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from jepa_core.engine.network import masked_mean
from jepa_core.engine.trainer import Trainer
from jepa_core.errors import RecipeError
from tests.engine.training import RecipeMaker, a_trainer, take_steps

ENCODER = ("encoder.kind=seed_objects", "encoder.dropout=0.0")
SEED = (*ENCODER, "losses.invariance.kind=seed_invariance", "losses.invariance.weight=1.0", "losses.info_nce.queue=64")


@pytest.fixture
def trainer(tiny_recipe: RecipeMaker, tmp_path: Path) -> Trainer:
    return a_trainer(tiny_recipe(*SEED, "losses.info_nce.kind=seed_info_nce"), tmp_path)


def test_a_view_of_the_encoder_is_what_embedding_the_changed_reading_gives(trainer: Trainer) -> None:
    objective, (batch, views) = trainer.step.objective.eval(), trainer.step.draw(0, 0)
    assert not views
    torch.manual_seed(7)
    forward = objective.encode(batch, views)[0]
    online = objective.online
    encoder = online.encoder
    grids, flat = batch["grid"], batch.flatten()
    torch.manual_seed(7)
    reading = encoder.read(flat)  # type: ignore[operator]  # an encoder with views
    whole = {name: tensor.unflatten(0, grids.shape[:2]) for name, tensor in reading.items()}
    for name in ("colours", "translation", "flips"):
        changed = encoder.reading_views()[name](whole)  # type: ignore[operator]  # an encoder with views
        tokens = encoder.embed({key: tensor.flatten(0, 1) for key, tensor in changed.items()})  # type: ignore[operator]
        quantized = online.quantize(tokens.values, tokens.mask, collect=False).values.unflatten(0, grids.shape[:2])
        mask = tokens.mask.unflatten(0, grids.shape[:2])
        torch.testing.assert_close(forward.views[name].state, online.state(quantized[:, :-1], mask[:, :-1]))
        target = masked_mean(type(tokens)(quantized[:, -1], mask[:, -1]))
        torch.testing.assert_close(forward.views[name].target, target)


def test_a_look_without_losses_makes_no_views(trainer: Trainer) -> None:
    batch, _ = trainer.step.draw(0, 0)
    assert not trainer.step.objective.eval().encode(batch, None)[0].views


def test_losses_find_the_neighbours_on_both_sides(trainer: Trainer) -> None:
    batch, views = trainer.step.draw(0, 0)
    forward = trainer.step.objective.eval().encode(batch, views)[0]
    context, target = forward.context_embeddings, forward.target_tokens
    assert context.neighbours is not None
    assert context.neighbours.shape == (*context.mask.shape, context.mask.shape[-1])
    assert target.neighbours is not None
    assert torch.equal(target.neighbours.diagonal(dim1=-2, dim2=-1), target.mask)


def test_an_encoder_without_the_views_is_named_before_training(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"losses\.invariance compares with the batch changed by the encoder"):
        a_trainer(tiny_recipe(*SEED, "encoder.kind=objects"), tmp_path)


@pytest.mark.parametrize(("kind", "has_queue"), [("seed_info_nce", True), ("info_nce", False)])
def test_the_queue_counts_in_the_total_of_a_validation_only_for_the_seed(
    tiny_recipe: RecipeMaker, tmp_path: Path, kind: str, has_queue: bool
) -> None:
    trainer = take_steps(a_trainer(tiny_recipe(*SEED, f"losses.info_nce.kind={kind}"), tmp_path), 2)
    objective = trainer.step.objective
    row = trainer.validation(objective, trainer.step.views)
    gathered = trainer.validation.look(objective, trainer.step.views)
    with_queue = float(gathered.losses["loss.info_nce.raw"])
    assert abs(with_queue - row["val.loss.info_nce.raw"]) > 0.1
    others = sum(
        weight * row[f"val.loss.{name}.raw"] for name, weight in objective.weights.items() if name != "info_nce"
    )
    expected = others + row["val.loss.quantizer.raw"] + (with_queue if has_queue else row["val.loss.info_nce.raw"])
    assert row["val.loss.total"] == pytest.approx(expected, rel=1e-4)
