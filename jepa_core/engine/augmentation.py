"""The augmentations of a recipe: what is done to every training batch, and what losses may make views with."""

from __future__ import annotations

from collections.abc import Mapping

from jepa_core.contracts import Observations, ViewTransform
from jepa_core.engine.building import built_by
from jepa_core.engine.data_shape import DataShape
from jepa_core.facts import AugmentationFacts
from jepa_core.recipes.tables import Recipe


class Augmentations:
    """What is done to every training batch (B, T+1, …), on its device."""

    def __init__(self, changes: Mapping[str, ViewTransform]) -> None:
        self.changes = changes
        """By name, in order."""

    def __call__(self, batch: Observations) -> Observations:
        """The changed batch."""
        for change in self.changes.values():
            batch = change(batch)
        return batch


def built_augmentations(recipe: Recipe, shape: DataShape) -> Augmentations:
    """What is done to every training batch: the enabled augmentations, as the recipe lists them.

    Raises:
        PluginError: an augmentation cannot be built. Its own `JepaError` passes.
    """
    named = named_augmentations(recipe, shape)
    return Augmentations({name: named[name] for name, entry in recipe.augmentation.items() if entry.enabled})


def named_augmentations(recipe: Recipe, shape: DataShape) -> dict[str, ViewTransform]:
    """All that are used by their names in the recipe, those too that only losses use.

    Raises:
        PluginError: an augmentation cannot be built. Its own `JepaError` passes.
    """
    facts = AugmentationFacts(space=shape.space, roles=shape.roles)
    return {
        name: built_by(entry.config, facts, what="augmentation") for name, entry in recipe.used_augmentations.items()
    }
