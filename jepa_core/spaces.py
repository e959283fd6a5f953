"""Spaces: what kind of observations a dataset has, so that nothing else need know it (as in gymnasium).

A dataset declares its space, a checkpoint remembers it, and an encoder is built from it. The engine asks the space what
it cannot know itself: which observations are equal, what differs from one by a little, whether other data fits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

from torch import Tensor

from jepa_core.observations import Observations

Edit = Callable[[Observations], Observations]
"""Observations (S, …) to as many, each a little different from its own and never equal to it."""


class Space(Protocol):
    """One kind of observations. Frozen and compared by value."""

    kind: ClassVar[str]

    def describe(self) -> str:
        """In the plural, such as "grids of up to 30 × 30 cells"."""
        ...

    def state(self) -> dict[str, Any]:
        """For a checkpoint: `kind`, and the numbers that it is made of."""
        ...

    def fitted(self, observations: Observations) -> Observations:
        """Other data's observations as this space has them, padded where that loses nothing.

        Raises:
            DataError: they do not fit.
        """
        ...

    def keys(self, observations: Observations) -> Tensor:
        """Observations (…) to (…) int64 on their device: equal for equal ones, and hardly ever for others (64 bits)."""
        ...

    def alike(self, observations: Observations) -> Tensor:
        """Lists of observations (V, C, …) to (V, C, C): the share that each two of a list have in common."""
        ...

    def editor(self, sequences: Observations) -> Edit:
        """Small edits for observations of sequences (S, T+1, …), one of each, within what the sequence holds.

        An edit can be undone by one that is as likely, so that no direction along a chain of edits is marked. Draws
        come from torch's global generator.
        """
        ...


def space_of(state: Mapping[str, Any], kinds: Mapping[str, type[Any]]) -> Space:
    """What `state` gave, of one of the kinds.

    Raises:
        KeyError, TypeError: it names no kind, or another's numbers.
    """
    numbers = {name: value for name, value in state.items() if name != "kind"}
    space: Space = kinds[state["kind"]](**numbers)
    return space
