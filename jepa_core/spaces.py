"""Spaces: what kind of observations a dataset has, so that nothing else need know it (as in gymnasium).

A dataset declares its space, a checkpoint remembers it, and an encoder is built from it. The engine asks the space what
it cannot know itself: which observations are equal, what differs from one by a little, whether other data fits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol, Self, cast, runtime_checkable

import attrs
from torch import Tensor

from jepa_core.observations import Observations
from jepa_core.watch.findings import Finding

Edit = Callable[[Observations], Observations]
"""Observations (S, …) to as many, each a little different from its own and never equal to it."""

Fill = Literal["some", "none", "all"]
"""How much of a drawn observation holds something."""


@attrs.frozen(kw_only=True)
class SpaceAudit:
    """What is to be said of observations of a space before anything is trained on them."""

    figures: Mapping[str, float] = attrs.field(factory=dict)
    """By name, for JSON."""
    lines: tuple[tuple[str, str], ...] = ()
    """Label and text of each line in the audit's table."""
    findings: tuple[Finding, ...] = ()


@runtime_checkable
class Space(Protocol):
    """One kind of observations: a frozen attrs class of numbers, texts and tuples of them, compared by value."""

    kind: ClassVar[str]
    """Such as "grid"."""
    plural: ClassVar[str]
    """Such as "grids", for sentences."""

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Small ones, to try components on: a usual one first, then the smallest there is."""
        ...

    def sample(self, num: int, fill: Fill = "some") -> Observations:
        """`num` observations (num, …) of this space, drawn from torch's global generator, on the CPU."""
        ...

    def check(self, observations: Observations) -> None:
        """See that observations (S, T+1, …) are of this space.

        Raises:
            ValueError: they are not; with what is wrong, and the value and place that show it.
        """
        ...

    def describe(self) -> str:
        """In the plural, such as "grids of up to 30 × 30 cells"."""
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

    def audit(self, observations: Observations, encoder: Any) -> SpaceAudit:
        """What is to be said of observations (S, T+1, …), and of how an encoder's configuration suits them."""
        ...


@runtime_checkable
class HasFeatures(Protocol):
    """A space whose observations can be read as plain numbers: what a probe of learned embeddings stands beside."""

    def features(self, observations: Observations) -> Mapping[str, Tensor]:
        """Observations (M, …) to vectors (M, F) by name, such as "pixels" and "centred pixels"; nothing is learned."""
        ...


@runtime_checkable
class HasPictures(Protocol):
    """A space whose observations can be looked at, as `jepa plot` shows nearest neighbours."""

    def pictures(self, observations: Observations) -> Tensor:
        """Observations (M, …) to (M, H, W, 3) float32 between 0 and 1, red, green and blue: for people's eyes alone."""
        ...


@runtime_checkable
class HasScales(Protocol):
    """A space of observations that its dataset may have standardised."""

    @property
    def standardised(self) -> tuple[tuple[float, float], ...]:
        """Mean and standard deviation of each channel; empty where observations are as they were given."""
        ...

    def scaled(self, observations: Observations) -> Observations:
        """Observations (…) in the units of the data, brought to these scales."""
        ...


def require(kept: bool, message: str) -> None:
    """
    Raises:
        ValueError: what a space or a dataset promises is not kept.
    """
    if not kept:
        raise ValueError(message)


def shape_text(shape: Sequence[int]) -> str:
    """Such as "3 × 28 × 28", for a sentence."""
    return " × ".join(map(str, shape)) or "single values"


def space_state(space: Space) -> dict[str, Any]:
    """For a checkpoint: `kind`, and the numbers that the space is made of; what is empty by default is left out."""
    state: dict[str, Any] = {"kind": space.kind}
    for field in attrs.fields(type(cast(attrs.AttrsInstance, space))):
        value = getattr(space, field.name)
        if value != () or field.default is attrs.NOTHING:
            state[field.name] = _as_read(value)
    return state


def _as_read(value: Any) -> Any:
    """Tuples as lists, as JSON gives them back: a resumed run compares the two."""
    return [_as_read(item) for item in value] if isinstance(value, tuple) else value


def space_of(state: Mapping[str, Any], space_class: type[Space]) -> Space:
    """What `space_state` gave.

    Raises:
        TypeError, ValueError: it is of another kind, or has other numbers.
    """
    kind = state.get("kind", space_class.kind)
    if kind != space_class.kind:
        raise ValueError(f"a space of {kind!r}, not of {space_class.kind!r}")
    space: Space = space_class(**{name: value for name, value in state.items() if name != "kind"})
    return space
