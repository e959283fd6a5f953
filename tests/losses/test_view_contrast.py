from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import attrs
import pytest
import torch
import torch.nn.functional as F

from jepa_core.contracts import Embeddings, Observations, TargetView
from jepa_core.engine.network import masked_mean
from jepa_core.engine.objective import Objective, declared_views
from jepa_core.errors import RecipeError
from jepa_core.facts import LossFacts
from jepa_plugins.losses.view_contrast import ViewContrast, ViewContrastConfig
from tests.engine.training import RecipeMaker, a_trainer
from tests.losses.forwards import random_forward

FACTS = LossFacts(embedding_dim=4, projection_dim=6, context_length=3, num_tokens=5, batch_size=8)


def doubled(batch: Observations) -> Observations:
    return batch.map(lambda tensor: tensor * 2)


def one_more(batch: Observations) -> Observations:
    return batch.map(lambda tensor: tensor + 1)


def build(*names: str, temperature: float = 0.1) -> ViewContrast:
    facts = attrs.evolve(FACTS, augmentations={"doubled": doubled, "one_more": one_more})
    return ViewContrastConfig(augmentations=names, temperature=temperature).build(facts)


def test_it_is_the_cross_entropy_of_the_own_target_among_all() -> None:
    torch.manual_seed(0)
    forward, seen = random_forward(), torch.randn(8, 4, requires_grad=True)
    loss = build(temperature=0.2)
    (name,) = loss.target_views()
    keys = forward.target[: len(seen)]
    term = loss(replace(forward, target=keys, target_views={name: TargetView(z_target=seen, target=seen)}))
    expected = 0.0
    for row, own in enumerate(keys):
        similarities = [F.cosine_similarity(seen[row], key, dim=0).item() / 0.2 for key in keys]
        expected -= F.cosine_similarity(seen[row], own, dim=0).item() / 0.2 - math.log(sum(map(math.exp, similarities)))
    assert term.value.item() == pytest.approx(expected / len(keys), rel=1e-4)
    term.value.backward()
    assert seen.grad is not None
    assert seen.grad.abs().sum() > 0


def test_a_view_goes_through_the_named_augmentations_in_order() -> None:
    targets = Observations({"values": torch.ones(2, 1, 3)})
    seen = {
        names: build(*names).target_views()
        for names in [("doubled", "one_more"), ("one_more", "doubled"), ("doubled",), ()]
    }
    values = {names: next(iter(views.values()))(targets)["values"].unique().tolist() for names, views in seen.items()}
    assert values == {("doubled", "one_more"): [3.0], ("one_more", "doubled"): [4.0], ("doubled",): [2.0], (): [3.0]}


def test_an_augmentation_that_the_recipe_lacks_is_refused_with_those_there_are() -> None:
    with pytest.raises(RecipeError, match=r"\[augmentation.turned\].*It has: doubled, one_more"):
        build("turned")
    with pytest.raises(RecipeError, match="the recipe has none that is enabled"):
        ViewContrastConfig().build(FACTS)


@pytest.fixture
def objective(tiny_recipe: RecipeMaker, tmp_path: Path) -> Objective:
    recipe = tiny_recipe(
        "losses.view_contrast.weight=1.0",
        "losses.view_contrast.augmentations=['colours']",
        "augmentation.colours.enabled=false",
        "losses.invariance.weight=0.1",
    )
    trainer = a_trainer(recipe, tmp_path)
    trainer.initialise()
    return trainer.step.objective


def test_the_engine_encodes_the_transformed_targets_alone_with_the_online_network(
    objective: Objective, tiny_recipe: RecipeMaker, tmp_path: Path
) -> None:
    objective.eval()
    batch = a_trainer(tiny_recipe(), tmp_path / "other").step.draw(0, 0)[0]
    torch.manual_seed(3)
    views = {name: view(batch) for name, view in declared_views(objective.losses).items()}
    (name,) = objective.target_views
    assert {key: view["grid"].shape[1] for key, view in views.items()}[name] == 1
    assert not torch.equal(views[name]["grid"], batch["grid"][:, -1:])
    forward = objective.encode(batch, views)[0]
    assert set(forward.target_views) == {name}
    assert name not in forward.views
    as_context = Observations.cat([views[name]] * 4, dim=1)
    alone = objective.encode(as_context, {})[0]
    expected = masked_mean(Embeddings(alone.context_quantized.values, alone.context_embeddings.mask))[:, 0]
    torch.testing.assert_close(forward.target_views[name].target, expected)
