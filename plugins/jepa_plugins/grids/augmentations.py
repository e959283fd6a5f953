"""Augmentations of grids: one draw per sequence, the same for all its grids, on their device.

A rule that holds in a sequence of grids still holds when all of them are changed alike: colours exchanged, turned,
enlarged or moved. What is done to the grids is in `jepa_plugins.grids.transforms`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from jepa_core.contracts import Observations, Space, ViewTransform
from jepa_core.errors import RecipeError
from jepa_core.facts import AugmentationFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_plugins.grids.space import GridSpace
from jepa_plugins.grids.transforms import (
    apply_dihedral,
    permute_colours,
    random_colour_permutation,
    random_dihedral,
    random_enlargement,
    random_translation,
    random_wrap,
)

_Change = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Grids (B, T+1, H, W) and sizes (B, T+1, 2) to the same shapes."""


@attrs.frozen(kw_only=True)
class ColoursConfig:
    """The nine colours other than 0 exchanged at random."""

    kind: ClassVar[str] = "colours"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)

    def build(self, facts: AugmentationFacts) -> ViewTransform:  # noqa: ARG002  # the same on grids of every side
        return _of_grids(
            lambda grids, sizes: (
                permute_colours(grids, random_colour_permutation(len(grids), grids.device)),
                sizes,
            )
        )


@attrs.frozen(kw_only=True)
class DihedralConfig:
    """Grids turned and mirrored, each within its own size."""

    kind: ClassVar[str] = "dihedral"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)

    def build(self, facts: AugmentationFacts) -> ViewTransform:  # noqa: ARG002  # the same on grids of every side
        return _of_grids(lambda grids, sizes: apply_dihedral(grids, sizes, random_dihedral(len(grids), grids.device)))


@attrs.frozen(kw_only=True)
class OutputsConfig:
    """Outputs turned or mirrored without their inputs, all alike: one more rule to learn."""

    kind: ClassVar[str] = "outputs"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)

    share: float = setting("share of sequences whose outputs are turned", default=0.5, at_least=0, at_most=1)

    def build(self, facts: AugmentationFacts) -> ViewTransform:
        """
        Raises:
            RecipeError: no place holds an output.
        """
        if "output" not in facts.roles:
            raise RecipeError(
                "augmentation.outputs turns outputs without their inputs, but this data has no outputs, only frames. "
                "Remove it from the recipe."
            )

        def turn(grids: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
            """If the rule was f, it becomes g ∘ f, with g of the dihedral group: still one rule for all pairs."""
            is_drawn = torch.rand(len(grids), device=grids.device) < self.share
            element = torch.where(is_drawn, random_dihedral(len(grids), grids.device), 0)
            turned, turned_sizes = apply_dihedral(grids, sizes, element)
            return outputs_from(turned, grids), outputs_from(turned_sizes, sizes)

        def outputs_from(turned: Tensor, given: Tensor) -> Tensor:
            """(B, G, …): from the one or the other by place (of one, the target), without asking the device."""
            roles = facts.roles[-turned.shape[1] :]
            places = zip(roles, turned.unbind(1), given.unbind(1), strict=True)
            return torch.stack([output if role == "output" else other for role, output, other in places], 1)

        return _of_grids(turn)


@attrs.frozen(kw_only=True)
class EnlargeConfig:
    """Every cell drawn as 2 × 2 cells, where all grids of a sequence fit."""

    kind: ClassVar[str] = "enlarge"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)

    share: float = setting("share of sequences that are enlarged, if they fit", default=0.5, at_least=0, at_most=1)

    def build(self, facts: AugmentationFacts) -> ViewTransform:  # noqa: ARG002  # the same on grids of every side
        return _of_grids(lambda grids, sizes: random_enlargement(grids, sizes, self.share))


@attrs.frozen(kw_only=True)
class TranslationConfig:
    """Content shifted, where no cell would be lost."""

    kind: ClassVar[str] = "translation"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)

    def build(self, facts: AugmentationFacts) -> ViewTransform:  # noqa: ARG002  # the same on grids of every side
        return _of_grids(random_translation)


@attrs.frozen(kw_only=True)
class WrapConfig:
    """Content shifted around the edges, as on a torus."""

    kind: ClassVar[str] = "wrap"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)

    def build(self, facts: AugmentationFacts) -> ViewTransform:  # noqa: ARG002  # the same on grids of every side
        return _of_grids(lambda grids, sizes: (random_wrap(grids, sizes), sizes))


def _of_grids(change: _Change) -> ViewTransform:
    def transform(batch: Observations) -> Observations:
        grids, sizes = change(batch["grid"], batch["size"])
        return Observations({"grid": grids, "size": sizes})

    return transform
