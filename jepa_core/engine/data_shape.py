"""What weights are built for beside the recipe: how many observations of context there are, and of which space."""

from __future__ import annotations

import dataclasses
from typing import Any

import attrs

from jepa_core.contracts import SequenceDataset, Sequences, Space
from jepa_core.errors import CheckpointError, DataError
from jepa_core.facts import Role, frames
from jepa_core.spaces import HasScales, space_of, space_state


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
    def of(dataset: SequenceDataset) -> DataShape:
        """The shape of a dataset's sequences."""
        return DataShape(context_length=dataset.train.num_places - 1, space=dataset.space, roles=dataset.places())

    @staticmethod
    def from_state(state: Any, space_class: type[Space]) -> DataShape:
        """What `state` gave for data of a kind of space.

        A checkpoint that says nothing of roles was trained without them, and one that names no space has its numbers
        beside the context's length.

        Raises:
            KeyError, TypeError, ValueError: it is no such state.
        """
        space = state.get("space") or {name: state[name] for name in state.keys() - {"context_length", "roles"}}
        shape = DataShape(context_length=int(state["context_length"]), space=space_of(space, space_class))
        return attrs.evolve(shape, roles=tuple(state.get("roles", shape.roles)))

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"context_length": self.context_length, "space": space_state(self.space), "roles": list(self.roles)}

    def restore(self, state: Any) -> None:
        """Check that a checkpoint's shape is this one: weights of another would not fit.

        Raises:
            CheckpointError: it is another.
        """
        try:
            written = DataShape.from_state(state, type(self.space))
            is_same = (written.context_length, written.space) == (self.context_length, self.space)
            other = written.describe()
        except (TypeError, ValueError) as error:
            is_same, other = False, str(error)
        if not is_same:
            raise CheckpointError(
                f"The checkpoint was trained on {other}, and the data has {self.describe()}. "
                "Resume with the data it was trained on, or start a new run."
            )

    def fitted(self, sequences: Sequences, space: Space | None = None) -> Sequences:
        """Other data in this space; `space` is what its dataset says that it is of.

        Raises:
            DataError: the context has another length, or an observation does not fit.
        """
        length = sequences.num_places - 1
        if length != self.context_length:
            raise DataError(
                f"The weights take {self.context_length} observations of context, and this data gives {length}. "
                f"Where the dataset allows it: --set data.context_length={self.context_length}"
            )
        observations = self.space.fitted(sequences.observations)
        if isinstance(self.space, HasScales) and not (isinstance(space, HasScales) and space.standardised):
            observations = self.space.scaled(observations)
        return dataclasses.replace(sequences, observations=observations)

    def describe(self) -> str:
        """In words."""
        return f"{self.context_length} observations of context, {self.space.describe()}"
