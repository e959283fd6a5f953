"""What weights are built for beside the recipe: how many observations of context there are, and of which space."""

from __future__ import annotations

from typing import Any

import attrs

from jepa_core.contracts import GridDataset, Sequences, Space
from jepa_core.errors import CheckpointError, DataError
from jepa_core.facts import Role, frames
from jepa_core.grid_space import GridSpace
from jepa_core.spaces import space_of

KINDS = {space.kind: space for space in (GridSpace,)}
"""Spaces that a checkpoint can name."""


@attrs.frozen(kw_only=True)
class DataShape:
    """Kept in checkpoints, so that weights can be built again without the data they were trained on."""

    context_length: int
    """T."""
    space: Space
    roles: tuple[Role, ...] = attrs.field()
    """What each of the T + 1 places holds."""

    @roles.default
    def _frames(self) -> tuple[Role, ...]:
        return frames(self.context_length + 1)

    @staticmethod
    def of(dataset: GridDataset) -> DataShape:
        """The shape of a dataset's sequences."""
        return DataShape(context_length=dataset.train.num_places - 1, space=dataset.space, roles=dataset.places())

    @staticmethod
    def from_state(state: Any) -> DataShape:
        """What `state` gave; a checkpoint that says nothing of roles was trained without them, and one that says
        nothing of a space on grids of its side."""
        space = state.get("space") or {"kind": GridSpace.kind, "side": int(state["side"])}
        shape = DataShape(context_length=int(state["context_length"]), space=space_of(space, KINDS))
        return attrs.evolve(shape, roles=tuple(state.get("roles", shape.roles)))

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"context_length": self.context_length, "space": self.space.state(), "roles": list(self.roles)}

    def restore(self, state: Any) -> None:
        """Check that a checkpoint's shape is this one: weights of another would not fit.

        Raises:
            CheckpointError: it is another.
        """
        written = DataShape.from_state(state)
        if (written.context_length, written.space) != (self.context_length, self.space):
            raise CheckpointError(
                f"The checkpoint was trained on {written.describe()}, and the data has {self.describe()}. "
                "Resume with the data it was trained on, or start a new run."
            )

    def fitted(self, sequences: Sequences) -> Sequences:
        """Other data in this space.

        Raises:
            DataError: the context has another length, or an observation does not fit.
        """
        length = sequences.num_places - 1
        if length != self.context_length:
            raise DataError(
                f"The weights take {self.context_length} observations of context, and this data gives {length}. "
                f"Where the dataset allows it: --set data.context_length={self.context_length}"
            )
        return sequences.with_observations(self.space.fitted(sequences.observations))

    def describe(self) -> str:
        """In words."""
        return f"{self.context_length} observations of context, {self.space.describe()}"
