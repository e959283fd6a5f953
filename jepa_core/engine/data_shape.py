"""What weights are built for beside the recipe: how many context grids there are, and how large grids are."""

from __future__ import annotations

import dataclasses
from typing import Any

import attrs
import torch.nn.functional as F

from jepa_core.contracts import GridDataset, Sequences
from jepa_core.errors import CheckpointError, DataError
from jepa_core.facts import OUTSIDE, Role, frames


@attrs.frozen(kw_only=True)
class DataShape:
    """Kept in checkpoints, so that weights can be built again without the data they were trained on."""

    context_length: int
    """T."""
    side: int
    """H = W, in cells."""
    roles: tuple[Role, ...] = attrs.field()
    """What each of the T + 1 places holds."""

    @roles.default
    def _frames(self) -> tuple[Role, ...]:
        return frames(self.context_length + 1)

    @staticmethod
    def of(dataset: GridDataset) -> DataShape:
        """The shape of a dataset's grids (S, T+1, H, W)."""
        _, length, _, side = dataset.train.grids.shape
        return DataShape(context_length=length - 1, side=side, roles=dataset.places())

    @staticmethod
    def from_state(state: Any) -> DataShape:
        """What `state` gave; a checkpoint that says nothing of roles was trained without them."""
        shape = DataShape(context_length=int(state["context_length"]), side=int(state["side"]))
        return attrs.evolve(shape, roles=tuple(state.get("roles", shape.roles)))

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"context_length": self.context_length, "side": self.side, "roles": list(self.roles)}

    def restore(self, state: Any) -> None:
        """Check that a checkpoint's shape is this one: weights of another would not fit.

        Raises:
            CheckpointError: it is another.
        """
        written = DataShape.from_state(state)
        if (written.context_length, written.side) != (self.context_length, self.side):
            raise CheckpointError(
                f"The checkpoint was trained on {written.describe()}, and the data has {self.describe()}. "
                "Resume with the data it was trained on, or start a new run."
            )

    def fitted(self, sequences: Sequences) -> Sequences:
        """Other data, its grids padded with the outside, or cut where only outside is, to this side.

        Raises:
            DataError: the context has another length, or a grid is larger.
        """
        _, length, _, side = sequences.grids.shape
        if length - 1 != self.context_length:
            raise DataError(
                f"The weights take {self.context_length} context grids, and this data gives {length - 1}. "
                f"Where the dataset allows it: --set data.context_length={self.context_length}"
            )
        largest = int(sequences.sizes.max())
        if largest > self.side:
            raise DataError(
                f"The weights take grids of up to {self.side} × {self.side} cells, and this data has one of {largest}. "
                f"Leave such grids out, with --set data.max_side={self.side} where the dataset has it."
            )
        missing = self.side - side
        return dataclasses.replace(sequences, grids=F.pad(sequences.grids, (0, missing, 0, missing), value=OUTSIDE))

    def describe(self) -> str:
        """In words."""
        return f"{self.context_length} context grids of side {self.side}"
