"""The augmentations of a recipe, one after the other, as it lists them."""

from __future__ import annotations

from jepa_core.contracts import Observations, ViewTransform
from jepa_core.engine.data_shape import DataShape
from jepa_core.engine.network import built_by
from jepa_core.facts import AugmentationFacts
from jepa_core.recipe.tables import Recipe


def built_augmentations(recipe: Recipe, shape: DataShape) -> ViewTransform:
    """What is done to every training batch (B, T+1, …), on its device.

    Raises:
        PluginError: an augmentation cannot be built. Its own `JepaError` passes.
    """
    facts = AugmentationFacts(space=shape.space, roles=shape.roles)
    changes: list[ViewTransform] = [
        built_by(entry.config, facts, what="augmentation") for entry in recipe.augmentation.values() if entry.enabled
    ]

    def augment(batch: Observations) -> Observations:
        for change in changes:
            batch = change(batch)
        return batch

    return augment
